"""From the nodes of graphs to graphs: one vector for each, by the graph that every node is of.

Letters: ``N`` nodes, ``G`` graphs, ``U`` units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from archgraph.graph import GRAPHS, Invariant, Op, Shape, SizeRule, require
from archgraph.graph.shape import MEMBERSHIPS
from archgraph.ops.edges import read_nodes
from archgraph.ops.graph_layer import geometric


@dataclass(frozen=True, repr=False)
class _GraphPool(Op):
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    layer: ClassVar[str]

    def infer(self, *inputs: Shape) -> Shape:
        *nodes, membership = inputs
        for one in nodes:
            read_nodes(self, one)
        fits = membership.rows == MEMBERSHIPS
        require(fits, f"{type(self).__name__} reads a membership last", expected="Membership()", got=membership)
        return inputs[0]

    def rows(self, *inputs: str) -> str:
        return GRAPHS

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant(tuple(range(1, len(inputs))))

    def module(self, *inputs: Shape) -> nn.Module:
        return getattr(geometric(), self.layer)()


@dataclass(frozen=True, repr=False)
class GraphAddPool(_GraphPool):
    """The sum of the nodes of every graph: ``[N, U]`` and a membership to ``[G, U]``."""

    layer: ClassVar[str] = "SumAggregation"


@dataclass(frozen=True, repr=False)
class GraphMeanPool(_GraphPool):
    """The mean of the nodes of every graph; otherwise like :class:`GraphAddPool`."""

    layer: ClassVar[str] = "MeanAggregation"


@dataclass(frozen=True, repr=False)
class GraphMaxPool(_GraphPool):
    """The largest value of every unit among the nodes of a graph; otherwise like :class:`GraphAddPool`."""

    layer: ClassVar[str] = "MaxAggregation"


@dataclass(frozen=True, repr=False)
class GraphAttentionPool(_GraphPool):
    """A weighted sum of the nodes of every graph (Li et al., 2019, https://arxiv.org/abs/1904.12787).

    It reads nodes ``[N, U]``, a gate ``[N, 1]`` and a membership; weights are the softmax of the gate over the nodes of
    a graph. The gate is made by nodes of its own, such as ``Linear(1)(x)``.
    """

    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    def infer(self, *inputs: Shape) -> Shape:
        found = super().infer(*inputs)
        require(inputs[1].units == 1, "GraphAttentionPool reads a gate in second place", expected=(1,), got=inputs[1])
        return found

    def module(self, *inputs: Shape) -> nn.Module:
        return AttentionPool()


class AttentionPool(nn.Module):
    """Layer of :class:`GraphAttentionPool`: what ``AttentionalAggregation`` does with a gate."""

    def forward(  # [N, U], [N, 1], [N]
        self, x: torch.Tensor, gate: torch.Tensor, batch: torch.Tensor
    ) -> torch.Tensor:  # [G, U]
        graphs = int(batch.max()) + 1 if len(batch) else 0
        largest = gate.new_full((graphs, 1), -torch.inf).scatter_reduce(0, batch[:, None], gate.detach(), "amax")
        weights = (gate - largest[batch]).exp()
        total = gate.new_zeros(graphs, 1).index_add(0, batch, weights)
        return x.new_zeros(graphs, x.shape[1]).index_add(0, batch, x * weights / (total[batch] + 1e-16))
