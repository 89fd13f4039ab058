"""Borders around images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.nn import functional

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule
from archgraph.ops.convolution import read_layout


@dataclass(frozen=True, repr=False)
class ZeroPad2d(Op):
    """Zeros around an image ``(C, H, W)``.

    Args:
        padding: number of pixels on every side, or on the left, right, top and bottom.
    """

    padding: int | tuple[int, int, int, int]

    def __post_init__(self) -> None:
        given = (self.padding,) * 4 if isinstance(self.padding, int) else self.padding
        numbers = tuple(given) if isinstance(given, tuple | list) else ()
        if len(numbers) != 4 or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
            raise SettingError(
                "padding must be an integer of at least 0, or four of them: left, right, top, bottom", got=self.padding
            )
        object.__setattr__(self, "padding", numbers[0] if len(set(numbers)) == 1 else numbers)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        read_layout(self, source, 2)
        left, right, top, bottom = self._four()
        return Shape((source.units, source.dims[1] + top + bottom, source.dims[2] + left + right))

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.pad(inputs[0], self._four())

    def _four(self) -> tuple[int, int, int, int]:
        return (self.padding,) * 4 if isinstance(self.padding, int) else self.padding
