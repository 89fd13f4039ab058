"""One learned gate for a whole tensor: ``x -> sigmoid(w) x``, with which random wirings weigh what a node reads.

Xie et al., *Exploring randomly wired neural networks*, arXiv 1904.01569; Ru et al., arXiv 2004.01395.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule, TensorSpec


@dataclass(frozen=True, repr=False)
class Gate(Op):
    """``sigmoid(w) * z`` with one learned number ``w`` for all units and positions; a gate an input of a weighted sum.

    Args:
        init: initial ``w``; 1 opens the gate to 0.731.
    """

    init: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.init, bool) or not isinstance(self.init, int | float) or not abs(self.init) < float("inf"):
            raise SettingError("init must be a finite number", got=repr(self.init))
        object.__setattr__(self, "init", float(self.init))

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return {"weight": TensorSpec((1,), (None,))}

    def module(self, *inputs: Shape) -> nn.Module:
        return TensorGate(self.init)


class TensorGate(nn.Module):
    """Layer of :class:`Gate`."""

    def __init__(self, init: float = 1.0) -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.full((1,), init))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.weight)

    def extra_repr(self) -> str:
        return f"init={self.init}"
