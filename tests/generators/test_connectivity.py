"""Repair adds one edge less than there are components, between components."""

from __future__ import annotations

import random

import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph.generators.connectivity import components, missing
from archgraph.generators.random_graphs import Edge


@st.composite
def forests(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    nodes = draw(st.integers(1, 9))
    pairs = [(a, b) for a in range(nodes) for b in range(a + 1, nodes)]
    return nodes, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8)) if pairs else []


@settings(max_examples=100)
@given(forests(), st.integers(0, 9))
def test_the_fewest_edges_connect(graph: tuple[int, list[Edge]], seed: int) -> None:
    nodes, edges = graph
    slow = networkx.Graph(edges)
    slow.add_nodes_from(range(nodes))
    expected = sorted(sorted(part) for part in networkx.connected_components(slow))
    assert components(nodes, edges) == expected
    more = missing(nodes, edges, random.Random(seed))
    assert len(more) == len(expected) - 1
    assert all(a < b for a, b in more)
    assert not set(more) & set(edges)
    assert len(components(nodes, [*edges, *more])) == 1
    assert more == missing(nodes, edges, random.Random(seed))


def test_added_edges_may_lie_anywhere_between_components() -> None:
    edges = [(0, 1), (2, 3)]
    found = {missing(4, edges, random.Random(seed)) for seed in range(60)}
    assert found == {((0, 2),), ((0, 3),), ((1, 2),), ((1, 3),)}
