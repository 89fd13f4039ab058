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

    Layers whose units are coupled get one width; units that may not be resized stay. The factor is log-uniform between
    ``low`` and ``high``.

    Args:
        graph: the graph at factor one.
        low: smallest factor.
        high: greatest factor.

    Raises:
        SettingError: when the factors are not positive, not finite or in the wrong order.
    """

    graph: Graph
    low: float = 0.5
    high: float = 8.0

    def __post_init__(self) -> None:
        if not 0.0 < self.low <= self.high < float("inf"):
            raise SettingError("width factors must be positive, finite and in order", got=(self.low, self.high))

    def sample(self, seed: int) -> Graph:
        """Return the graph that a seed stands for."""
        random_numbers, graph = random.Random(seed), self.graph
        labels = label(graph)
        done: set[int] = set()
        for name, _ in resizable(self.graph):
            factor = self.low * (self.high / self.low) ** random_numbers.random()
            owned = set(labels.of[name].tolist())
            if not owned & done:
                done |= owned
                units = len(_free(graph, name))
                graph = _resized(graph, name, max(1, round(factor * units)))
        return graph


def _resized(graph: Graph, name: str, wanted: int) -> Graph:
    """Return the graph with ``wanted`` sets of coupled units at a node, or with as few more as it may have.

    A depthwise convolution, for example, does not go down to a single channel.
    """
    while len(free := _free(graph, name)) < wanted:
        graph = Duplicate(name, free[: wanted - len(free)]).apply(graph)
    for left in range(wanted, len(free)):
        move = Prune(name, free[left:])
        if move.refusal(graph) is None:
            return move.apply(graph)
    return graph


def _free(graph: Graph, name: str) -> tuple[int, ...]:
    """Return one unit, the first, of every set of coupled units of a node that may be resized."""
    owned = label(graph).of[name].tolist()
    first: dict[int, int] = {}
    for unit in dict(resizable(graph))[name]:
        first.setdefault(owned[unit], unit)
    return tuple(first.values())
