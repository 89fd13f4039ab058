"""The space of one graph at other widths."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from archgraph.errors import SettingError
from archgraph.graph import Graph, label
from archgraph.moves import Duplicate, Prune, resizable
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.interval import Int
from archgraph.spaces.space import Space


@dataclass(frozen=True)
class Widths(Space):
    """A graph with every layer that can be resized at a width of its own.

    Layers whose units are coupled get one width, a parameter named for the first of them; units that may not be resized
    stay and are not counted in it. Widths are drawn log-uniformly between ``low`` and ``high`` times what they are.

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

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        found = {
            name: Int(self._scaled(self.low, units), self._scaled(self.high, units), log=True)
            for name, units in self._own.items()
            if units
        }
        return MappingProxyType(found)

    def draw(self, seed: int) -> dict[str, Value]:
        numbers, values = random.Random(seed), {}
        for name, units in self._own.items():  # a factor for each, so that a graph's widths hang on its nodes alone
            factor = self.low * (self.high / self.low) ** numbers.random()
            if units:
                values[name] = self._scaled(factor, units)
        return self.canonical(values)

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        graph = self.graph
        for name, width in self.canonical(values).items():
            graph = _resized(graph, name, int(width))
        return graph

    @cached_property
    def _own(self) -> dict[str, int]:
        """Sets of coupled units of every node that can be resized; 0 where they are those of a node before it."""
        labels, done = label(self.graph), set[int]()
        found = {}
        for name, _ in resizable(self.graph):
            owned = set(labels.of[name].tolist())
            found[name] = 0 if owned & done else len(_free(self.graph, name))
            done |= owned
        return found

    @staticmethod
    def _scaled(factor: float, units: int) -> int:
        return max(1, round(factor * units))


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
