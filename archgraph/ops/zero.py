"""Nothing, in the shape of something: ``z -> 0``, the operation ``none`` of cell spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archgraph.graph import Invariant, Op, Shape, SizeRule


@dataclass(frozen=True, repr=False)
class Zero(Op):
    """Zeros in the shape of the input, which is heard by nobody; what made it gets a gradient of zero."""

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return inputs[0] * 0.0
