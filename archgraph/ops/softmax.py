"""Softmax over units or over positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.nn import functional

from archgraph.graph import Fixed, Invariant, Op, Shape, SizeRule
from archgraph.ops.dim import axis, whole


@dataclass(frozen=True, repr=False)
class _Softmax(Op):
    dim: int

    def __post_init__(self) -> None:
        whole(self.dim, "dim")

    def infer(self, *inputs: Shape) -> Shape:
        axis(self.dim, len(inputs[0].dims))
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        over_units = axis(self.dim, len(inputs[0].dims)) == inputs[0].unit_axis
        return Fixed("normalises over its units") if over_units else Invariant()


@dataclass(frozen=True, repr=False)
class Softmax(_Softmax):
    """``exp(z) / sum(exp(z))`` along ``dim`` (numbered as in torch); over units, it fixes how many there are."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.softmax(inputs[0], dim=self.dim)


@dataclass(frozen=True, repr=False)
class LogSoftmax(_Softmax):
    """``z - log(sum(exp(z)))`` along ``dim`` (numbered as in torch); over units, it fixes how many there are."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.log_softmax(inputs[0], dim=self.dim)
