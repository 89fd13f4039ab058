"""The architectures of NAS-Bench-Graph: four graph layers wired as a tree; 26,206 that differ.

Qin et al., *NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search*, NeurIPS 2022, arXiv 2206.09166. Every
layer reads the input or an earlier layer; layers that nobody reads go to the output. The graph of a point is a sketch,
one width for inputs and layers, whose key the published table knows; :func:`network` is one to be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import permutations

from archgraph.errors import GraphError, SpaceError
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.ops import (
    ChebConv,
    Concat,
    Dropout,
    Edges,
    GATConv,
    GCNConv,
    GINConv,
    Identity,
    Input,
    Linear,
    ReLU,
    SAGEConv,
    TAGConv,
)
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.domain import Value
from archgraph.spaces.graph_ends import GraphEnds
from archgraph.spaces.legend import Legend
from archgraph.spaces.parameters import Parameters

OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""What a layer may be, in the order of the published table."""
LINKS = (
    *((0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 1, 2), (0, 0, 1, 3)),
    *((0, 1, 1, 1), (0, 1, 1, 2), (0, 1, 2, 2), (0, 1, 2, 3)),
)
"""What the four layers read, 0 the input and k layer k: every tree of four layers but for the order of layers."""
LAYERS = ("layer1", "layer2", "layer3", "layer4")
ARCHITECTURES = 26_206
"""How many differ, as published; the tests count them."""
WIDTH = 64

Architecture = tuple[tuple[int, ...], tuple[str, ...]]
Tree = tuple[str, tuple["Tree", ...]]
"""A layer's operation and what reads it; the root is the input."""

EDGELESS = {"fc", "skip"}

_LAYERS: dict[str, Callable[[int], Op]] = {
    "gat": lambda width: GATConv(width // 2, heads=2),
    "gcn": lambda width: GCNConv(width),
    "gin": lambda width: GINConv(),
    "cheb": lambda width: ChebConv(width, K=2),
    "sage": lambda width: SAGEConv(width),
    "arma": lambda width: TAGConv(width, K=1),  # one stack of one layer: V x + W A x
    "graph": lambda width: SAGEConv(width, aggr="sum"),
    "fc": lambda width: Linear(width),
    "skip": lambda width: Identity(),
}
_SKETCH: dict[str, Op] = {name: layer(WIDTH) for name, layer in _LAYERS.items()}
_LEGEND = Legend("architecture of NAS-Bench-Graph", "layers", LAYERS, _SKETCH)


def nas_bench_graph() -> Defined:
    """The architectures of NAS-Bench-Graph: four graph layers and their links; points that mean the same are one.

    >>> nas_bench_graph().size
    26206
    """
    return space(_sketch, name="nas-bench-graph", merge=_merge, points=ARCHITECTURES)


def nas_bench_graph_network(graph: Graph, *, width: int = WIDTH, dropout: float = 0.5) -> Defined:
    """The networks made of the architectures of NAS-Bench-Graph, to be trained on nodes of a graph.

    Args:
        graph: gives the features, the number of outputs and the mean number of edges of a node.
        width: units of every layer; even, for two heads of attention.
        dropout: before the first and the last linear layer.

    Raises:
        SpaceError: when the seed graph makes no vector of a node from its features, or the width is odd.
    """
    ends = GraphEnds.of(graph)
    if ends.pooled:
        raise SpaceError("networks of NAS-Bench-Graph tell of nodes", expected="a seed graph without a membership")
    if width < 2 or width % 2:
        raise SpaceError("two heads of attention need an even width", got=width, hint=f"width={width + 1}")
    build = partial(_network, ends=ends, width=width, dropout=dropout)
    return space(build, name="nas-bench-graph-network", merge=_merge, points=ARCHITECTURES)


def _sketch(p: Parameters) -> Graph:
    return sketch(*_asked(p))


def _network(p: Parameters, *, ends: GraphEnds, width: int, dropout: float) -> Graph:
    return network(*_asked(p), ends=ends, width=width, dropout=dropout)


def _asked(p: Parameters) -> Architecture:
    link = p.choice("link", {_text(link): link for link in LINKS})
    operations = tuple(p.choice(layer, OPERATIONS) for layer in LAYERS)
    p.require(set(operations) != {"skip"}, "a layer that is no skip connection")
    return link, operations


def _merge(values: dict[str, Value]) -> dict[str, Value]:
    link = tuple(int(one) for one in str(values["link"]).split(","))
    link, operations = representative(link, tuple(str(values[layer]) for layer in LAYERS))
    return {"link": _text(link), **dict(zip(LAYERS, operations, strict=True))}


def _text(link: Sequence[int]) -> str:
    return ",".join(map(str, link))


def sketch(link: Sequence[int], operations: Sequence[str]) -> Graph:
    """Return the sketch of an architecture.

    Args:
        link: what the layers read, 0 the input and k layer k.
        operations: of the layers.

    Raises:
        SpaceError: when these are no four layers of this space.
    """
    if len(link) != 4 or len(operations) != 4 or any(not 0 <= read <= place for place, read in enumerate(link)):
        raise SpaceError("these are no four layers, each of which reads an earlier one", got=(link, operations))
    if not set(operations) <= set(OPERATIONS):
        raise SpaceError("these are no operations of NAS-Bench-Graph", expected=OPERATIONS, got=tuple(operations))
    build = GraphBuilder()
    made, edges = [build(Input((WIDTH,)), name="x")], build(Edges(), name="edges")
    for layer, read, operation in zip(LAYERS, link, operations, strict=True):
        op = _SKETCH[operation]
        made.append(build(op, made[read], *([edges] * (op.arity[0] > 1)), name=layer))
    leaves = [made[place] for place in range(1, 5) if place not in link]
    return build.graph(leaves[0] if len(leaves) == 1 else build(Concat(), *leaves, name="leaves"))


def network(
    link: Sequence[int], operations: Sequence[str], *, ends: GraphEnds, width: int = WIDTH, dropout: float = 0.5
) -> Graph:
    """Return the network of an architecture: a linear layer, the four layers with ReLU, and a linear layer.

    Hyper-parameters of the published trainings differ from graph to graph; these are usual ones.

    Args:
        link: what the layers read, 0 the first linear layer and k layer k.
        operations: of the layers.
        ends: features of a node, outputs and degree.
        width: units of every layer.
        dropout: before the first and the last linear layer.
    """
    build = GraphBuilder()
    x = build(Input((ends.features,)), name="x")
    begun = build(ReLU(), build(Linear(width), build(Dropout(dropout), x)))
    made, edges = [begun], ""
    if set(operations) - EDGELESS:
        edges = build(Edges(ends.degree), name="edges")
    for layer, read, operation in zip(LAYERS, link, operations, strict=True):
        if operation == "skip":
            made.append(made[read])
            continue
        op = _LAYERS[operation](width)
        found = build(op, made[read], *([edges] * (op.arity[0] > 1)), name=layer)
        if operation == "gin":  # the layer adds up neighbours; what is learnt stands behind it
            found = build(Linear(width), build(ReLU(), build(Linear(width), found)))
        made.append(build(ReLU(), found))
    leaves = list(dict.fromkeys(made[place] for place in range(1, 5) if place not in link))
    x = leaves[0] if len(leaves) == 1 else build(Concat(), *leaves)
    return build.graph(build(Linear(ends.outputs), build(Dropout(dropout), x)))


def operations(graph: Graph) -> Architecture:
    """Return the links and operations by which the published table knows the architecture of a sketch.

    Raises:
        GraphError: when the graph is no sketch of this space; the node is shown.
    """
    made = _LEGEND.read(graph)
    places = {"x": 0} | {layer: place for place, layer in enumerate(LAYERS, start=1)}
    link = []
    for node in map(graph.node, LAYERS):
        if node.inputs[0] not in places:
            raise GraphError(
                f"this is no architecture of NAS-Bench-Graph: {node.name!r} reads none of its layers",
                expected=" or ".join(places),
                got=node.inputs[0],
                place=str(node),
            )
        link.append(places[node.inputs[0]])
    return representative(tuple(link), made)


@lru_cache(maxsize=1 << 16)
def representative(link: tuple[int, ...], operations: tuple[str, ...]) -> Architecture:
    """Return the architecture that stands for all that compute the same.

    Skip connections that are read, or are all that reads a layer, hand on what they read and are left out, and so are
    those from the input to the output; as many are put in front of the first layer. What is left is a tree: of its
    numberings the first in alphabetical order of links and operations counts.

    Args:
        link: what the layers read, 0 the input and k layer k.
        operations: of the layers.

    >>> representative((0, 0, 2, 0), ("skip", "gcn", "skip", "gat"))
    ((0, 1, 2, 2), ('skip', 'skip', 'gat', 'gcn'))
    """
    branches = _without_skips([_tree(child, link, operations) for child in _readers(0, link)], at_input=True)
    missing = 4 - sum(map(_count, branches))
    for _ in range(missing):
        branches = [("skip", tuple(branches))]
    read, made = _numbered(branches)
    ranks = [OPERATIONS.index(operation) for operation in made]
    found = []
    for order in permutations(range(4)):  # new number of each layer, from 0
        at = {0: 0} | {place + 1: new + 1 for place, new in enumerate(order)}
        ordered = sorted((at[place + 1], at[read[place]], ranks[place]) for place in range(4))
        if (links := tuple(source for _, source, _ in ordered)) in LINKS:
            found.append((links, tuple(rank for _, _, rank in ordered)))
    links, best = min(found)
    return links, tuple(OPERATIONS[rank] for rank in best)


def _readers(place: int, link: Sequence[int]) -> Iterator[int]:
    return (reader for reader, read in enumerate(link, start=1) if read == place)


def _tree(place: int, link: Sequence[int], operations: Sequence[str]) -> Tree:
    """Return a layer and what reads it, without the skip connections that only hand on."""
    below = [_tree(child, link, operations) for child in _readers(place, link)]
    return operations[place - 1], tuple(_without_skips(below))


def _without_skips(branches: list[Tree], *, at_input: bool = False) -> list[Tree]:
    """Leave out skip connections that are read, and those to the output that stand alone or begin at the input."""
    found: list[Tree] = []
    for operation, below in branches:
        found += below if operation == "skip" and below else [(operation, below)]
    if at_input or len(found) == 1:
        found = [branch for branch in found if branch[0] != "skip"]
    return found


def _count(tree: Tree) -> int:
    return 1 + sum(map(_count, tree[1]))


def _numbered(branches: Sequence[Tree]) -> tuple[list[int], list[str]]:
    """Return what every layer of some trees reads, and its operation, with layers behind what they read."""
    link: list[int] = []
    operations: list[str] = []
    waiting = [(0, tree) for tree in branches]
    while waiting:
        read, (operation, below) = waiting.pop(0)
        link.append(read)
        operations.append(operation)
        waiting += [(len(link), tree) for tree in below]
    return link, operations
