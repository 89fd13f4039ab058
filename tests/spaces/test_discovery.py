"""Exploring a build function: every condition on one parameter is found, in a good order, and what it costs."""

from __future__ import annotations

from archgraph import Graph, chain, ops
from archgraph.spaces import Choice, Parameters, space
from archgraph.spaces.conditions import Condition

GRAPH = chain(ops.Input((2,)), ops.Linear(3))


def test_rare_values_are_tried_on_purpose() -> None:
    @space(tries=1)
    def rare(p: Parameters) -> Graph:
        if p.int("first", 1, 30) == 17 and p.int("second", 1, 30) == 23 and p.choice("third", "abcdefgh") == "g":
            p.bool("fourth")
        return GRAPH

    assert list(rare.domains) == ["first", "second", "third", "fourth"]
    assert rare.size == 29 + 29 + 7 + 2  # one chance in 7200 a draw, found by trying values one by one
    assert len(rare.discovery.traces) < 150


def test_what_is_met_late_stands_where_it_is_asked_for() -> None:
    @space
    def nested(p: Parameters) -> Graph:
        if p.int("a", 0, 9) == 7:
            p.bool("b")
        p.bool("c")
        if p.bool("d"):
            p.bool("e")
        return GRAPH

    assert list(nested.domains) == ["a", "b", "c", "d", "e"]


def test_conditions_are_read_off() -> None:
    @space
    def known(p: Parameters) -> Graph:
        kind = p.choice("kind", ("conv", "pool", "skip"))
        if kind != "skip":
            size = p.ordered("size", (1, 3, 5))
            if kind == "conv" and size > 1:
                p.bool("dilated")
        for layer in range(p.int("depth", 0, 3)):
            p.bool(f"norm{layer}")
        return GRAPH

    told = {name: condition and str(condition) for name, condition in known.conditions.items()}
    assert told == {
        "size": "kind in ('conv', 'pool')",
        "dilated": None,  # two parameters tell together
        "norm0": "depth >= 1",
        "norm1": "depth >= 2",
        "norm2": "depth >= 3",
    }
    assert known.size == len(list(known.points())) == ((1 + 2 + 2) + 3 + 1) * (1 + 2 + 4 + 8)
    assert known.count.how == "walked"


def test_conditions_tell_numbers_from_truth_values() -> None:
    condition = Condition("p", Choice((1, True)), (1,))
    assert condition.holds(1)
    assert not condition.holds(True)


def test_the_same_function_is_explored_alike() -> None:
    def build(p: Parameters) -> Graph:
        for number in range(p.int("depth", 1, 5)):
            p.float(f"rate{number}", 0, 1)
        return GRAPH

    first, second = space(build).discovery, space(build).discovery
    assert first.domains == second.domains
    assert first.traces == second.traces
