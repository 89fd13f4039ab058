"""Changes of shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from archgraph.graph import Op, Shape, SizeRule, Stack


@dataclass(frozen=True, repr=False)
class Flatten(Op):
    """All axes of a sample in one: ``(C, H, W)`` to ``(C*H*W,)``; every unit becomes a block of units."""

    def infer(self, *inputs: Shape) -> Shape:
        return Shape((inputs[0].size,))

    def rule(self, *inputs: Shape) -> SizeRule:
        dims, axis = inputs[0].dims, inputs[0].unit_axis
        return Stack(repeat=math.prod(dims[axis + 1 :]), tile=math.prod(dims[:axis]))

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return torch.flatten(inputs[0], 1)
