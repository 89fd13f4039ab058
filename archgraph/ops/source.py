"""Where tensors enter the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archgraph.errors import SettingError
from archgraph.graph import Fixed, Op, Shape, SizeRule

DTYPES = ("float32", "int64", "int32")
"""What an input may hold: numbers of the network's floating-point type, or whole numbers."""


@dataclass(frozen=True, repr=False)
class Input(Op):
    """An input of the network.

    Args:
        shape: sizes of all axes but the batch axis: ``(1, 8, 8)`` for an image, ``(64,)`` for a vector.
        unit_axis: axis of the units: 0 for vectors and images, -1 for tokens ``(T, D)``.
        dtype: ``"float32"`` stands for the floating-point type of the network; ``"int64"`` or ``"int32"`` for whole
            numbers such as the words that :class:`~archgraph.ops.Embedding` reads.
    """

    shape: tuple[int, ...]
    unit_axis: int = 0
    dtype: str = "float32"
    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple | list):
            raise SettingError("an input needs a tuple of sizes", expected="such as (1, 8, 8)", got=repr(self.shape))
        if self.dtype not in DTYPES:
            raise SettingError("unknown dtype of an input", expected=", ".join(map(repr, DTYPES)), got=repr(self.dtype))
        shape = Shape(tuple(self.shape), self.unit_axis)
        object.__setattr__(self, "shape", shape.dims)
        object.__setattr__(self, "unit_axis", shape.unit_axis)  # one value for -1 and the last axis

    def infer(self, *inputs: Shape) -> Shape:
        return Shape(self.shape, self.unit_axis)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("is an input of the network")
