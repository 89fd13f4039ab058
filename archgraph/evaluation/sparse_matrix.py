"""A constant sparse matrix, by rows and by columns, so that products with it and their gradients both cost its entries.

Places are 32-bit numbers, which is what the libraries below torch take without a copy.

Letters: ``N`` rows, ``D`` columns, ``M`` entries, ``U`` columns of what it is multiplied with.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

FEW = 0.25
"""Share of entries that are not zero, up to which a product with these alone is the faster one."""


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """Where a matrix ``[N, D]`` has entries, fewer than 2^31, and what they are unless others are given in their place.

    Args:
        shape: ``N`` and ``D``.
        starts: ``[N + 1]`` where the entries of each row begin.
        columns: ``[M]`` the column of each entry.
        values: ``[M]`` the entries.
        column_starts: ``[D + 1]`` where the entries of each column begin, in the order of ``turned``.
        rows: ``[M]`` their rows.
        turned: ``[M]`` which entries they are.
    """

    shape: tuple[int, int]
    starts: Tensor
    columns: Tensor
    values: Tensor
    column_starts: Tensor
    rows: Tensor
    turned: Tensor

    @classmethod
    def of(
        cls,
        row: Tensor,  # [M]
        column: Tensor,  # [M]
        values: Tensor,  # [M]
        shape: tuple[int, int],
    ) -> SparseMatrix:
        """Return the matrix with these entries, in any order; those of one place add up."""
        order = torch.argsort(row, stable=True)
        row, column, values = row[order], column[order], values[order]
        turned = torch.argsort(column, stable=True)
        rows, starts = row[turned].int(), row_starts(column, shape[1]).int()
        return cls(shape, row_starts(row, shape[0]).int(), column.int(), values, starts, rows, turned)

    @classmethod
    def of_dense(cls, dense: Tensor) -> SparseMatrix:  # [N, D]
        """Return what is not zero of a matrix."""
        row, column = dense.nonzero(as_tuple=True)
        return cls.of(row, column, dense[row, column], (dense.shape[0], dense.shape[1]))

    @cached_property
    def turned_values(self) -> Tensor:  # [M]
        """Its entries by columns."""
        return self.values[self.turned]

    def compressed(self, values: Tensor, *, transposed: bool = False) -> Tensor:  # [M] -> [N, D]
        """Return it as compressed sparse rows, with other entries; their places are the same memory every time."""
        if transposed:
            entries = self.turned_values if values is self.values else values.index_select(0, self.turned)
            places, shape = (self.column_starts, self.rows), self.shape[::-1]
        else:
            places, entries, shape = (self.starts, self.columns), values, self.shape
        return compressed_rows(*places, entries, shape)

    def times(self, right: Tensor, values: Tensor | None = None) -> Tensor:  # [D, U] -> [N, U]
        """Return the product with a dense matrix, which can be derived by that matrix any number of times.

        Args:
            right: the dense matrix.
            values: ``[M]`` entries in place of its own; constants.
        """
        found: Tensor = _Product.apply(self, self.values if values is None else values, right, False)
        return found


class _Product(torch.autograd.Function):
    # Without `setup_context`, for which torch reads the signature of `forward` at every call: a tenth of a small step.

    @staticmethod
    def forward(ctx: Any, matrix: SparseMatrix, values: Tensor, right: Tensor, transposed: bool) -> Tensor:
        ctx.matrix, ctx.values, ctx.transposed = matrix, values, transposed
        return matrix.compressed(values, transposed=transposed) @ right

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor, None]:
        return None, None, _Product.apply(ctx.matrix, ctx.values, grads[0], not ctx.transposed), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        found: Tensor = _Product.apply(ctx.matrix, ctx.values, tangents[2], ctx.transposed)
        return found


def version(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place, as far as torch tells."""
    return 0 if tensor.is_inference() else tensor._version


def compressed_rows(
    starts: Tensor,  # [N + 1]
    columns: Tensor,  # [M]
    values: Tensor,  # [M]
    shape: tuple[int, int],
) -> Tensor:
    """Return a matrix ``[N, D]`` of compressed sparse rows, of which torch says once a process that they are in beta.

    Args:
        starts: where the entries of each row begin, of the type of ``columns``.
        columns: of the entries.
        values: the entries.
        shape: ``N`` and ``D``.
    """
    _hear_out()
    return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


@cache
def _hear_out() -> None:
    """Let torch say what it says of compressed rows once a process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)


def row_starts(rows: Tensor, count: int) -> Tensor:  # [M] -> [count + 1] int64
    """Return where the entries of each row begin, given the row of every entry, in order or not."""
    ends = torch.bincount(rows, minlength=count).cumsum(0)
    return torch.cat((ends.new_zeros(1), ends))
