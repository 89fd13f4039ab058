"""Norms over the nodes of a graph, or of each of several graphs where a membership tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from archgraph.graph import SAMPLES, Fixed, Invariant, Op, Shape, SizeRule, TensorSpec, require
from archgraph.graph.shape import MEMBERSHIPS
from archgraph.ops.edges import read_nodes
from archgraph.ops.graph_layer import geometric
from archgraph.ops.norm import check_eps, per_unit


@dataclass(frozen=True, repr=False)
class _GraphNorm(Op):
    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    def infer(self, *inputs: Shape) -> Shape:
        read_nodes(self, inputs[0])
        for one in inputs[1:]:
            require(one.rows == MEMBERSHIPS, f"{type(self).__name__} reads a membership in second place", got=one)
        return inputs[0]

    def rows(self, *inputs: str) -> str:
        return SAMPLES


@dataclass(frozen=True, repr=False)
class PairNorm(_GraphNorm):
    """Centre nodes, and divide by their mean length (Zhao and Akoglu, 2020, https://arxiv.org/abs/1909.12223).

    Lengths depend on all units, so these are fixed.

    Args:
        scale: mean length of the result.
        scale_individually: whether every node is divided by its own length.
        eps: added to the mean square.
    """

    scale: float = 1.0
    scale_individually: bool = False
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_eps(self.eps)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over its units")

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().PairNorm(self.scale, self.scale_individually, self.eps)


@dataclass(frozen=True, repr=False)
class GraphNorm(_GraphNorm):
    """Normalise every unit over the nodes of a graph, less a learned share of its mean (Cai et al., arXiv 2009.03294).

    Args:
        eps: added to the variance.
    """

    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_eps(self.eps)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant(tuple(range(1, len(inputs))))

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        found = per_unit(inputs[0].units, affine=True)
        return {**found, "mean_scale": found["weight"]}

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().GraphNorm(inputs[0].units, self.eps)


@dataclass(frozen=True, repr=False)
class GraphLayerNorm(_GraphNorm):
    """Normalise over all nodes and units of a graph; over the units of one node is :class:`~archgraph.ops.LayerNorm`.

    Args:
        eps: added to the deviation (or, with a membership, to the variance).
        affine: whether there are a scale and a shift per unit.
    """

    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        check_eps(self.eps)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over its units")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return per_unit(inputs[0].units, affine=self.affine)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().LayerNorm(inputs[0].units, self.eps, affine=self.affine, mode="graph")
