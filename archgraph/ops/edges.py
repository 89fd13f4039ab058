"""What a network on graphs reads beside the features of nodes: edges, their weights, and which graph a node is of.

The samples of such a network are nodes, so features come in by an ordinary :class:`~archgraph.ops.Input`. Edges are
tensors of their own, as PyTorch Geometric has them, and the arguments of the network are these tensors in the order of
``graph.inputs``. Letters: ``N`` nodes, ``E`` directed edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from archgraph.graph import SAMPLES, Fixed, Graph, Op, Shape, SizeRule, require
from archgraph.graph.shape import EDGES, MEMBERSHIPS, SOME_EDGES, WEIGHTS
from archgraph.ops.linear import count

INPUT = Fixed("is an input of the network")


@dataclass(frozen=True, repr=False)
class Edges(Op):
    """The edges of a graph of nodes: ``[2, E]`` int64, from the nodes of the first row to those of the second.

    Args:
        degree: how many edges end at a node, on the average over nodes; multiply-accumulates are counted with it, and
            what a network computes does not depend on it.
    """

    degree: int = 4
    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    dtype: ClassVar[str] = "int64"

    def __post_init__(self) -> None:
        count(self.degree, "degree")

    def infer(self, *inputs: Shape) -> Shape:
        return Shape((self.degree, 1), -1, EDGES)

    def rule(self, *inputs: Shape) -> SizeRule:
        return INPUT


@dataclass(frozen=True, repr=False)
class EdgeWeights(Op):
    """One number an edge: ``[E]``, of the network's floating-point type, in the order of :class:`Edges`."""

    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    def infer(self, *inputs: Shape) -> Shape:
        return Shape((), rows=WEIGHTS)

    def rule(self, *inputs: Shape) -> SizeRule:
        return INPUT


@dataclass(frozen=True, repr=False)
class Membership(Op):
    """For every node the number of the graph that it is of, where there are several: ``[N]`` int64, from 0."""

    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    dtype: ClassVar[str] = "int64"

    def infer(self, *inputs: Shape) -> Shape:
        return Shape((), rows=MEMBERSHIPS)

    def rule(self, *inputs: Shape) -> SizeRule:
        return INPUT


def read_nodes(op: Op, source: Shape) -> None:
    """Check that an op gets features of nodes.

    Raises:
        ShapeError: when it does not.
    """
    fits = len(source.dims) == 1 and source.rows == SAMPLES
    require(fits, f"{type(op).__name__} reads features of nodes", expected="a vector (units,) a sample", got=source)


def read_edges(op: Op, *sources: Shape) -> None:
    """Check that an op gets edges, and perhaps their weights.

    Raises:
        ShapeError: when it does not.
    """
    edges, *weights = sources
    name = type(op).__name__
    require(edges.rows in (EDGES, SOME_EDGES), f"{name} reads edges in second place", expected="Edges()", got=edges)
    for one in weights:
        require(one.rows == WEIGHTS, f"{name} reads weights of edges in third place", expected="EdgeWeights()", got=one)
        require(edges.rows == EDGES, f"{name} needs all edges where they have weights", expected=EDGES, got=edges.rows)


def source_of(shape: Shape) -> Op | None:
    """Return the input of this file that gives a shape; None for a shape of samples."""
    sources = {EDGES: Edges(shape.positions), WEIGHTS: EdgeWeights(), MEMBERSHIPS: Membership()}
    return sources.get(shape.rows)


def graph_input(graph: Graph, name: str, nodes: int, generator: torch.Generator) -> Tensor | None:
    """Return an example of what an input of this file takes: a random graph of so many nodes; None for others.

    Every node has as many edges as :attr:`Edges.degree` says, some of them perhaps twice or to itself, but the last
    one, which has none.

    Args:
        graph: the network's graph.
        name: of the input.
        nodes: how many.
        generator: of random numbers.
    """
    op = graph.op(name)
    if isinstance(op, Edges):
        return torch.randint(max(1, nodes - 1), (2, nodes * op.degree), generator=generator)
    if isinstance(op, EdgeWeights):
        sources = (graph.op(other) for other in graph.inputs)
        degree = next((other.degree for other in sources if isinstance(other, Edges)), 1)
        return torch.rand(nodes * degree, generator=generator, dtype=torch.float64) + 0.5
    if isinstance(op, Membership):
        return torch.arange(nodes) * 2 // max(2, nodes)
    return None
