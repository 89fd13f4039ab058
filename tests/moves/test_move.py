"""The contract of moves: text, values, refusals; and which units can be resized."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, Move, Network
from archgraph.errors import MoveRefused, ParseError, UnknownName
from archgraph.moves import Duplicate, Prune, Split, parse, resizable
from tests import strategies as some

MOVES = [
    (Duplicate("conv2d1", (0, 2)), "Duplicate('conv2d1', units=(0, 2))"),
    (Duplicate("conv2d1", (0,), copies=3), "Duplicate('conv2d1', units=(0,), copies=3)"),
    (Prune("a", (1, 3)), "Prune('a', units=(1, 3))"),
    (Prune("a", (1, 3), into=(0, 2)), "Prune('a', units=(1, 3), into=(0, 2))"),
    (Split("a", (1,)), "Split('a', units=(1,))"),
    (Split("a", (1,), weights=((0.25, 0.75),)), "Split('a', units=(1,), weights=((0.25, 0.75),))"),
]


@pytest.mark.parametrize(("move", "text"), MOVES, ids=[case[1] for case in MOVES])
def test_repr_parses_back(move: Move, text: str) -> None:
    assert repr(move) == text
    assert parse(text) == move and hash(parse(text)) == hash(move)


@settings(max_examples=40)
@given(st.data())
def test_random_moves_parse_back_and_do_the_same(data: st.DataObject) -> None:
    graph = data.draw(some.graphs())
    move = data.draw(some.moves(graph))
    again = parse(repr(move))
    assert again == move and again.apply(graph) == move.apply(graph)


@pytest.mark.parametrize("kind", [Duplicate, Prune, Split], ids=lambda kind: kind.__name__)
def test_every_site_is_legal_and_applies_to_graphs_and_networks_alike(kind: type[Move]) -> None:
    @settings(max_examples=40)
    @given(some.graphs())
    def check(graph: Graph) -> None:
        network, text = Network.init(graph), str(graph)
        sites = list(kind.sites(graph))
        assert len(set(sites)) == len(sites)
        for move in sites:
            assert move.refusal(graph) is None
            assert move.apply(network).graph == move.apply(graph) != graph
        assert str(graph) == text

    check()


def test_lists_and_ranges_become_tuples() -> None:
    move = Split("a", [0, 1], weights=[[0.5, 0.5], (1.0,)])
    assert move == Split("a", (0, 1), weights=((0.5, 0.5), (1.0,))) and parse(repr(move)) == move
    assert Duplicate("a", range(3)) == Duplicate("a", (0, 1, 2))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ParseError, "is not a move"),
        ("Duplicate", ParseError, "expected Name"),
        ("Duplicate('a', units=(0,)", ParseError, "never closed"),
        ("Duplicate('a')", ParseError, "missing 1 required positional argument: 'units'"),
        ("Duplicate('a', (0,), width=3)", ParseError, "unexpected keyword argument 'width'"),
        ("Duplicate('a', **{'units': (0,)})", ParseError, "is not a move"),
        ("Duplicate(__import__('os'), (0,))", ParseError, "is not a move"),
        ("moves.Duplicate('a', (0,))", ParseError, "expected Name"),
        ("Duplicate(" + "-" * 5000 + "1)", ParseError, "is not a move"),
        ("Duplikate('a', (0,))", UnknownName, "did you mean 'Duplicate'"),
        ("__import__('os')", UnknownName, "unknown move '__import__'"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_parse_errors(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse(text)


def test_refusal_names_the_node_in_the_way() -> None:
    graph = Graph.parse("x = Input((3,))\na = Linear(5)(x)\nb = LayerNorm()(a)\nc = Linear(2)(b)\nreturn c")
    assert (
        Duplicate("a", (0,)).refusal(graph)
        == "unit 0 of node 'a' cannot be resized: node 'b' normalises over its units"
    )
    assert "unknown node" in str(Duplicate("z", (0,)).refusal(graph))


@pytest.mark.parametrize("kind", [Duplicate, Prune, Split], ids=lambda kind: kind.__name__)
def test_a_node_without_units_of_its_own_is_refused_with_one_that_has(kind: type[Move]) -> None:
    graph = Graph.parse(
        "x = Input((3,))\na = Linear(5)(x)\nb = Concat()(a, a)\nc = ReLU()(b)\nd = Linear(2)(c)\nreturn d"
    )
    with pytest.raises(MoveRefused, match="node 'c' has no units of its own") as caught:
        kind("c", (0,)).apply(graph)
    assert caught.value.hint == "name the node that makes them, for example 'a'"
    assert caught.value.place == "c = ReLU()(b)"


def test_resizable() -> None:
    graph = Graph.parse(
        "x = Input((3,))\na = Linear(3)(x)\nb = Linear(2)(a)\nc = Add()(a, x)\nd = Concat()(b, c)\n"
        "e = Linear(5)(d)\nf = Linear(5)(d) @ e\ng = Multiply()(e, f)\nh = Linear(7)(g)\nreturn h"
    )
    assert list(resizable(graph)) == [("b", (0, 1)), ("e", (0, 1, 2, 3, 4))]
