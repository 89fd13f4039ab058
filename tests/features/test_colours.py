"""Colours against a slow second implementation with nested tuples in place of texts and hashes."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from archgraph.errors import SettingError
from archgraph.features.colours import DIRECTIONS, colours
from archgraph.features.leaf_dag import LeafDag


def drawn(nodes: int, seed: int) -> LeafDag:
    numbers = random.Random(seed)
    reads = [tuple(source for source in range(place) if numbers.random() < 0.5) for place in range(nodes)]
    labels = tuple(numbers.choice("ab") for _ in range(nodes))
    return LeafDag(tuple(f"n{place}" for place in range(nodes)), labels, tuple(reads))


def nested(dag: LeafDag, depth: int, direction: str) -> list[Counter[Any]]:
    readers = [[place for place, reads in enumerate(dag.reads) if source in reads] for source in range(len(dag.names))]
    held: list[Any] = list(dag.labels)
    counts = [Counter(held)]
    for _ in range(depth):
        before = held
        held = [
            (
                before[place],
                tuple(sorted((before[source] for source in dag.reads[place]), key=repr)) if direction != "out" else 0,
                tuple(sorted((before[source] for source in readers[place]), key=repr)) if direction != "in" else 0,
            )
            for place in range(len(before))
        ]
        counts.append(Counter(held))
    return counts


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_same_neighbourhoods_are_told_apart(direction: str) -> None:
    """Over pairs of graphs: the overlap of the counts is that of the slow implementation, level by level."""
    dags = [drawn(2 + seed % 5, seed) for seed in range(12)]
    fast = [colours(dag, 3, direction) for dag in dags]
    slow = [nested(dag, 3, direction) for dag in dags]
    for first in range(len(dags)):
        for second in range(first + 1):
            for level in range(4):
                shared = (fast[first][level] & fast[second][level]).total()
                assert shared == (slow[first][level] & slow[second][level]).total()


def reversed_dag(dag: LeafDag) -> LeafDag:
    last = len(dag.names) - 1
    reads = [
        tuple(last - place for place in range(last, -1, -1) if source in dag.reads[place]) for source in range(last + 1)
    ]
    return LeafDag(dag.names[::-1], dag.labels[::-1], tuple(reads[::-1]))


def test_direction_matters() -> None:
    fork = LeafDag(("x", "y", "z"), ("a", "a", "a"), ((), (0,), (0,)))
    assert colours(fork, 1)[1] != colours(reversed_dag(fork), 1)[1]
    assert colours(reversed_dag(reversed_dag(fork)), 2) == colours(fork, 2)


def test_names_and_order_do_not_matter() -> None:
    one = LeafDag(("x", "p", "q", "y"), ("in", "a", "b", "out"), ((), (0,), (0,), (1, 2)))
    two = LeafDag(("u", "v", "w", "t"), ("in", "b", "a", "out"), ((), (0,), (0,), (1, 2)))
    assert colours(one, 3) == colours(two, 3)


def test_hashes_are_those_of_any_process() -> None:
    counts = colours(LeafDag(("x", "y"), ("a", "b"), ((), (0,))), 2)
    assert counts[1] == {"a -> b": 1, "b <- a": 1}
    assert counts[2] == {"[31f01b908f7c5b3696cbdb41]": 1, "[dbcbbbfd1047aaeb1a5711d8]": 1}


def test_wrong_settings() -> None:
    with pytest.raises(SettingError, match="direction"):
        colours(drawn(3, 0), 1, "up")
    with pytest.raises(SettingError, match="depth"):
        colours(drawn(3, 0), -1)
