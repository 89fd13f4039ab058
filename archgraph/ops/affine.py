"""Arithmetic with numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule


@dataclass(frozen=True, repr=False)
class Affine(Op):
    """``z * scale + shift`` with two numbers, as ``z / 2`` or ``1 - z`` spell it.

    Args:
        scale: factor, not 0.
        shift: what is added.
    """

    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "shift"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise SettingError(f"{name} must be a finite number", got=repr(value))
            object.__setattr__(self, name, float(value))
        if self.scale == 0.0:
            raise SettingError("scale must not be 0: the input would be lost")

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        scaled = inputs[0] if self.scale == 1.0 else inputs[0] * self.scale
        return scaled if self.shift == 0.0 else scaled + self.shift
