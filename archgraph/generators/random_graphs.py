"""Random undirected graphs as values, drawn by networkx from numbers of their own.

Erdos and Renyi (1959); Watts and Strogatz (1998); Barabasi and Albert (1999). They wire neural networks in Xie et al.,
arXiv 1904.01569, and Ru et al., arXiv 2004.01395.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Protocol

from archgraph.errors import SettingError

Edge = tuple[int, int]
"""Two nodes, the smaller one first."""


class RandomGraph(Protocol):
    """A distribution over undirected graphs without loops on the nodes ``0 .. nodes - 1``."""

    tries: ClassVar[int]
    """Draws that are worth making until one is connected."""

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        ...

    @property
    def varies(self) -> bool:
        """Whether it has a probability, and networks that differ with it."""
        ...

    def draw(self, numbers: random.Random) -> tuple[Edge, ...]:
        """Draw the edges, in ascending order; the graph may be in several components."""
        ...


@dataclass(frozen=True)
class ErdosRenyi:
    """Every pair of nodes is joined with the same probability.

    Args:
        nodes: number of nodes, at least 1.
        density: the probability.

    Raises:
        SettingError: when there is no node, or ``density`` is no probability.
    """

    nodes: int
    density: float
    tries: ClassVar[int] = 30

    def __post_init__(self) -> None:
        _check(self.nodes, "density", self.density)

    @property
    def varies(self) -> bool:
        """Whether the probability matters to a network: where there are only two nodes, they are joined in any case."""
        return self.nodes > 2

    def draw(self, numbers: random.Random) -> tuple[Edge, ...]:
        """Draw the edges."""
        import networkx

        return _sorted(networkx.gnp_random_graph(self.nodes, self.density, seed=numbers).edges)


@dataclass(frozen=True)
class WattsStrogatz:
    """A ring in which every node is joined to its nearest ones, and every edge is led elsewhere with some probability.

    There are exactly ``nodes * (neighbours // 2)`` edges, for there are as many nearest ones on either side of a node.

    Args:
        nodes: number of nodes, at least 1.
        neighbours: how many nearest ones; an odd number counts as the even one below. More than there are others count
            as these: see :attr:`reach`.
        rewiring: the probability.

    Raises:
        SettingError: when there is no node, ``neighbours`` is below 0, or ``rewiring`` is no probability.

    >>> WattsStrogatz(5, 2, 0.0).draw(random.Random(0))
    ((0, 1), (0, 4), (1, 2), (2, 3), (3, 4))
    """

    nodes: int
    neighbours: int
    rewiring: float
    tries: ClassVar[int] = 200

    def __post_init__(self) -> None:
        _check(self.nodes, "rewiring", self.rewiring)
        if self.neighbours < 0:
            raise SettingError("neighbours must be at least 0", got=self.neighbours)

    @property
    def reach(self) -> int:
        """How many nearest ones on either side a node is joined to."""
        return min(self.neighbours, self.nodes - 1) // 2

    @property
    def varies(self) -> bool:
        """Whether the probability matters: where nothing is joined, or everything, there is nothing to rewire."""
        return 0 < 2 * self.reach < self.nodes - 1

    def draw(self, numbers: random.Random) -> tuple[Edge, ...]:
        """Draw the edges."""
        import networkx

        return _sorted(networkx.watts_strogatz_graph(self.nodes, 2 * self.reach, self.rewiring, seed=numbers).edges)


@dataclass(frozen=True)
class BarabasiAlbert:
    """Nodes come one after the other, each joined to some of those before, the more likely the more edges these have.

    Args:
        nodes: number of nodes, at least 1.
        links: edges of a new node; fewer where there are not as many nodes.

    Raises:
        SettingError: when there is no node or no link.
    """

    nodes: int
    links: int
    tries: ClassVar[int] = 1  # it is always connected
    varies: ClassVar[bool] = False  # it has no probability

    def __post_init__(self) -> None:
        _check(self.nodes, "density", 0.0)
        if self.links < 1:
            raise SettingError("links must be at least 1", got=self.links)

    def draw(self, numbers: random.Random) -> tuple[Edge, ...]:
        """Draw the edges."""
        import networkx

        if self.nodes == 1:
            return ()
        return _sorted(networkx.barabasi_albert_graph(self.nodes, min(self.links, self.nodes - 1), seed=numbers).edges)


def _check(nodes: int, name: str, probability: float) -> None:
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise SettingError("a random graph needs at least one node", got=repr(nodes))
    if not 0.0 <= probability <= 1.0:
        raise SettingError(f"{name} must be a probability", expected="0 to 1", got=probability)


def _sorted(edges: object) -> tuple[Edge, ...]:
    return tuple(sorted((min(a, b), max(a, b)) for a, b in edges))  # type: ignore[attr-defined]
