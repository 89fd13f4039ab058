"""Spaces: points are counted, drawn, encoded, mutated and crossed as the tree of their conditions says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archgraph import Graph, chain, ops
from archgraph.errors import SpaceError, UnknownName, Unsatisfied
from archgraph.spaces import Choice, Choose, Domain, Float, Int, Ordered, Parameters, Space, Value, space
from archgraph.testing import check_space
from tests.spaces.drawn_spaces import Branch, branches, points, spelled


@dataclass(frozen=True)
class Plain(Space):
    """Written by hand: ``kernel`` matters where ``op`` is a convolution; order of ``left`` and ``right`` does not."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        return {
            "op": Choice(("linear", "conv")),
            "kernel": Ordered((1, 3)),
            "left": Int(1, 3),
            "right": Int(1, 3),
            "rate": Float(0.0, 0.5),
        }

    def resolve(self, choose: Choose) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, domain in self.domains.items():
            if name != "kernel" or values["op"] == "conv":
                values[name] = choose(name, domain)
        return values

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        left, right = sorted((values["left"], values["right"]))  # type: ignore[type-var]
        return values | {"left": left, "right": right}

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        wide = ops.Conv2d(5, kernel_size=int(point["kernel"])) if point["op"] == "conv" else ops.ReLU()
        hidden = ops.Linear(int(point["left"]) * 10 + int(point["right"]))
        return chain(ops.Input((2, 6, 7)), wide, ops.Dropout(float(point["rate"])), ops.GlobalAvgPool(), hidden)


def test_a_space_written_by_hand_keeps_the_contract() -> None:
    check_space(Plain())


@settings(max_examples=25)
@given(branches())
def test_points_are_those_of_the_tree(level: list[Branch]) -> None:
    expected = points(level)
    assume(len(expected) <= 300)
    found = spelled(level)
    assert sorted(map(json.dumps, found.points())) == sorted(map(json.dumps, expected))
    assert found.size == len(expected)
    assert found.count.error == 0


@settings(max_examples=15)
@given(branches())
def test_spaces_of_random_trees_keep_the_contract(level: list[Branch]) -> None:
    check_space(spelled(level), draws=4)


@settings(max_examples=20)
@given(branches(), st.integers(0, 99))
def test_a_mutation_takes_one_step_and_draws_what_begins_to_matter(level: list[Branch], seed: int) -> None:
    found = spelled(level)
    point = found.draw(seed)
    mutant = found.mutate(point, seed)
    differing = [name for name in point if name in mutant and mutant[name] != point[name]]
    if found.size == 1 or not any(list(found.domains[name].neighbours(value)) for name, value in point.items()):
        assert mutant == point
    else:
        (name,) = differing
        assert mutant[name] in list(found.domains[name].neighbours(point[name]))
        others = set(point) ^ set(mutant)
        assert all(other.startswith(f"{name}_") for other in others)  # only what hangs on it comes and goes


@settings(max_examples=20)
@given(branches(), st.integers(0, 99))
def test_neighbours_are_all_points_a_step_away(level: list[Branch], seed: int) -> None:
    found = spelled(level)
    point = found.draw(seed)
    near = list(found.neighbours(point))
    assert len({found.key(one) for one in near}) == len(near)
    steps = sum(len(list(found.domains[name].neighbours(value))) for name, value in point.items())
    assert len(near) == steps
    for one in near:
        assert sum(one[name] != point[name] for name in point if name in one) == 1


@settings(max_examples=20)
@given(branches(), st.integers(0, 99))
def test_a_child_has_what_its_parents_have(level: list[Branch], seed: int) -> None:
    found = spelled(level)
    first, second = found.draw(seed), found.draw(seed + 100)
    child = found.crossover(first, second, seed)
    for name, value in child.items():
        having = [parent[name] for parent in (first, second) if name in parent]
        assert value in having or not having


def test_children_mix_both_parents() -> None:
    found = spelled([Branch(f"p{number}", Int(2, 4), {"2": [], "3": [], "4": []}) for number in range(6)])
    first, second = {f"p{number}": 2 for number in range(6)}, {f"p{number}": 4 for number in range(6)}
    children = [found.crossover(first, second, seed) for seed in range(20)]
    assert {value for child in children for value in child.values()} == {2, 4}
    assert len({json.dumps(child) for child in children}) > 10


def test_equivalent_values_are_one_point() -> None:
    plain = Plain()
    first = {"op": "linear", "kernel": 3, "left": 3, "right": 1, "rate": 0}
    second = {"rate": 0.0, "left": np.int64(1), "right": 3, "op": "linear"}
    assert plain.canonical(first) == {"op": "linear", "left": 1, "right": 3, "rate": 0.0}
    assert plain.key(first) == plain.key(second)
    assert plain.build(first) == plain.build(second)
    assert plain.key(first) != plain.key(first | {"op": "conv"})


def test_what_does_not_matter_is_in_the_middle() -> None:
    plain = Plain()
    assert [column.name for column in plain.columns] == ["op=linear", "op=conv", "kernel", "left", "right", "rate"]
    assert [column.levels for column in plain.columns][-3:] == [(0.0, 0.5, 1.0), (0.0, 0.5, 1.0), None]
    vector = plain.encode({"op": "linear", "left": 1, "right": 3, "rate": 0.25})
    assert vector.tolist() == [1.0, 0.0, 0.5, 0.0, 1.0, 0.5]
    assert plain.decode([0.9, 0.1, 0.9, 1.0, 0.2, 0.5]) == {"op": "linear", "left": 1, "right": 3, "rate": 0.25}


def test_a_seed_gives_a_point_in_any_process() -> None:
    assert Plain().draw(3) == {"op": "linear", "left": 1, "right": 1, "rate": 0.0974159330953}
    assert Plain().draw(3) != Plain().draw(4)


@pytest.mark.parametrize(
    ("values", "kind", "what"),
    [
        ({"op": "conv", "left": 1, "right": 1, "rate": 0.1}, SpaceError, "parameter 'kernel' is missing"),
        ({"op": "pool", "left": 1, "right": 1, "rate": 0.1}, SpaceError, "parameter 'op' cannot be 'pool'"),
        ({"op": "linear", "left": 4, "right": 1, "rate": 0.1}, SpaceError, r"left=4(.|\n)*|Int\(1, 3\)"),
        ({"op": "linear", "left": True, "right": 1, "rate": 0.1}, SpaceError, "parameter 'left' cannot be True"),
        ({"op": "linear", "width": 1}, UnknownName, "unknown parameter 'width'"),
    ],
)
def test_values_that_are_no_point(values: dict[str, Any], kind: type[Exception], what: str) -> None:
    with pytest.raises(kind, match=what):
        Plain().build(values)


@pytest.mark.parametrize("vector", [[0.5] * 5, [0.5] * 5 + [float("nan")], [[0.5] * 6]])
def test_vectors_that_are_no_point(vector: Any) -> None:
    with pytest.raises(SpaceError, match="this is no encoded point"):
        Plain().decode(vector)


@space
def picky(p: Parameters) -> Graph:
    """Two numbers of which the first is smaller."""
    first, second = p.int("first", 1, 5), p.int("second", 1, 5)
    p.require(first < second, "first < second")
    return chain(ops.Input((3,)), ops.Linear(10 * first + second))


def test_requirements_hold_for_all_that_is_drawn() -> None:
    for seed in range(60):
        point = picky.draw(seed)
        for found in (point, picky.mutate(point, seed), picky.crossover(point, picky.draw(seed + 99), seed)):
            assert int(found["first"]) < int(found["second"])
        assert all(int(one["first"]) < int(one["second"]) for one in picky.neighbours(point))
    assert picky.size == len(list(picky.points())) == 10
    with pytest.raises(Unsatisfied, match=r"first < second(.|\n)*first=3, second=2"):
        picky.build({"first": 3, "second": 2})
    with pytest.raises(Unsatisfied, match="first < second"):
        picky.decode([1.0, 0.0])


def test_where_no_step_is_left_a_point_stays() -> None:
    @space
    def diagonal(p: Parameters) -> Graph:
        first, second = p.int("first", 1, 3), p.int("second", 1, 3)
        p.require(first == second, "first == second")
        return chain(ops.Input((3,)), ops.Linear(first))

    point = {"first": 2, "second": 2}
    assert diagonal.mutate(point, 0) == point
    assert list(diagonal.neighbours(point)) == []
    assert diagonal.size == 3
