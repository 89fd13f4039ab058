"""Everything a graph may grow by, listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archgraph.errors import UnknownName
from archgraph.graph import Absorb, Graph, label, rule_of
from archgraph.moves import AddEdge, resizable
from archgraph.overgrown.candidate import KINDS, Candidate, NewEdge, NewLayer, NewUnits, SplitUnits

FEWEST = 8
"""Fresh units that are tried at a node by default, at least: of one or two none may point anywhere useful."""


def candidates(
    graph: Graph,
    kinds: Sequence[str] = KINDS,
    *,
    new_units: int | None = None,
    layer_width: int | None = None,
    kernel_size: int = 3,
) -> tuple[Candidate, ...]:
    """Return everything a graph may grow by; of coupled units, those of the first node stand for all.

    Layers go where one layer's units reach the next: behind nodes that a node with units of its own reads. Edges lead
    from one such place (or an input) to a later one, so that all of them together close no circle. Units that nothing
    bends before they are mixed again may be listed: splitting them changes nothing and so promises nothing.

    Args:
        graph: the graph.
        kinds: which families, of ``"split"``, ``"new"``, ``"layer"`` and ``"edge"``.
        new_units: fresh units a node; as many as it has by default, :data:`FEWEST` at least.
        layer_width: units of an inserted bottleneck; as many as the node behind which it stands by default.
        kernel_size: of inserted convolutions, odd, in pixels.

    Raises:
        UnknownName: when no family is called so.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName.among("kind of candidates", kind, KINDS)
    found: list[Candidate] = []
    if "split" in kinds:
        found += _splits(graph)
    if "new" in kinds:
        found += _news(graph, new_units)
    places = [name for name in graph.nodes if any(isinstance(rule_of(graph, u), Absorb) for u in graph.users(name))]
    if "layer" in kinds:
        layers = (
            NewLayer(name, layer_width or graph.shape(name).units, None, kernel_size)
            for name in places
            if name not in graph.inputs
        )
        found += [layer for layer in layers if layer.move.refusal(graph) is None]
    if "edge" in kinds:
        found += _edges(graph, places)
    return tuple(found)


def _splits(graph: Graph) -> Iterator[SplitUnits]:
    labels, taken = label(graph), set[int]()
    for name, free in resizable(graph):
        if "." in name:
            continue
        owned = labels.of[name]
        units = []
        for unit in free:
            if int(owned[unit]) not in taken:
                taken.add(int(owned[unit]))
                units.append(unit)
        if units:
            yield SplitUnits(name, tuple(units))


def _news(graph: Graph, wanted: int | None) -> Iterator[NewUnits]:
    labels, taken = label(graph), set[int]()
    for name, free in resizable(graph):
        if "." not in name and int(labels.of[name][free[-1]]) not in taken:
            taken.add(int(labels.of[name][free[-1]]))
            yield NewUnits(name, wanted or max(FEWEST, graph.units(name)))


def _edges(graph: Graph, places: list[str]) -> Iterator[NewEdge]:
    order = {name: place for place, name in enumerate(graph.nodes)}
    fit = set(places)
    for move in AddEdge.sites(graph):
        forward = order[move.source] < order[move.target] and move.target not in graph.inputs
        if forward and move.source in fit and move.target in fit:
            yield NewEdge(move.source, move.target)
