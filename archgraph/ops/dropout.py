"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule


@dataclass(frozen=True, repr=False)
class Dropout(Op):
    """Zero every entry with probability ``p`` while training, and scale the others by ``1 / (1 - p)``."""

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.p < 1.0:
            raise SettingError("a dropout probability lies in [0, 1)", got=self.p)

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.Dropout(self.p)
