"""Gates made of some of the units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.nn import functional

from archgraph.graph import Fixed, Op, Shape, SizeRule, require


@dataclass(frozen=True, repr=False)
class GLU(Op):
    """``a * sigmoid(b)`` with ``a`` the first half of the units and ``b`` the second: ``2U`` units to ``U``."""

    def infer(self, *inputs: Shape) -> Shape:
        require(inputs[0].units % 2 == 0, "GLU needs an even number of units", got=inputs[0])
        return inputs[0].resized(inputs[0].units // 2)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("gates one half of its units with the other")

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.glu(inputs[0], dim=shapes[0].unit_axis + 1)
