"""Rows of a wide input factor by their entries, where these are few: bags of words of small neighbourhoods.

Letters: ``K`` rows, ``D`` inputs, ``V`` entries, ``U`` outputs.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from archgraph.evaluation.sparse_matrix import FEW, compressed_rows

MANY = 2**16
"""Numbers from which on it is worth while to ask."""

_PATTERNS: MutableMapping[Tensor, Pattern] = WeakTensorKeyDictionary()
_ENTRIES: MutableMapping[Tensor, tuple[int, Entries]] = WeakTensorKeyDictionary()


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where rows may have entries; elsewhere they have none.

    Args:
        flat: ``[V]`` their places, row after row.
        starts: ``[K + 1]`` where those of each row begin.
        columns: ``[V]``.
        turned: ``[V]`` their order by columns.
        begins: ``[D + 1]`` where those of each column begin.
        rows: ``[V]`` their rows, in the order by columns.
        shape: ``K`` and ``D``.
    """

    flat: Tensor
    starts: Tensor
    columns: Tensor
    turned: Tensor
    begins: Tensor
    rows: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, flat: Tensor, shape: tuple[int, int]) -> Pattern:  # [V], ascending
        """Return the pattern of entries at places ``k D + d``."""
        count, width = shape
        row, column = flat // width, flat % width
        turned = torch.argsort(column, stable=True)
        starts = torch.searchsorted(row, torch.arange(count + 1, device=row.device))
        begins = torch.searchsorted(column[turned], torch.arange(width + 1, device=row.device))
        return cls(flat, starts.int(), column.int(), turned, begins.int(), row[turned].int(), shape)

    def entries(self, rows: Tensor) -> Entries:  # [K, D]
        """Return rows of this pattern by their entries."""
        values = rows.reshape(-1)[self.flat]
        return Entries(
            compressed_rows(self.starts, self.columns, values, self.shape),
            compressed_rows(self.begins, self.rows, values[self.turned], self.shape[::-1]),
        )


@dataclass(frozen=True, eq=False)
class Entries:
    """Rows by their entries, and the other way round.

    Args:
        rows: ``B``, ``[K, D]`` compressed.
        turned: ``B^T``, ``[D, K]`` compressed.
    """

    rows: Tensor
    turned: Tensor

    def solve(self, vectors: Tensor, core: Tensor, damping: float) -> Tensor:  # [U, D], [K, K] -> [U, D]
        """Multiply by ``(B^T B + a I)^-1`` as :func:`~archgraph.linalg.kronecker.solve_rows` does."""
        upright = vectors.mT.contiguous()
        inner = self.turned @ (core.mT @ (self.rows @ upright))  # [D, U]
        return inner.mT if damping <= 0.0 else upright.sub_(inner).mT / damping


def remember(rows: Tensor, pattern: Pattern) -> None:
    """Keep the pattern of rows, as long as there are these rows."""
    _PATTERNS[rows] = pattern


def few(rows: Tensor) -> bool:
    """Whether rows, on a CPU, have few entries that are not zero."""
    many = rows.numel() >= MANY and rows.device.type == "cpu"
    return many and int(rows.count_nonzero()) <= FEW * rows.numel()


def entries_of(rows: Tensor) -> Entries:
    """Return rows by their entries; kept as long as there are these rows."""
    known = _ENTRIES.get(rows)
    if known is None or known[0] != rows._version:
        pattern = _PATTERNS.get(rows)
        if pattern is None:
            pattern = Pattern.of(rows.reshape(-1).nonzero().squeeze(1), (rows.shape[0], rows.shape[1]))
        known = _ENTRIES[rows] = rows._version, pattern.entries(rows)
    return known[1]
