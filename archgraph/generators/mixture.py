"""Shares of a few kinds as parameters of a space: numbers that count only relative to one another."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archgraph.spaces.interval import Float

DIGITS = 9
"""Digits of a share behind the point."""


@dataclass(frozen=True)
class Mixture:
    """Non-negative shares of kinds; a single kind has no parameter.

    Args:
        prefix: what the parameters' names start with.
        kinds: what is shared out, in order.

    >>> Mixture("merge", ("sum", "concat")).shares({"merge_sum": 0.75, "merge_concat": 0.75})
    {'sum': 0.5, 'concat': 0.5}
    """

    prefix: str
    kinds: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, one a kind; none for a single kind."""
        return tuple(f"{self.prefix}_{kind}" for kind in self.kinds) if len(self.kinds) > 1 else ()

    @property
    def domains(self) -> dict[str, Float]:
        """Domains of the parameters."""
        return {name: Float(0.0, 1.0) for name in self.names}

    def shares(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Return the share of every kind; they add up to one. Nothing but zeros means equal shares."""
        if not self.names:
            return dict.fromkeys(self.kinds, 1.0)
        given = [float(values[name]) for name in self.names]
        total = sum(given)
        return {
            kind: one / total if total > 0.0 else 1.0 / len(given) for kind, one in zip(self.kinds, given, strict=True)
        }

    def merge(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Return the values with the same shares that add up to one."""
        given = {name: float(values[name]) for name in self.names}
        if not given or abs(sum(given.values()) - 1.0) < 10.0 ** (3 - DIGITS):
            return {name: round(one, DIGITS) for name, one in given.items()}  # they do, but for rounding
        return {name: round(one, DIGITS) for name, one in zip(self.names, self.shares(values).values(), strict=True)}


def draw_kind(shares: Mapping[str, float], numbers: random.Random) -> str:
    """Draw a kind by its share."""
    place = numbers.random() * sum(shares.values())
    for kind, share in shares.items():
        place -= share
        if place < 0.0 < share:
            return kind
    return next(kind for kind in reversed(list(shares)) if shares[kind] > 0.0)  # rounding
