"""Which entries meet in a product of two sparse matrices, one of which has the same places every time.

Features of nodes that are mostly zero come as compressed sparse rows ``[N, D]``. Dropout changes their values, not
their places; so ``(k, n)`` of a propagation and ``(n, d)`` of them are paired once, and a product costs a
multiplication a pair in place of ``K N D``.

Letters: ``N`` nodes, ``K`` rows, ``D`` inputs, ``M`` entries of the propagation, ``P`` pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a product ``[K, N] x [N, D]``.

    Args:
        mine: ``[P]`` the entry of the first matrix.
        theirs: ``[P]`` that of the second.
        goal: ``[P]`` where their product is added, ``k D + d``.
        starts: where the rows of the second matrix begin, as it was.
        columns: of its entries.
    """

    mine: Tensor
    theirs: Tensor
    goal: Tensor
    starts: Tensor
    columns: Tensor

    @classmethod
    def of(
        cls,
        row: Tensor,  # [M]
        node: Tensor,  # [M]
        values: Tensor,  # [N, D]  compressed rows
    ) -> Pairs:
        """Return the pairs of a matrix with entries at ``(row, node)`` and another one."""
        starts, columns = values.crow_indices(), values.col_indices()
        begin = starts[node]
        mine, theirs = expanded(begin, starts[node + 1] - begin)
        goal = row[mine] * values.shape[1] + columns[theirs]
        order = torch.argsort(goal, stable=True)
        return cls(mine[order], theirs[order], goal[order], starts, columns)

    def fits(self, values: Tensor) -> bool:
        """Whether compressed rows have the places of those that were paired: the same memory."""
        places = (self.starts, values.crow_indices()), (self.columns, values.col_indices())
        return all(a.shape == b.shape and a.data_ptr() == b.data_ptr() for a, b in places)

    def product(
        self,
        values: Tensor,  # of the second matrix
        weight: Tensor,  # [M]
        shape: tuple[int, int],
    ) -> Tensor:  # [K, D]
        """Return the product, dense."""
        kind = torch.promote_types(values.dtype, weight.dtype)
        terms = values.to(kind)[self.theirs] * weight.to(kind)[self.mine]
        return terms.new_zeros(shape[0] * shape[1]).index_add_(0, self.goal, terms).view(shape)


def expanded(begin: Tensor, many: Tensor) -> tuple[Tensor, Tensor]:  # [M], [M] -> [P], [P]
    """Return who counts, and the numbers ``begin, begin + 1, ...`` that each counts, as many as it is told."""
    who = torch.repeat_interleave(torch.arange(len(many), device=many.device), many)
    within = torch.arange(len(who), device=many.device) - (many.cumsum(0) - many)[who]
    return who, begin[who] + within
