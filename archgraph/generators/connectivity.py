"""Making a graph connected with the fewest edges: one less than it has components."""

from __future__ import annotations

import random
from collections.abc import Iterable

from archgraph.generators.random_graphs import Edge


def components(nodes: int, edges: Iterable[Edge]) -> list[list[int]]:
    """Return the components of a graph, each in ascending order, in the order of their smallest nodes.

    >>> components(5, [(3, 1), (0, 4)])
    [[0, 4], [1, 3], [2]]
    """
    root = list(range(nodes))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = node = root[root[node]]
        return node

    for a, b in edges:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    members: dict[int, list[int]] = {}
    for node in range(nodes):
        members.setdefault(find(node), []).append(node)
    return list(members.values())


def missing(nodes: int, edges: Iterable[Edge], numbers: random.Random) -> tuple[Edge, ...]:
    """Draw edges that join the components of a graph.

    Each component but the first gets one edge, between any of its nodes and any of those joined before, all alike.

    Args:
        nodes: number of nodes.
        edges: the graph.
        numbers: source of randomness.

    Returns:
        One edge less than there are components.
    """
    joined, *rest = components(nodes, edges)
    found = []
    for part in rest:
        a, b = numbers.choice(joined), numbers.choice(part)
        found.append((min(a, b), max(a, b)))
        joined = joined + part
    return tuple(found)
