"""The greatest width at which a network has no more parameters than it may have."""

from __future__ import annotations

from collections.abc import Callable

from archgraph.errors import SpaceError

WIDEST = 1 << 16
"""Widths beyond it are not looked at: there the limit bounds nothing."""


def widest(count: Callable[[int], int], limit: int) -> int:
    """Find the greatest width with at most ``limit`` parameters: real ones, of stem, head, norms and gates too.

    Args:
        count: parameters at a width; they grow with it.
        limit: the most there may be.

    Returns:
        ``C`` with ``count(C) <= limit < count(C + 1)``.

    Raises:
        SpaceError: when there are more already at width one, or the limit bounds nothing.

    >>> widest(lambda width: 9 * width**2 + 5, limit=100)
    3
    """
    if (least := count(1)) > limit:
        raise SpaceError(
            "the network has too many parameters even at width 1",
            expected=f"at most {limit}",
            got=least,
            hint="allow more parameters, fewer nodes, or a smaller head",
        )
    low, high = 1, 2
    while count(high) <= limit:
        low, high = high, 2 * high
        if high > WIDEST:
            raise SpaceError("the limit of parameters bounds no width", got=limit, hint=f"at most {count(WIDEST)}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= limit else (low, middle)
    return low
