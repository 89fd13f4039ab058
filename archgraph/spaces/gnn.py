"""Graph neural networks: depth, layers, aggregation, width, skips, jumping knowledge, norm and dropout.

You, Ying, Leskovec, *Design Space for Graph Neural Networks*, NeurIPS 2020, arXiv 2011.08843; jumping knowledge: Xu et
al., arXiv 1806.03536. Layers are those of PyTorch Geometric. A point's network computes all nodes of a graph, or, where
the seed graph reads which graph a node is of, one vector a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archgraph import ops
from archgraph.errors import SpaceError
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.graph_ends import GraphEnds
from archgraph.spaces.parameters import Parameters

LAYERS: dict[str, Callable[[int, str, int], Op]] = {
    "gcn": lambda units, aggregation, heads: ops.GCNConv(units),
    "sage": lambda units, aggregation, heads: ops.SAGEConv(units, aggr=aggregation),
    "gat": lambda units, aggregation, heads: ops.GATConv(units // heads, heads=heads),
    "gatv2": lambda units, aggregation, heads: ops.GATv2Conv(units // heads, heads=heads),
    "gin": lambda units, aggregation, heads: ops.Linear(units),  # behind the sum of neighbours
    "cheb": lambda units, aggregation, heads: ops.ChebConv(units, K=2),
    "tag": lambda units, aggregation, heads: ops.TAGConv(units, K=2),
    "transformer": lambda units, aggregation, heads: ops.TransformerConv(units // heads, heads=heads),
    "linear": lambda units, aggregation, heads: ops.Linear(units),
}
"""Hidden layers by name: of how many units, with which aggregation, in how many heads."""
WIDE, REPEATED = 256, ("cheb", "tag")
"""Features of a node from which on layers are slow that propagate these themselves, and again and again."""
AGGREGATED = ("sage",)
HEADED = ("gat", "gatv2", "transformer")
AGGREGATIONS = ("mean", "max", "sum")
NORMS: dict[str, Op | None] = {
    "none": None,
    "batch": ops.BatchNorm(),
    "layer": ops.LayerNorm(),
    "pair": ops.PairNorm(),
    "graph": ops.GraphNorm(),
}
ACTIVATIONS: dict[str, Op] = {"relu": ops.ReLU(), "elu": ops.ELU(), "silu": ops.SiLU()}
POOLS: dict[str, Op] = {"add": ops.GraphAddPool(), "mean": ops.GraphMeanPool(), "max": ops.GraphMaxPool()}
JUMPS = ("none", "cat", "max")
DROPOUTS = (0.0, 0.2, 0.5, 0.7)
EDGE_DROPOUT = 0.2
STEPS, RESTART = 10, 0.1
"""Of an output propagated by personalised PageRank: how often, and the share of the start; arXiv 1810.05997."""
HEADS = (1, 2, 4, 8)
USUAL: dict[str, Any] = {"layer": "gcn", "width": 16, "depth": 1, "dropout": 0.5, "input_dropout": True}
"""What people begin with: the network of Kipf and Welling, arXiv 1609.02907, whose two layers are one hidden here."""


def gnn(
    graph: Graph,
    *,
    depth: int = 3,
    widths: tuple[int, ...] = (8, 16, 32, 64),
    layers: tuple[str, ...] = (),
) -> Defined:
    """The graph neural networks from a seed graph's features to as many outputs.

    Hidden layers are all of one kind and width, each followed by a norm, an activation and dropout; from the second on
    they may have a skip connection, and all of them may go to the output (jumping knowledge). The output is a layer of
    the same kind, a linear one, or linear and propagated by personalised PageRank; of whole graphs, linear behind
    pooling. The usual point is the network of Kipf and Welling, or what comes nearest to it.

    Args:
        graph: gives the features, the number of outputs, the mean number of edges of a node if it reads edges, and
            whether outputs are of nodes or of graphs.
        depth: most hidden layers.
        widths: units of the hidden layers; all must be divisible by as many heads as there may be.
        layers: which kinds, by the names in :data:`LAYERS`; by default all, but for :data:`REPEATED` where features
            are many (:data:`WIDE`), which take ten times as long there.

    Raises:
        SpaceError: when the seed graph does not make a vector from a vector, or a setting cannot be used.
    """
    if not set(layers) <= set(LAYERS):
        raise SpaceError("these are no layers of graph networks", expected=f"some of {', '.join(LAYERS)}", got=layers)
    if depth < 1 or not widths or any(width < 1 for width in widths):
        raise SpaceError("depth and widths of graph networks are positive", got=(depth, widths))
    ends, known = GraphEnds.of(graph), tuple(sorted(set(widths)))
    layers = layers or tuple(name for name in LAYERS if ends.features < WIDE or name not in REPEATED)
    usual = USUAL | {"width": min(known, key=lambda width: abs(math.log(width / USUAL["width"])))}
    usual |= {} if USUAL["layer"] in layers else {"layer": layers[0]}
    return space(_Family(ends, depth, known, tuple(layers)), name="gnn", usual=usual)


@dataclass(frozen=True)
class _Family:
    """Builds the network of a point; what matters at some values of others only is asked for there."""

    ends: GraphEnds
    depth: int
    widths: Sequence[int]
    layers: Sequence[str]

    def __call__(self, p: Parameters) -> Graph:
        build = _Builder(GraphBuilder(), self.ends, *self._layer(p))
        x = build(ops.Input((self.ends.features,)), name="x")
        width, depth = p.ordered("width", self.widths), p.int("depth", 1, self.depth)
        if build.layer != "linear" and p.bool("drop_edges"):
            build.read = build(ops.DropEdge(EDGE_DROPOUT), build.edges)
        norm = NORMS[p.choice("norm", tuple(NORMS))]
        activation = ACTIVATIONS[p.choice("activation", tuple(ACTIVATIONS))]
        dropout = p.ordered("dropout", DROPOUTS)
        skips = depth > 1 and p.bool("skips")
        jump = p.choice("jump", JUMPS) if depth > 1 else JUMPS[0]
        x = build.dropped(x, dropout) if dropout and p.bool("input_dropout") else x
        hidden: list[str] = []
        for number in range(depth):
            found = build.layered(build.dropped(hidden[-1], dropout) if number else x, width)
            found = build(activation, found if norm is None else build(norm, found))
            hidden.append(build(ops.Add(), found, hidden[-1]) if skips and number else found)
        return self._ended(p, build, build.dropped(build.jumped(hidden, jump), dropout))

    def _layer(self, p: Parameters) -> tuple[str, str, int]:
        """Return the kind of layers, their aggregation and heads."""
        layer = p.choice("layer", self.layers)
        aggregation = p.choice("aggregation", AGGREGATIONS) if layer in AGGREGATED else ""
        fitting = [heads for heads in HEADS if all(width % heads == 0 for width in self.widths)]
        return layer, aggregation, p.ordered("heads", fitting) if layer in HEADED else 1

    def _ended(self, p: Parameters, build: _Builder, x: str) -> Graph:
        """Return the network with its output."""
        if self.ends.pooled:
            pooled = build(POOLS[p.choice("pool", tuple(POOLS))], x, build(ops.Membership(), name="membership"))
            return build.graph(build(ops.Linear(self.ends.outputs), pooled))
        if p.bool("propagated"):
            x = build(ops.Linear(self.ends.outputs), x)
            return build.graph(build(ops.APPNP(STEPS, RESTART), x, build.edges))
        if build.layer == "linear" or p.bool("linear_head"):
            return build.graph(build(ops.Linear(self.ends.outputs), x))
        return build.graph(build.layered(x, self.ends.outputs, heads=1))


class _Builder:
    """Adds layers of one kind to a graph.

    Args:
        build: the graph so far.
        ends: what the network reads.
        layer: the kind.
        aggregation: of neighbours, where the layer has a choice.
        heads: of attention.
    """

    def __init__(self, build: GraphBuilder, ends: GraphEnds, layer: str, aggregation: str, heads: int) -> None:
        self._build, self._ends = build, ends
        self.layer, self._aggregation, self._heads = layer, aggregation, heads
        self._edges = self.read = ""

    def __call__(self, op: Op, *inputs: str, name: str | None = None) -> str:
        return self._build(op, *inputs, name=name)

    def graph(self, output: str) -> Graph:
        """Return the graph with an output."""
        return self._build.graph(output)

    @property
    def edges(self) -> str:
        """The node of the edges, which is there once something reads it."""
        if not self._edges:
            self._edges = self(ops.Edges(self._ends.degree), name="edges")
        return self._edges

    def layered(self, x: str, units: int, *, heads: int | None = None) -> str:
        """Add a layer, which reads the edges that are not dropped."""
        op = LAYERS[self.layer](units, self._aggregation, self._heads if heads is None else heads)
        if self.layer == "linear":
            return self(op, x)
        read = self.read or self.edges
        return self(op, self(ops.GINConv(), x, read)) if self.layer == "gin" else self(op, x, read)

    def dropped(self, x: str, dropout: float) -> str:
        """Add dropout, if there is any."""
        return self(ops.Dropout(dropout), x) if dropout else x

    def jumped(self, hidden: Sequence[str], jump: str) -> str:
        """Add what brings all hidden layers together."""
        if jump == "cat":
            return self(ops.Concat(), *hidden)
        found = hidden[-1]
        for one in hidden[:-1] if jump == "max" else ():
            found = self(ops.Maximum(), found, one)
        return found
