"""Dropout of edges (Rong et al., 2020, https://arxiv.org/abs/1907.10903)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from archgraph.graph import Invariant, Op, Shape, SizeRule, require
from archgraph.graph.shape import EDGES, SOME_EDGES
from archgraph.ops.attention import check_dropout


@dataclass(frozen=True, repr=False)
class DropEdge(Op):
    """Leave out every edge with probability ``p`` while training; edges that have weights stay.

    Args:
        p: the probability.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_dropout(self.p)

    def infer(self, *inputs: Shape) -> Shape:
        require(inputs[0].rows in (EDGES, SOME_EDGES), "DropEdge reads edges", expected="Edges()", got=inputs[0])
        return inputs[0]

    def rows(self, *inputs: str) -> str:
        return SOME_EDGES

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def module(self, *inputs: Shape) -> nn.Module:
        return EdgeDropout(self.p)


class EdgeDropout(nn.Module):
    """Layer of :class:`DropEdge`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, edge_index: torch.Tensor) -> torch.Tensor:  # [2, E]
        if not self.training or self.p == 0.0:
            return edge_index
        kept = torch.rand(edge_index.shape[1], device=edge_index.device) >= self.p
        return edge_index[:, kept]

    def extra_repr(self) -> str:
        return f"p={self.p}"
