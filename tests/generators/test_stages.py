"""Stages: none is lost, equal shares differ by one node at most."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgraph.generators.stages import apportion, side


@pytest.mark.parametrize("nodes", range(3, 41))
def test_equal_shares(nodes: int) -> None:
    for share in (1.0, 0.33, 1.0 / 3.0):
        found = apportion(nodes, (share,) * 3)
        counts = Counter(found)
        assert list(found) == sorted(found)
        assert sorted(counts) == [0, 1, 2]
        assert max(counts.values()) - min(counts.values()) <= 1
        assert counts[0] >= counts[1] >= counts[2]


def test_whole_shares_of_one_do_not_collapse_into_one_stage() -> None:
    assert apportion(10, (1.0, 1.0, 1.0)) == (0, 0, 0, 0, 1, 1, 1, 2, 2, 2)


@given(st.integers(1, 30), st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_shares_are_met_as_far_as_every_stage_has_a_node(nodes: int, shares: list[float]) -> None:
    found = apportion(nodes, shares)
    counts = Counter(found)
    assert len(found) == nodes
    assert list(found) == sorted(found)
    assert sorted(counts) == list(range(min(nodes, len(shares))))
    for stage, count in counts.items():
        assert count <= max(1.0, shares[stage] / sum(shares) * nodes + 1.0)
    assert found == apportion(nodes, [4.0 * share for share in shares])


def test_sides() -> None:
    assert [[side(length, stage) for stage in range(3)] for length in (8, 28, 7, 1)] == [
        [8, 4, 2],
        [28, 14, 7],
        [7, 4, 2],
        [1, 1, 1],
    ]
    assert [side(41, stage, large=True) for stage in range(3)] == [11, 6, 3]
