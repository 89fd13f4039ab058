"""The space of one graph at other widths."""

from __future__ import annotations

import random
from dataclasses import dataclass

from archgraph.errors import SettingError
from archgraph.graph import Graph, label
from archgraph.moves import Duplicate, Prune, resizable


@dataclass(frozen=True)
class Widths:
    """A graph with every layer that can be resized drawn at a width of its own.

    Layers whose units are coupled get one width. The factor is log-uniform between ``low`` and ``high``.

    Args:
        graph: the graph at factor one.
        low: smallest factor.
        high: greatest factor.

    Raises:
        SettingError: when the factors are not positive or in the wrong order.
    """

    graph: Graph
    low: float = 0.5
    high: float = 8.0

    def __post_init__(self) -> None:
        if not 0.0 < self.low <= self.high:
            raise SettingError("width factors must be positive and in order", got=(self.low, self.high))

    def sample(self, seed: int) -> Graph:
        """Return the graph that a seed stands for."""
        random_numbers, graph = random.Random(seed), self.graph
        done: set[int] = set()
        labels = label(graph)
        for name, free in resizable(self.graph):
            owned = {int(value) for value in labels.of[name]}
            factor = self.low * (self.high / self.low) ** random_numbers.random()
            if owned & done:
                continue
            done |= owned
            graph = _resized(graph, name, len(free), max(1, round(factor * len(free))))
        return graph


def _resized(graph: Graph, name: str, units: int, wanted: int) -> Graph:
    if wanted < units:
        return Prune(name, tuple(range(wanted, units))).apply(graph)
    while units < wanted:
        more = min(units, wanted - units)
        graph = Duplicate(name, tuple(range(more))).apply(graph)
        units += more
    return graph
