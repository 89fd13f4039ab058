"""Where new units may stand: the layers that would make them, and those that would hear them.

A new unit is coupled to others as the last unit of a node is that may be resized: in a residual stream every layer that
writes into the stream gets a row for it, and every layer that reads the stream a column. Layers that read it in a way
that no criterion here knows (attention, grouped products) get a column of zeros and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archgraph import ops
from archgraph.graph import Absorb, Graph, around, label, rule_of
from archgraph.ops.layout import each
from archgraph.scoring.closure import Refused
from archgraph.scoring.layer import GRAPH_LAYERS, copies_of_columns

READERS = (ops.Linear, ops.Conv1d, ops.Conv2d, *GRAPH_LAYERS)
"""Ops whose columns a criterion can fill."""


@dataclass(frozen=True)
class Reader:
    """A layer that would hear new units.

    Args:
        node: the layer.
        boundary: the node that it reads.
        offsets: J, how many weights of each of its units a new unit has: entries of its kernel, positions of a map
            that was flattened, or one for every way in which a graph convolution propagates.
    """

    node: str
    boundary: str
    offsets: int


@dataclass(frozen=True)
class Spot:
    """A place for new units.

    Args:
        node: that names it; with units of its own.
        unit: the last unit of it that may be resized: new ones are coupled as this is.
        producers: nodes with units of their own that would make them, in topological order.
        readers: layers that would hear them, in topological order.
        between: all nodes whose units are coupled to a new one, in topological order.
    """

    node: str
    unit: int
    producers: tuple[str, ...]
    readers: tuple[Reader, ...]
    between: tuple[str, ...]


def spot(graph: Graph, name: str) -> Spot | Refused:
    """Return where new units of a node would stand, or why no criterion can propose any.

    Args:
        graph: the graph.
        name: a node with units of its own.

    Raises:
        UnknownName: when there is no such node.
    """
    graph.op(name)
    if not isinstance(rule_of(graph, name), Absorb) or not graph.tensors(name):
        return Refused("has no units of its own")
    labels = around(graph, name)
    free = labels.free(name)
    if not len(free):
        culprit, reason = labels.pins[int(labels.of[name][-1])]
        return Refused(f"cannot be resized: node {culprit!r} {reason}")
    coupled = labels.coupled(name, int(free[-1]))
    if len(coupled[name]) > 1:
        return Refused("couples its units to one another")
    between = tuple(node for node in graph.nodes if node in coupled)
    producers = tuple(node for node in between if isinstance(rule_of(graph, node), Absorb))
    shared = [node for node in producers if len(graph.tied(node)) > 1]
    if shared:
        return Refused(f"makes units that node {shared[0]!r} makes by weights it shares")
    found: list[Reader] = []
    reason = "is read by no layer that could hear new units"
    for node in graph.nodes:
        sources = [source for source in graph.node(node).inputs if source in coupled]
        if not sources or not isinstance(rule_of(graph, node), Absorb):
            continue
        deaf = _deaf(graph, node, len(coupled[sources[0]]))
        if deaf is None:
            found.append(Reader(node, sources[0], offsets(graph, node, len(coupled[sources[0]]))))
        else:
            reason = f"is read by node {node!r}, which {deaf}"
    return Spot(name, int(free[-1]), producers, tuple(found), between) if found else Refused(reason)


def spots(graph: Graph, sites: Sequence[str] | None = None) -> tuple[dict[str, Spot], dict[str, str]]:
    """Return the places for new units by the node that names each, and why other nodes have none.

    Args:
        graph: the graph.
        sites: nodes; by default all, where the first of the nodes that would get the same units stands for the others.

    Raises:
        UnknownName: when a node is not known.
    """
    found: dict[str, Spot] = {}
    refused: dict[str, str] = {}
    taken: set[int] = set()
    for name in graph.nodes if sites is None else sites:
        makes = isinstance(rule_of(graph, name), Absorb) and graph.tensors(name) and graph.node(name).tie is None
        if sites is None and not makes:
            continue
        one = spot(graph, name)
        if isinstance(one, Refused):
            refused[name] = one.reason
            continue
        number = int(label(graph).of[name][one.unit])
        if number in taken:
            if sites is not None:
                refused[name] = "gains the same units as another of the nodes named"
            continue
        taken.add(number)
        found[name] = one
    return found, refused


def offsets(graph: Graph, reader: str, places: int) -> int:
    """Return how many weights each unit of a reader has for a unit that stands at some places of its input."""
    op = graph.op(reader)
    if isinstance(op, (ops.Linear, *GRAPH_LAYERS)):
        return places * copies_of_columns(graph, reader)
    size = 1
    for side in each(op.kernel_size, op.axes):  # type: ignore[attr-defined]
        size *= side
    return size


def _deaf(graph: Graph, name: str, places: int) -> str | None:
    """Return why a node's columns cannot be filled, as a clause, or None."""
    op = graph.op(name)
    if not isinstance(op, READERS):
        return f"is no linear layer or convolution of one or two sides ({type(op).__name__})"
    if len(graph.tied(name)) > 1:
        return "shares its weights with other nodes"
    if isinstance(op, GRAPH_LAYERS):
        return None
    if len(graph.node(name).inputs) > 1:
        return "reads several inputs"
    flat = isinstance(op, ops.Linear) and graph.input_shapes(name)[0].positions == 1
    if places > 1 and not flat:
        return "reads a new unit at several places"
    if isinstance(op, ops.Linear):
        return None
    if op.padding == "same" and any(not side % 2 for side in each(op.kernel_size, op.axes)):
        return "pads its input unevenly"
    return None
