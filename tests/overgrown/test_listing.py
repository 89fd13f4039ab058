"""What a graph may grow by."""

from __future__ import annotations

import pytest

from archgraph import Graph
from archgraph.errors import UnknownName
from archgraph.overgrown import NewEdge, NewLayer, NewUnits, SplitUnits, candidates
from tests.moves.graphs import GRAPHS
from tests.overgrown.families import FAMILIES


def test_units_of_a_residual_stream_are_listed_once() -> None:
    graph = FAMILIES["residual stream"]
    assert candidates(graph, ("split",)) == (SplitUnits("a", (0, 1, 2)), SplitUnits("b", (0, 1, 2, 3)))
    assert candidates(graph, ("new",)) == (NewUnits("a", 8), NewUnits("b", 8))
    assert candidates(graph, ("new",), new_units=4) == (NewUnits("a", 4), NewUnits("b", 4))
    assert candidates(graph, ("new",), new_units=2) == (NewUnits("a", 2), NewUnits("b", 2))


def test_pinned_units_are_not_listed() -> None:
    assert candidates(FAMILIES["transformer"], ("split", "new")) == (SplitUnits("a", tuple(range(5))), NewUnits("a", 8))


def test_layers_stand_where_a_layer_is_read() -> None:
    graph = FAMILIES["multilayer perceptron"]
    assert candidates(graph, ("layer",)) == (NewLayer("r", 4), NewLayer("s", 6))
    assert candidates(graph, ("layer",), layer_width=5, kernel_size=1) == (
        NewLayer("r", 5, None, 1),
        NewLayer("s", 5, None, 1),
    )


def test_edges_lead_forward() -> None:
    assert candidates(FAMILIES["multilayer perceptron"], ("edge",)) == (
        NewEdge("x", "r"),
        NewEdge("x", "s"),
        NewEdge("r", "s"),
    )


def test_edges_between_branches_lead_one_way() -> None:
    """``r`` and ``u`` stand side by side: both ways together would close a circle."""
    graph = GRAPHS["shared weights"]
    between = {(edge.source, edge.target) for edge in candidates(graph, ("edge",)) if isinstance(edge, NewEdge)}
    order = list(graph.nodes)
    assert between and all(order.index(source) < order.index(target) for source, target in between)
    assert len({("r", "u"), ("u", "r")} & between) == 1


def test_all_kinds_by_default_in_their_order() -> None:
    kinds = [candidate.kind for candidate in candidates(FAMILIES["concats"])]
    assert kinds == sorted(kinds, key=("split", "new", "layer", "edge").index) and len(set(kinds)) == 4


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownName, match="did you mean 'split'"):
        candidates(FAMILIES["concats"], ("splits",))


def test_as_many_new_units_are_tried_as_there_are_and_eight_at_least() -> None:
    graph = Graph.parse("x = Input((3,))\na = Linear(11)(x)\nr = Tanh()(a)\no = Linear(2)(r)\nreturn o")
    assert candidates(graph, ("new",)) == (NewUnits("a", 11),)
