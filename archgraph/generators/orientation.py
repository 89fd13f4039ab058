"""From an undirected graph to a directed acyclic one: every edge leads from the smaller label to the larger.

Xie et al., arXiv 1904.01569, section 3.2; Ru et al., arXiv 2004.01395.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from archgraph import rng
from archgraph.errors import GraphError
from archgraph.generators.connectivity import components, missing
from archgraph.generators.random_graphs import Edge, RandomGraph


@dataclass(frozen=True)
class Wiring:
    """A directed acyclic graph of the nodes ``0, 1, ...``.

    Args:
        reads: of every node, the nodes it reads: smaller ones, in ascending order.
        added: how many of the edges were added to make it connected.

    Raises:
        GraphError: when a node reads itself or a later one, or one twice.

    >>> Wiring.of(4, [(0, 2), (1, 2), (2, 3)])
    Wiring(reads=((), (), (0, 1), (2,)), added=0)
    """

    reads: tuple[tuple[int, ...], ...]
    added: int = 0

    def __post_init__(self) -> None:
        for node, reads in enumerate(self.reads):
            if sorted(set(reads)) != list(reads) or any(not 0 <= source < node for source in reads):
                raise GraphError(f"node {node} of a wiring must read smaller ones, in order, each once", got=reads)

    @classmethod
    def of(cls, nodes: int, edges: Iterable[Edge], added: int = 0) -> Wiring:
        """Orient the edges of an undirected graph from the smaller to the larger node."""
        reads: list[list[int]] = [[] for _ in range(nodes)]
        for a, b in edges:
            reads[max(a, b)].append(min(a, b))
        return cls(tuple(tuple(sorted(one)) for one in reads), added)

    @classmethod
    def chain(cls, nodes: int) -> Wiring:
        """Return the wiring in which every node reads the one before it."""
        return cls(tuple(() if node == 0 else (node - 1,) for node in range(nodes)))

    def __len__(self) -> int:
        return len(self.reads)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Its edges, by the node that reads."""
        return tuple((source, node) for node, reads in enumerate(self.reads) for source in reads)

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """The nodes that read no other: all of them get what enters the wiring."""
        return tuple(node for node, reads in enumerate(self.reads) if not reads)

    @cached_property
    def sinks(self) -> tuple[int, ...]:
        """The nodes that no other reads, by label: the mean of their outputs leaves the wiring."""
        read = {source for reads in self.reads for source in reads}
        return tuple(node for node in range(len(self)) if node not in read)


def wire(model: RandomGraph, seed: int) -> Wiring:
    """Draw a connected graph and orient it.

    After as many draws as the model says, none of them connected, the last one gets the fewest edges that join it.

    Args:
        model: a random graph.
        seed: of all that is random.
    """
    numbers = random.Random(rng.derive(seed, "wiring"))
    edges: tuple[Edge, ...] = ()
    for _ in range(model.tries):
        edges = model.draw(numbers)
        if len(components(model.nodes, edges)) == 1:
            return Wiring.of(model.nodes, edges)
    more = missing(model.nodes, edges, numbers)
    return Wiring.of(model.nodes, (*edges, *more), added=len(more))
