"""A product of two sparse matrices, the second of which has the same places every time.

Features of nodes that are mostly zero come as compressed sparse rows ``[N, D]``. Dropout changes their values, not
their places, and a propagation ``[K, N]`` stays the same: so the product is a linear function of the values, whose
matrix is computed once. Where the propagation is nearly full, its transpose is multiplied instead.

Letters: ``N`` nodes, ``K`` rows, ``D`` inputs, ``M`` entries of the propagation, ``V`` of the features, ``P`` pairs
``(k, n), (n, d)`` of entries that meet, ``Q`` places where any do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archgraph.evaluation.sparse_matrix import compressed_rows, row_starts

FULL = 12
"""Multiplications of all features with a full matrix that take as long as one with an entry that is looked up."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """How a product ``[K, N] x [N, D]`` follows from the values of the second matrix.

    Args:
        matrix: ``[Q, V]`` the linear function, or, where ``turned``, the first matrix transposed, ``[N, K]`` full.
        goals: ``[Q]`` where its results belong, ``k D + d``.
        turned: ``[V]`` the order of the features' entries by columns, where that is the way.
        nodes: ``[V]`` their rows in that order.
        begins: ``[D + 1]`` where columns begin.
        starts: where the rows of the second matrix begin, as it was.
        columns: of its entries.
        shape: ``K`` and ``D``.
    """

    matrix: Tensor
    goals: Tensor | None
    turned: Tensor | None
    nodes: Tensor | None
    begins: Tensor | None
    starts: Tensor
    columns: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        row: Tensor,  # [M]
        node: Tensor,  # [M]
        weight: Tensor,  # [M]
        count: int,
        values: Tensor,  # [N, D]  compressed rows
    ) -> Pairs:
        """Prepare the products of a matrix of ``count`` rows, by its entries, with compressed rows at these places."""
        starts, columns = values.crow_indices(), values.col_indices()
        nodes, width = values.shape
        known = (starts, columns, (count, width))
        begin = starts[node]
        many = starts[node + 1] - begin
        if len(columns) * count <= FULL * int(many.sum()):
            full = weight.new_zeros(nodes * count).index_add_(0, node * count + row, weight).view(nodes, count)
            turned = torch.argsort(columns, stable=True)
            places = torch.repeat_interleave(torch.arange(nodes, device=columns.device), starts.diff())
            return cls(full, None, turned, places[turned], row_starts(columns, width), *known)
        mine, theirs = expanded(begin, many)
        goal = row[mine] * width + columns[theirs]
        order = torch.argsort(goal, stable=True)
        goals, held = torch.unique_consecutive(goal[order], return_counts=True)
        begins = torch.cat((held.new_zeros(1), held.cumsum(0)))
        matrix = compressed_rows(begins, theirs[order], weight[mine[order]], (len(goals), len(columns)))
        return cls(matrix, goals, None, None, None, *known)

    def fits(self, values: Tensor) -> bool:
        """Whether compressed rows have the places of those that this was made for: the same memory."""
        places = (self.starts, values.crow_indices()), (self.columns, values.col_indices())
        return all(a.shape == b.shape and a.data_ptr() == b.data_ptr() for a, b in places)

    def product(self, values: Tensor) -> Tensor:  # [V] -> [K, D]
        """Return the product for these values, full."""
        count, width = self.shape
        held = values.to(self.matrix.dtype)
        if self.goals is not None:
            return held.new_zeros(count * width).scatter_(0, self.goals, self.matrix @ held).view(self.shape)
        assert self.turned is not None and self.nodes is not None and self.begins is not None
        turned = compressed_rows(self.begins, self.nodes, held[self.turned], (width, len(self.matrix)))
        return (turned @ self.matrix).mT


def expanded(begin: Tensor, many: Tensor) -> tuple[Tensor, Tensor]:  # [M], [M] -> [P], [P]
    """Return who counts, and the numbers ``begin, begin + 1, ...`` that each counts, as many as it is told."""
    who = torch.repeat_interleave(torch.arange(len(many), device=many.device), many)
    within = torch.arange(len(who), device=many.device) - (many.cumsum(0) - many)[who]
    return who, begin[who] + within
