"""The neighbourhood of a graph: whatever moves make of it, step by step; every graph it reaches is valid."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archgraph import rng
from archgraph.errors import ArchGraphError, SpaceError, UnknownName
from archgraph.graph import Graph, Op, label
from archgraph.metrics.graph import macs, params
from archgraph.moves import AddEdge, InsertLayer, Move, Prune, RemoveEdge, RemoveLayer, SwapOp, Widen, resizable
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.space import Space

KINDS = ("add-edge", "remove-edge", "insert-layer", "remove-layer", "swap-op", "widen", "narrow")
"""Kinds of steps, by name."""
KERNELS = (1, 3, 5)
"""Kernel sizes of convolutions that ``swap-op`` changes, in pixels."""


@dataclass(frozen=True)
class GraphText(Domain):
    """Graphs as text: the values of a space whose points are graphs. They have no number and no vector."""

    size = float("inf")
    levels = ()
    middle = ()

    def draw(self, numbers: random.Random) -> str:
        raise SpaceError("a graph as text cannot be drawn by itself", hint="draw a point of the space")

    def find(self, value: Any) -> str | None:
        if not isinstance(value, str | Graph):
            return None
        try:
            return str(Graph.parse(value) if isinstance(value, str) else value)
        except ArchGraphError:
            return None

    def neighbours(self, value: Value) -> Iterator[str]:
        raise SpaceError("a graph as text has no neighbours by itself", hint="ask the space")

    def encode(self, value: Value) -> tuple[float, ...]:
        raise SpaceError("graphs have no vector form", hint="a driver that mutates, such as evolution")

    def decode(self, columns: Sequence[float]) -> str:
        raise SpaceError("graphs have no vector form", hint="a driver that mutates, such as evolution")

    def labels(self, name: str) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Neighbourhood(Space):
    """All graphs that steps lead to from a graph: edges, layers, ops and widths, legal by construction.

    A point has one parameter, ``graph``, its text. :meth:`step` and :meth:`steps` give moves as values, so that a
    driver can apply them to a network and inherit its weights; :meth:`mutate` and :meth:`neighbours` do the same for
    points. Points have no vector form: drivers that need one cannot search here.

    Args:
        graph: where steps begin.
        steps_drawn: greatest number of steps from it to a graph that is drawn.
        kinds: of steps, see :data:`KINDS`.
        factor: of widths, in a step of ``widen``; ``narrow`` takes it back.
        max_nodes: of a graph; by default twice as many as the graph has and ten more.
        max_params: trainable numbers of a graph.
        max_macs: multiply-accumulates of a graph for one sample.

    Raises:
        SpaceError: when a setting cannot be used, or the graph itself is over a limit.
    """

    graph: Graph
    steps_drawn: int = 8
    kinds: tuple[str, ...] = KINDS
    factor: float = 1.5
    max_nodes: int | None = None
    max_params: float | None = None
    max_macs: float | None = None

    def __post_init__(self) -> None:
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        object.__setattr__(self, "kinds", kinds)
        for kind in kinds:
            if kind not in KINDS:
                raise UnknownName.among("kind of step", kind, KINDS)
        if not kinds:
            raise SpaceError("a neighbourhood needs at least one kind of step", expected=f"some of {KINDS}")
        if isinstance(self.steps_drawn, bool) or not isinstance(self.steps_drawn, int) or self.steps_drawn < 0:
            raise SpaceError("steps_drawn must be a whole number, at least 0", got=self.steps_drawn)
        if not 1.0 < self.factor < float("inf"):
            raise SpaceError("the factor of widths must be above 1", got=self.factor)
        if (broken := self._broken(self.graph)) is not None:
            raise SpaceError(f"the graph itself has {broken}", hint="raise the limit, or begin with a smaller graph")

    # ------------------------------------------------------------------ steps on graphs
    def steps(self, graph: Graph) -> Iterator[Move]:
        """Yield every step from a graph within the limits, as moves, in a fixed order."""
        return (move for move, _ in self._steps(graph))

    def step(self, graph: Graph, seed: int) -> Move | None:
        """Return a random step from a graph, None when there is none: first its kind is drawn, then where it is."""
        numbers = random.Random(rng.derive(seed, "step"))
        kinds = list(self.kinds)
        numbers.shuffle(kinds)
        for kind in kinds:
            sites = list(_SITES[kind](graph, self.factor))
            numbers.shuffle(sites)
            for move in sites:
                if self._after(move, graph) is not None:
                    return move
        return None

    def mutated(self, graph: Graph, seed: int) -> Graph:
        """Return a graph one random step away; the graph itself when there is none."""
        move = self.step(graph, seed)
        return graph if move is None else move.apply(graph)

    def around(self, graph: Graph) -> Iterator[Graph]:
        """Yield every graph one step away, each once."""
        seen = {graph.hash}
        for _, found in self._steps(graph):
            if found.hash not in seen:
                seen.add(found.hash)
                yield found

    def _steps(self, graph: Graph) -> Iterator[tuple[Move, Graph]]:
        for kind in self.kinds:
            for move in _SITES[kind](graph, self.factor):
                if (after := self._after(move, graph)) is not None:
                    yield move, after

    def _after(self, move: Move, graph: Graph) -> Graph | None:
        """Return what a move makes of a graph, None where it is not legal or goes over a limit."""
        try:
            after = move.apply(graph)
        except ArchGraphError:
            return None
        return after if self._broken(after) is None else None

    def _broken(self, graph: Graph) -> str | None:
        """Return the limit that a graph goes over."""
        most = 2 * len(self.graph.nodes) + 10 if self.max_nodes is None else self.max_nodes
        for limit, count, name in (
            (most, lambda one: len(one.nodes), "nodes"),
            (self.max_params, params, "params"),
            (self.max_macs, macs, "macs"),
        ):
            if limit is not None and (found := count(graph)) > limit:
                return f"{found:,} {name}, more than {limit:,}"
        return None

    # ------------------------------------------------------------------ as a space
    @property
    def domains(self) -> Mapping[str, Domain]:
        return {"graph": GraphText()}

    @property
    def size(self) -> float:
        return float("inf")

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        return Graph.parse(str(self.canonical(values)["graph"]))

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        graph = Graph.parse(str(values["graph"]))
        if (broken := self._broken(graph)) is not None:
            raise SpaceError(f"this graph is not in the neighbourhood: it has {broken}", place=str(graph))
        return values

    def key(self, values: Mapping[str, Any]) -> str:
        """Return the hash of the graph, which does not depend on names of nodes."""
        return self.build(values).hash

    def draw(self, seed: int) -> dict[str, Value]:
        graph = self.graph
        for number in range(random.Random(rng.derive(seed, "steps")).randint(0, self.steps_drawn)):
            graph = self.mutated(graph, rng.derive(seed, "draw", number))
        return {"graph": str(graph)}

    def encode(self, values: Mapping[str, Any]) -> np.ndarray:
        raise SpaceError("graphs of a neighbourhood have no vector form", hint="a driver that mutates: evolution")

    def mutate(self, values: Mapping[str, Any], seed: int) -> dict[str, Value]:
        return {"graph": str(self.mutated(self.build(values), seed))}

    def neighbours(self, values: Mapping[str, Any]) -> Iterator[dict[str, Value]]:
        return ({"graph": str(graph)} for graph in self.around(self.build(values)))

    def crossover(self, first: Mapping[str, Any], second: Mapping[str, Any], seed: int) -> dict[str, Value]:
        """Return one of the two graphs, a step away: graphs as such have no parameters to mix."""
        chosen = random.Random(rng.derive(seed, "crossover")).choice([first, second])
        return self.mutate(chosen, rng.derive(seed, "crossover"))

    def __str__(self) -> str:
        return f"neighbourhood of {self.graph!r} by {', '.join(self.kinds)}"


def _swaps(graph: Graph, factor: float) -> Iterator[Move]:
    yield from SwapOp.sites(graph)
    for node in graph:
        size = getattr(node.op, "kernel_size", None)
        padding = getattr(node.op, "padding", None)
        if isinstance(size, int) and size % 2 and padding == size // 2 and graph.tensors(node.name):
            yield from (SwapOp(node.name, _kernel(node.op, other)) for other in KERNELS if other != size)


def _kernel(op: Any, size: int) -> Op:
    return replace(op, kernel_size=size, padding=size // 2)


def _widened(graph: Graph, factor: float) -> Iterator[Move]:
    for name, units in _sets(graph):
        yield Widen(name, units=max(1, round((factor - 1.0) * len(units))))


def _narrowed(graph: Graph, factor: float) -> Iterator[Move]:
    for name, units in _sets(graph):
        gone = min(max(1, round((1.0 - 1.0 / factor) * len(units))), len(units) - 1)
        if gone > 0:
            yield Prune(name, units[-gone:])


def _sets(graph: Graph) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the nodes that can be resized, one for those that are coupled, with a unit of each coupled set."""
    labels, done = label(graph), set[int]()
    for name, units in resizable(graph):
        owned = labels.of[name].tolist()
        if done.isdisjoint(owned):
            first: dict[int, int] = {}
            for unit in units:
                first.setdefault(owned[unit], unit)
            yield name, tuple(first.values())
        done.update(owned)


_SITES: Mapping[str, Callable[[Graph, float], Iterator[Move]]] = {
    "add-edge": lambda graph, _: AddEdge.sites(graph),
    "remove-edge": lambda graph, _: RemoveEdge.sites(graph),
    "insert-layer": lambda graph, _: InsertLayer.sites(graph),
    "remove-layer": lambda graph, _: RemoveLayer.sites(graph),
    "swap-op": _swaps,
    "widen": _widened,
    "narrow": _narrowed,
}
