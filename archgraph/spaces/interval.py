"""Intervals: every whole or real number from a least to a greatest one, evenly or evenly in the logarithm."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

from archgraph.errors import SpaceError
from archgraph.spaces.domain import Domain

STEP = 1 / 16
"""Of the way from the least to the greatest number, to a neighbour."""
COUNTED = 4096
"""Whole numbers of which the encoded columns are listed; more of them pass for a continuum."""


@dataclass(frozen=True, repr=False)
class Int(Domain):
    """The whole numbers from ``low`` to ``high``, both included.

    Neighbours are the next number on either side and, in a wide interval, the one a sixteenth of it away.

    Args:
        low: the least.
        high: the greatest.
        log: whether numbers are drawn and encoded evenly in the logarithm.

    Raises:
        SpaceError: when the bounds are no whole numbers in order, or not positive with ``log``.

    >>> Int(2, 5).encode(3), Int(2, 5).decode([0.9])
    ((0.3333333333333333,), 5)
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            bound = getattr(self, name)
            if isinstance(bound, bool) or not isinstance(bound, Integral):
                raise SpaceError(f"{name} of an Int must be a whole number", got=bound)
            object.__setattr__(self, name, int(bound))
        _check(self)

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def draw(self, numbers: random.Random) -> int:
        if not self.log:
            return numbers.randint(self.low, self.high)
        exponent = numbers.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5))
        return min(max(round(math.exp(exponent)), self.low), self.high)

    def find(self, value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, Integral):
            return None
        return int(value) if self.low <= int(value) <= self.high else None

    def neighbours(self, value: Any) -> Iterator[int]:
        (place,) = self.encode(value)
        steps = {value - 1, value + 1, self.decode([place - STEP]), self.decode([place + STEP])}
        yield from sorted(step for step in steps if step != value and self.low <= step <= self.high)

    @cached_property
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        return (tuple(self.encode(value)[0] for value in self.values()) if self.size <= COUNTED else None,)

    def encode(self, value: Any) -> tuple[float, ...]:
        return (_place(self, value),)

    def decode(self, columns: Sequence[float]) -> int:
        return min(max(round(_number(self, columns[0])), self.low), self.high)

    def values(self) -> Iterator[int]:
        yield from range(self.low, self.high + 1)

    def __repr__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, repr=False)
class Float(Domain):
    """The real numbers from ``low`` to ``high``, both included.

    Neighbours are a sixteenth of the interval away on either side.

    Args:
        low: the least.
        high: the greatest.
        log: whether numbers are drawn and encoded evenly in the logarithm.

    Raises:
        SpaceError: when the bounds are not finite and in order, or not positive with ``log``.

    >>> Float(0.01, 1.0, log=True).decode([0.5])
    0.1
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            bound = getattr(self, name)
            if isinstance(bound, bool) or not isinstance(bound, Real) or not math.isfinite(bound):
                raise SpaceError(f"{name} of a Float must be a finite number", got=bound)
            object.__setattr__(self, name, float(bound))
        _check(self)

    @property
    def size(self) -> int | float:
        return 1 if self.low == self.high else math.inf

    def draw(self, numbers: random.Random) -> float:
        return self.decode([numbers.random()])

    def find(self, value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        return self._rounded(float(value)) if self.low <= float(value) <= self.high else None

    def neighbours(self, value: Any) -> Iterator[float]:
        (place,) = self.encode(value)
        for step in (self.decode([place - STEP]), self.decode([place + STEP])):
            if step != value:
                yield step

    @property
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        return ((0.5,) if self.low == self.high else None,)

    def encode(self, value: Any) -> tuple[float, ...]:
        return (_place(self, value),)

    def decode(self, columns: Sequence[float]) -> float:
        return self._rounded(_number(self, columns[0]))

    def values(self) -> Iterator[float]:
        if self.low != self.high:
            yield from super().values()  # type: ignore[misc]
        yield self.low

    def _rounded(self, number: float) -> float:
        """Keep 12 digits, so that encoding and decoding lead back to the same number."""
        return min(max(float(f"{number:.12g}"), self.low), self.high)

    def __repr__(self) -> str:
        return _shown(self)


def _check(domain: Int | Float) -> None:
    if not domain.low <= domain.high:
        raise SpaceError(f"{_shown(domain)} is empty", expected="low <= high")
    if domain.log and domain.low <= 0:
        raise SpaceError(f"{_shown(domain)} has no logarithm everywhere", expected="low > 0")


def _place(domain: Int | Float, value: float) -> float:
    low, high = domain.low, domain.high
    if low == high:
        return 0.5
    if domain.log:
        return min(max((math.log(value) - math.log(low)) / (math.log(high) - math.log(low)), 0.0), 1.0)
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _number(domain: Int | Float, place: float) -> float:
    low, high, place = domain.low, domain.high, min(max(float(place), 0.0), 1.0)
    if place in (0.0, 1.0):
        return high if place else low
    if domain.log:
        return math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    return low + place * (high - low)


def _shown(domain: Int | Float) -> str:
    return f"{type(domain).__name__}({domain.low}, {domain.high}{', log=True' if domain.log else ''})"
