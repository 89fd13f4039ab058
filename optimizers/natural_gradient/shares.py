"""Which rows of the outputs carry the loss, and with what share of it.

The loss is ``L = sum_i s_i l_i`` over samples ``i``: with a mean over ``n`` of them ``s_i = 1 / n``, with weights
``w_i`` it is ``w_i / sum w``, with a sum it is ``w_i``. A semi-supervised Fisher gives the rows without a label weight
``lambda``. All curvature is that of ``L``: multiply the loss by a number, or give a sample twice, and the undamped step
stays the same.

Letters: ``N`` samples, ``K`` of them with a share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError


class Told:
    """What a training said of its loss the last time, which it mostly says again: its shares are kept."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None
        self._others: tuple[Any, ...] = ()
        self._shares: Shares | None = None
        self.moving = False
        """Whether samples come in batches, of which rows in the same places are not the same nodes."""

    def shares(
        self, outputs: Tensor, *, rows: Tensor | None = None, weights: Tensor | None = None, **told: Any
    ) -> Shares:
        """Return :meth:`Shares.of`; the same object where all is the same."""
        if weights is not None:
            return Shares.of(outputs, rows=rows, weights=weights, **told)
        others = (len(outputs), outputs.dtype, outputs.device, *told.items())
        self.moving = self.moving or bool(self._others and self._others[0] != len(outputs))
        same = others == self._others and (self._rows is None) == (rows is None)
        if self._shares is None or not same or not (rows is None or _equal(self._rows, rows)):
            self._rows, self._others = None if rows is None else rows.clone(), others  # which may change in place
            self._shares = Shares.of(outputs, rows=self._rows, **told)
        return self._shares


@dataclass(frozen=True, eq=False)
class Shares:
    """The rows of the outputs that carry the loss.

    Args:
        rows: ``[K]`` their places; None for all of them, in order.
        sizes: ``[K]`` the share ``s_i`` of each.
        count: ``N``.
    """

    rows: Tensor | None
    sizes: Tensor
    count: int

    @classmethod
    def of(
        cls,
        outputs: Tensor,  # [N, ...]
        *,
        rows: Tensor | None = None,  # [K] places, or [N] bool
        weights: Tensor | None = None,  # [K]
        reduction: str = "mean",
        scale: float = 1.0,
        others: float = 0.0,
    ) -> Shares:
        """Read what a training says about its loss.

        Args:
            outputs: of the network.
            rows: which of them the loss is of; all by default.
            weights: of each row; ones by default.
            reduction: ``"mean"`` over (weighted) rows, or ``"sum"``.
            scale: what the loss is multiplied by.
            others: weight of every row that is not among ``rows``.

        Raises:
            DataError: when rows are out of range or none, or weights do not fit them, are negative or all zero.
            SettingError: when there is no such reduction.
        """
        if reduction not in ("mean", "sum"):
            raise SettingError("the reduction is not known", expected="mean or sum", got=repr(reduction))
        if not 0.0 < scale < inf:
            raise SettingError("a loss must be multiplied by something", expected="more than 0", got=scale)
        count = len(outputs)
        places = _places(rows, count, outputs.device)
        held = count if places is None else len(places)
        if weights is not None and (weights.shape != (held,) or bool((weights < 0).any())):
            raise DataError("weights do not fit the rows", expected=f"[{held}], 0 or more", got=list(weights.shape))
        kind = torch.promote_types(outputs.dtype, torch.float32)
        given = torch.ones(held, dtype=kind, device=outputs.device) if weights is None else weights.to(outputs.device)
        sizes = given.to(kind)
        if places is not None and len(once := torch.unique(places)) < held:  # a row given twice is one with two shares
            sizes = sizes.new_zeros(len(once)).index_add_(0, torch.searchsorted(once, places), sizes)
            places = once
        if others > 0.0 and places is not None:
            every = torch.full((count,), others, dtype=kind, device=outputs.device)
            every[places] = sizes
            places, sizes = None, every
        whole = sizes.sum()
        if not float(whole) > 0.0:
            raise DataError("no row carries the loss", expected="rows with positive weight", got=f"{held} rows")
        return cls(places, sizes * (scale / whole if reduction == "mean" else scale), count)

    @cached_property
    def portions(self) -> Tensor:  # [K]
        """The shares as parts of one."""
        return self.sizes / self.sizes.sum()

    def pick(self, values: Tensor) -> Tensor:  # [N, ...] -> [K, ...]
        """Return the rows that carry the loss."""
        return values if self.rows is None else values.index_select(0, self.rows)

    def spread(self, values: Tensor) -> Tensor:  # [K, ...] -> [N, ...]
        """Return values of these rows among zeros."""
        if self.rows is None:
            return values
        return values.new_zeros((self.count, *values.shape[1:])).index_add_(0, self.rows, values)

    def roots(self, like: Tensor) -> Tensor:  # [K, 1, ...]
        """Return the square roots of the shares, to multiply rows of ``like`` with."""
        return self.sizes.sqrt().to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def _equal(one: Tensor | None, other: Tensor) -> bool:
    alike = one is not None and (one.dtype, one.device) == (other.dtype, other.device)
    return one is not None and alike and torch.equal(one, other)


def _places(rows: Tensor | None, count: int, device: torch.device) -> Tensor | None:
    if rows is None:
        return None
    if rows.dtype == torch.bool:
        if rows.shape != (count,):
            raise DataError("the mask of rows does not fit the outputs", expected=[count], got=list(rows.shape))
        rows = rows.nonzero().squeeze(1)
    if rows.ndim != 1 or rows.is_floating_point():
        raise DataError("rows must be places", expected="[K] whole numbers", got=f"{list(rows.shape)} {rows.dtype}")
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < count):
        raise DataError(
            "a row lies outside the outputs",
            expected=f"0 to {count - 1}",
            got=f"{int(rows.min())} to {int(rows.max())}",
        )
    return rows.to(device)
