"""Parts of the unit axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from archgraph.errors import SettingError
from archgraph.graph import Op, Select, Shape, SizeRule, UnitMap, require


@dataclass(frozen=True, repr=False)
class Slice(Op):
    """The units from ``start`` up to ``stop``, as ``chunk``, ``split`` and slicing of the channel axis give.

    Args:
        start: first unit.
        stop: the unit behind the last.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise SettingError("a slice needs 0 <= start < stop", got=(self.start, self.stop))

    def infer(self, *inputs: Shape) -> Shape:
        require(self.stop <= inputs[0].units, f"the slice ends at {self.stop}", expected=f"at most {inputs[0].units}")
        return inputs[0].resized(self.stop - self.start)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Select(self.start, self.stop)

    def follow(self, maps: tuple[UnitMap | None, ...], units: int, *inputs: Shape) -> Op:
        found = maps[0]
        if found is None:
            return self
        before = int(np.argmax(found.index >= self.start)) if (found.index >= self.start).any() else len(found)
        return self._with(start=before, stop=before + units)

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return inputs[0].narrow(shapes[0].unit_axis + 1, self.start, self.stop - self.start)
