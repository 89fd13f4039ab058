"""Where tensors enter the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archgraph.errors import SettingError
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
        if not isinstance(self.shape, tuple | list):
            raise SettingError("an input needs a tuple of sizes", expected="such as (1, 8, 8)", got=repr(self.shape))
        shape = Shape(tuple(self.shape), self.unit_axis)
        object.__setattr__(self, "shape", shape.dims)
        object.__setattr__(self, "unit_axis", shape.unit_axis)  # one value for -1 and the last axis

    def infer(self, *inputs: Shape) -> Shape:
        return Shape(self.shape, self.unit_axis)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("is an input of the network")
