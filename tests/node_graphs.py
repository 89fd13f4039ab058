"""Random networks on graphs of nodes, and batches for them, for hypothesis. Sizes differ wherever they may."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from archgraph import Graph, Network, Op, ops
from archgraph.ops.edges import graph_input
from tests.strategies import Sketch, outputs_of

NODES = 7
LAYERS: tuple[str, ...] = ("gcn", "sage", "gat", "gatv2", "transformer", "gin", "cheb", "tag", "sgc", "appnp")


def layer(kind: str, units: int, heads: int = 2, *, concat: bool = True) -> Op:
    """A layer that reads nodes and edges."""
    return {
        "gcn": ops.GCNConv(units),
        "sage": ops.SAGEConv(units),
        "gat": ops.GATConv(units, heads=heads, concat=concat),
        "gatv2": ops.GATv2Conv(units, heads=heads, concat=concat),
        "transformer": ops.TransformerConv(units, heads=heads, concat=concat, beta=concat),
        "gin": ops.GINConv(0.3, train_eps=True),
        "cheb": ops.ChebConv(units, K=2),
        "tag": ops.TAGConv(units, K=2),
        "sgc": ops.SGConv(units, K=2),
        "appnp": ops.APPNP(K=2, alpha=0.3),
    }[kind]


@st.composite
def node_graphs(draw: st.DrawFn, kinds: tuple[str, ...] = LAYERS) -> Graph:
    """Layers on graphs with skips, norms, jumping knowledge, weights of edges, and sometimes a pooling at the end."""
    sketch = Sketch(draw)
    x, edges = sketch(ops.Input((3,))), sketch(ops.Edges(3))
    linked = sketch(ops.DropEdge(0.2), edges) if sketch.pick(False, True) else edges
    trail = [sketch(ops.Linear(5), x)]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)):
        x, units = trail[-1], next(sketch.widths)
        op = layer(kind, units, int(sketch.pick(1, 2, 3)), concat=bool(sketch.pick(True, False)))
        y = sketch(op, x, linked)
        if sketch.pick(False, True):
            y = sketch(sketch.pick(ops.BatchNorm(), ops.GraphNorm(), ops.PairNorm()), y)
        y = sketch.activation(y)
        if sketch.pick(False, True):  # a residual branch
            y = sketch(ops.Add(), y, sketch(ops.Linear(sketch.shapes[y].units), x))
        trail.append(y)
    last = trail[-1]
    if len(trail) > 2 and sketch.pick(False, True):
        last = sketch(ops.Concat(), *trail[1:])
    if sketch.pick(False, True):
        membership = sketch(ops.Membership())
        pool = sketch.pick("add", "mean", "max", "attention")
        if pool == "attention":
            last = sketch(ops.GraphAttentionPool(), last, sketch(ops.Linear(1), last), membership)
        else:
            kind = {"add": ops.GraphAddPool, "mean": ops.GraphMeanPool, "max": ops.GraphMaxPool}[str(pool)]
            last = sketch(kind(), last, membership)
    sketch(ops.Linear(2), last)
    return sketch.graph()


def nodes_of(graph: Graph, seed: int = 0, nodes: int = NODES) -> tuple[Tensor, ...]:
    """Features, edges (some of them loops, some twice, one node without any) and memberships for a network."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for name in graph.inputs:
        given = graph_input(graph, name, nodes, generator)
        if given is None:
            given = torch.randn(nodes, *graph.shape(name).dims, generator=generator, dtype=torch.float64)
        found.append(given)
    return tuple(found)


def still(network: Network) -> Network:
    """The same network without what is drawn anew in every pass."""
    with network.graph.edit() as edit:
        for node in network.graph:
            if isinstance(node.op, ops.DropEdge):
                edit.replace(node.name, ops.DropEdge(0.0))
    return Network(edit.graph, network.weights)


def gap(one: Network, other: Network) -> float:
    """Largest change of an output, relative to the largest output, in eval and train mode."""
    inputs, worst = nodes_of(one.graph, seed=11), 0.0
    for train in (False, True):
        for a, b in zip(*(outputs_of(still(net), inputs, train=train) for net in (one, other)), strict=True):
            worst = max(worst, float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)))
    return worst
