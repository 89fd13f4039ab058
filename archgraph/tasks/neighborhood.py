"""A part of a graph around some of its nodes: a few of those that have an edge to them, a few of theirs, and so on.

It is what the ``NeighborLoader`` of PyTorch Geometric draws, without replacement and with directed edges, by its
default: the nodes of a hop are asked for neighbours once, and only edges that were drawn are there. Unlike it, it needs
no compiled extension, and a seed draws the same on any device. Hamilton, Ying, Leskovec, *Inductive Representation
Learning on Large Graphs*, arXiv 1706.02216.

Letters: ``N`` nodes and ``E`` edges of the graph, ``M`` nodes and ``F`` edges of a part, ``S`` nodes in its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

ALL = -1
"""In place of a number of neighbours: all of them."""

_KNOWN: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """A part of a graph.

    Args:
        nodes: of the graph, ``[M]`` int64; those in the middle come first, in their order, then hop after hop.
        edge_index: edges between them, ``[2, F]`` int64, by their places in ``nodes``.
        edges: which edges of the graph these are, ``[F]`` int64.
    """

    nodes: Tensor
    edge_index: Tensor
    edges: Tensor


class Arrivals:
    """The edges of a graph by the nodes at which they end, to draw parts of it.

    Args:
        edge_index: edges of the graph, ``[2, E]`` int64.
        nodes: how many nodes it has.
    """

    def __init__(self, edge_index: Tensor, nodes: int) -> None:
        self.edges = edge_index[1].argsort(stable=True)  # [E], edges in the order of the nodes at which they end
        self.sources = edge_index[0][self.edges]  # [E]
        self.counts = torch.bincount(edge_index[1], minlength=nodes)  # [N]
        self.starts = self.counts.cumsum(0) - self.counts  # [N]

    @classmethod
    def of(cls, edge_index: Tensor, nodes: int) -> Arrivals:
        """Return the edges of a tensor, which must not be changed; they are sorted once, as long as it is there."""
        known: Arrivals | None = _KNOWN.get(edge_index)
        if known is None:
            known = _KNOWN[edge_index] = cls(edge_index, nodes)
        return known

    def into(self, first: int, last: int) -> Tensor:  # [2, F]
        """Return all edges that end at the nodes from ``first`` up to ``last``, these counted from 0, sources not.

        >>> Arrivals(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4).into(2, 4).tolist()
        [[1, 2], [0, 1]]
        """
        counts = self.counts[first:last]
        start = int(self.starts[first])
        sources = self.sources[start : start + int(counts.sum())]
        return torch.stack([sources, torch.arange(last - first, device=counts.device).repeat_interleave(counts)])

    def around(
        self,
        middle: Tensor,  # [S]
        neighbors: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Neighborhood:
        """Draw the part of the graph around some nodes.

        Args:
            middle: different nodes.
            neighbors: how many edges to draw for a node, for every hop: all different, each as likely; :data:`ALL` for
                all that end there.
            generator: of random numbers, on the CPU.

        >>> path = Arrivals(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> part = path.around(torch.tensor([3]), (ALL, ALL))
        >>> part.nodes.tolist(), part.edge_index.tolist()
        ([3, 2, 1], [[1, 2], [0, 1]])
        """
        place = torch.full_like(self.counts, -1)  # [N], of a node within the part
        place[middle] = torch.arange(len(middle), device=place.device)
        nodes, found, targets = [middle], [], []
        count = len(middle)
        for number in neighbors:
            asked = nodes[-1]
            drawn, owner = self._draw(asked, number, generator)
            new = self.sources[drawn]
            new = new[place[new] < 0].unique()
            place[new] = torch.arange(count, count + len(new), device=place.device)
            count += len(new)
            nodes.append(new)
            found.append(drawn)
            targets.append(asked[owner])
        slots = torch.cat(found) if found else middle.new_empty(0)
        ends = torch.cat(targets) if targets else middle.new_empty(0)
        links = torch.stack([place[self.sources[slots]], place[ends]])
        return Neighborhood(torch.cat(nodes), links, self.edges[slots])

    def _draw(self, asked: Tensor, number: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return places in :attr:`edges` that are drawn for nodes, ``[F]``, and whose they are, as places in ``asked``.

        Of ``d`` edges ``k`` are drawn by Floyd's method: for ``j = d - k, ..., d - 1`` a number up to ``j``, or ``j``
        itself where that was drawn before (Bentley and Floyd, *A sample of brilliance*, CACM 30, 1987).
        """
        counts, starts = self.counts[asked], self.starts[asked]
        many = counts > number if number != ALL else torch.zeros_like(counts, dtype=torch.bool)
        whole = (~many).nonzero().squeeze(1)
        places, owners = ranges(starts[whole], counts[whole]), whole.repeat_interleave(counts[whole])
        some = many.nonzero().squeeze(1)
        if not len(some):
            return places, owners
        chance = torch.rand(number, len(some), dtype=torch.float64, generator=generator).to(asked.device)
        chosen = torch.empty(number, len(some), dtype=torch.int64, device=asked.device)
        for j in range(number):
            last = counts[some] - number + j
            one = (chance[j] * (last + 1)).long()
            chosen[j] = torch.where((chosen[:j] == one).any(0), last, one)
        few = (starts[some] + chosen).flatten()
        return torch.cat([places, few]), torch.cat([owners, some.repeat(number)])


def ranges(
    starts: Tensor,  # [R]
    sizes: Tensor,  # [R]
) -> Tensor:  # [sum of sizes]
    """Return the numbers from every start on, so many as its size says, one range after the other.

    >>> ranges(torch.tensor([5, 0]), torch.tensor([2, 3]))
    tensor([5, 6, 0, 1, 2])
    """
    before = sizes.cumsum(0) - sizes
    return torch.arange(int(sizes.sum()), device=starts.device) + (starts - before).repeat_interleave(sizes)
