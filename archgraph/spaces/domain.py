"""The contract of a domain: the values one parameter of a space may have, and their place in the unit cube."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from archgraph.errors import SpaceError

Value = bool | int | float | str
"""What a parameter may be: what JSON can hold and the command line can spell."""


class Domain(ABC):
    """The values one parameter may have; subclasses are frozen dataclasses that print as they are written.

    A domain has no name: the space that asks for a parameter names it.
    """

    @property
    @abstractmethod
    def size(self) -> int | float:
        """Number of values; infinite for an interval of reals."""

    @abstractmethod
    def draw(self, numbers: random.Random) -> Value:
        """Draw a value: every one alike, or alike in the logarithm."""

    @abstractmethod
    def find(self, value: Any) -> Value | None:
        """Return the domain's own spelling of a value (``3`` for ``numpy.int64(3)``), None when it is outside."""

    @abstractmethod
    def neighbours(self, value: Value) -> Iterator[Value]:
        """Yield the values one step away, without the value itself."""

    @property
    @abstractmethod
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        """Of every encoded column, the numbers it takes in ascending order; None where it is continuous."""

    @abstractmethod
    def encode(self, value: Value) -> tuple[float, ...]:
        """Return the value as numbers in [0, 1], one a column."""

    @abstractmethod
    def decode(self, columns: Sequence[float]) -> Value:
        """Return the value nearest to numbers in [0, 1]; what is outside counts as the nearer end."""

    @property
    def middle(self) -> tuple[float, ...]:
        """The columns of a parameter that does not matter: as far from one end as from the other."""
        return (0.5,)

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the names of the encoded columns of a parameter of this name."""
        return (name,)

    def values(self) -> Iterator[Value]:
        """Yield every value, in order.

        Raises:
            SpaceError: when they cannot be counted.
        """
        raise SpaceError(f"the values of {self!r} cannot be listed")

    def contains(self, value: Any) -> bool:
        """Whether the parameter may have this value."""
        return self.find(value) is not None
