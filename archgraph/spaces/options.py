"""Options: a few named values, without an order or with one."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from archgraph.errors import SpaceError
from archgraph.spaces.domain import Domain, Value


@dataclass(frozen=True, repr=False)
class Choice(Domain):
    """One of a few values without an order; encoded as one column an option, a 1 among 0s.

    Every other option is a neighbour.

    Args:
        options: the values, all different: text, numbers or truth values.

    Raises:
        SpaceError: when there is none, or one is there twice or is nothing that JSON can hold.

    >>> Choice(("conv", "pool", "skip")).encode("pool")
    (0.0, 1.0, 0.0)
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options:
            raise SpaceError("a Choice needs at least one option")
        for position, option in enumerate(self.options):
            if not isinstance(option, Value) or (isinstance(option, float) and not math.isfinite(option)):
                raise SpaceError("an option must be text, a finite number or a truth value", got=option)
            if any(_same(option, other) for other in self.options[:position]):
                raise SpaceError(f"option {option!r} is there twice", got=self.options)

    @property
    def size(self) -> int:
        return len(self.options)

    def draw(self, numbers: random.Random) -> Value:
        return self.options[numbers.randrange(len(self.options))]

    def find(self, value: Any) -> Value | None:
        return next((option for option in self.options if _same(option, value)), None)

    def neighbours(self, value: Value) -> Iterator[Value]:
        yield from (option for option in self.options if not _same(option, value))

    @property
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        return ((0.0, 1.0),) * len(self.options)

    def encode(self, value: Value) -> tuple[float, ...]:
        return tuple(float(_same(option, value)) for option in self.options)

    def decode(self, columns: Sequence[float]) -> Value:
        best = max(range(len(self.options)), key=lambda position: columns[position])  # the first of equals
        return self.options[best]

    @property
    def middle(self) -> tuple[float, ...]:
        return (1.0 / len(self.options),) * len(self.options)

    def labels(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}={option}" for option in self.options)

    def values(self) -> Iterator[Value]:
        yield from self.options

    def __repr__(self) -> str:
        return f"Choice({self.options!r})"


@dataclass(frozen=True, repr=False)
class Ordered(Domain):
    """One of a few numbers, such as widths; encoded as its place in their order, evenly spaced.

    The next smaller and the next greater one are neighbours.

    Args:
        numbers: the values, in ascending order.

    Raises:
        SpaceError: when there is none, or they are not finite and ascending.

    >>> Ordered((8, 16, 64)).encode(16), Ordered((8, 16, 64)).decode([0.8])
    ((0.5,), 64)
    """

    numbers: tuple[int | float, ...]

    def __post_init__(self) -> None:
        numbers = tuple(_number(one) for one in self.numbers)
        object.__setattr__(self, "numbers", numbers)
        if not numbers:
            raise SpaceError("an Ordered needs at least one number")
        if any(not low < high for low, high in pairwise(numbers)):
            raise SpaceError("the numbers of an Ordered must ascend", got=numbers)

    @property
    def size(self) -> int:
        return len(self.numbers)

    def draw(self, numbers: random.Random) -> int | float:
        return self.numbers[numbers.randrange(len(self.numbers))]

    def find(self, value: Any) -> int | float | None:
        return next((number for number in self.numbers if _same(number, value)), None)

    def neighbours(self, value: Value) -> Iterator[int | float]:
        place = self._rank(value)
        yield from (self.numbers[step] for step in (place - 1, place + 1) if 0 <= step < len(self.numbers))

    @cached_property
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        return (tuple(self.encode(number)[0] for number in self.numbers),)

    def encode(self, value: Value) -> tuple[float, ...]:
        return (self._rank(value) / (len(self.numbers) - 1) if len(self.numbers) > 1 else 0.5,)

    def decode(self, columns: Sequence[float]) -> int | float:
        place = min(max(float(columns[0]), 0.0), 1.0)
        return self.numbers[round(place * (len(self.numbers) - 1))]

    def values(self) -> Iterator[int | float]:
        yield from self.numbers

    def _rank(self, value: Value) -> int:
        return next(place for place, number in enumerate(self.numbers) if _same(number, value))

    def __repr__(self) -> str:
        return f"Ordered({self.numbers!r})"


def _same(option: object, value: object) -> bool:
    """Whether two values are one: ``1`` and ``1.0`` are, ``1`` and ``True`` are not."""
    return isinstance(option, bool) == isinstance(value, bool) and bool(option == value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise SpaceError("an Ordered holds finite numbers", got=value)
    return int(value) if isinstance(value, Integral) else float(value)
