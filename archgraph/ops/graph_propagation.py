"""Propagation of features without weights that mix them: unit i of every node goes to unit i."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Shape, SizeRule, TensorSpec
from archgraph.ops.attention import check_dropout
from archgraph.ops.graph_layer import _GraphLayer, geometric
from archgraph.ops.linear import count


@dataclass(frozen=True, repr=False)
class APPNP(_GraphLayer):
    """Personalised PageRank ``Z <- (1 - alpha) P Z + alpha X``, K times (Gasteiger et al., 2019, arXiv 1810.05997).

    It reads nodes, edges and perhaps weights of edges.

    Args:
        K: how often.
        alpha: share of the node's own features, from 0 to 1.
        dropout: probability that an edge is left out of a step while training.
        add_self_loops: whether a node counts for itself.
        normalize: whether edges are normalised.
    """

    K: int = 10
    alpha: float = 0.1
    dropout: float = 0.0
    add_self_loops: bool = True
    normalize: bool = True
    arity: ClassVar[tuple[int, int | None]] = (2, 3)

    def __post_init__(self) -> None:
        count(self.K, "K")
        check_dropout(self.dropout)
        if not 0.0 <= self.alpha <= 1.0:
            raise SettingError("alpha is a share", expected="0 to 1", got=self.alpha)
        if self.dropout and not self.normalize:
            raise SettingError("edges that have no weights cannot be dropped", expected="normalize=True")

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant(tuple(range(1, len(inputs))))

    def macs(self, *inputs: Shape) -> int:
        loops = self.add_self_loops and self.normalize
        return self.K * self.propagated(inputs[0].units, *inputs, loops=loops)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().APPNP(
            self.K, self.alpha, dropout=self.dropout, add_self_loops=self.add_self_loops, normalize=self.normalize
        )


@dataclass(frozen=True, repr=False)
class GINConv(_GraphLayer):
    """The sum of a graph isomorphism network, ``(1 + eps) x_i + sum_j x_j`` (Xu et al., 2019, arXiv 1810.00826).

    The network that is applied to it is made of nodes of its own: ``Linear(16)(GINConv()(x, edges))``. So its units can
    be resized like any others.

    Args:
        eps: initial value.
        train_eps: whether it is trained.
    """

    eps: float = 0.0
    train_eps: bool = False

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant((1,))

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return {"eps": TensorSpec((1,), (None,), trainable=self.train_eps)}

    def macs(self, *inputs: Shape) -> int:
        return self.propagated(inputs[0].units, *inputs, loops=True)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().GINConv(nn.Identity(), eps=self.eps, train_eps=self.train_eps)
