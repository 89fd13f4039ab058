"""Where tensors enter the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archgraph.graph import Fixed, Op, Shape, SizeRule


@dataclass(frozen=True, repr=False)
class Input(Op):
    """An input of the network.

    Args:
        shape: sizes of all axes but the batch axis: ``(1, 8, 8)`` for an image, ``(64,)`` for a vector.
        unit_axis: axis of the units: 0 for vectors and images, -1 for tokens ``(T, D)``.
    """

    shape: tuple[int, ...]
    unit_axis: int = 0
    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", Shape(tuple(self.shape), self.unit_axis).dims)

    def infer(self, *inputs: Shape) -> Shape:
        return Shape(self.shape, self.unit_axis)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("is an input of the network")
