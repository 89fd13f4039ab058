"""The contract of a space: a distribution over graphs with named parameters, and all that a search does with them."""

from __future__ import annotations

import json
import math
import random as randomness
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from archgraph import rng
from archgraph.errors import SpaceError, UnknownName, Unsatisfied
from archgraph.graph import Graph
from archgraph.spaces.domain import Domain, Value

Choose = Callable[[str, Domain], Value]
"""Gives a value to a parameter: its name and domain come in."""

DRAWS = 1000
"""How many draws may break a requirement of the space before it counts as one that nothing satisfies."""


@dataclass(frozen=True)
class Column:
    """One column of encoded points.

    Args:
        name: for people: that of the parameter, with the option where there is a column for each.
        levels: the numbers it takes in ascending order; None when it is continuous.
        parameter: the name of the parameter.
    """

    name: str
    levels: tuple[float, ...] | None
    parameter: str


class Space(ABC):
    """A distribution over graphs with named parameters.

    A point of the space is a dict of *values* by the names of the parameters: whole and real numbers, text and truth
    values. A subclass states :attr:`domains` and :meth:`build`; where parameters matter only at some values of others
    it states :meth:`resolve`, and where different values make the same graph :meth:`merge`; the rest follows.
    """

    random: bool = False
    """Whether the graph depends on the seed, too, so that the same values make many graphs (a generator)."""

    # ------------------------------------------------------------------ what a subclass states
    @property
    @abstractmethod
    def domains(self) -> Mapping[str, Domain]:
        """Every parameter that can occur, in a fixed order."""

    @abstractmethod
    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        """Return the graph at a point.

        Args:
            values: of all parameters that matter here; of others they are ignored.
            seed: of what is random in the graph, when the space is :attr:`random`.

        Raises:
            SpaceError: when there is no such point, or no valid graph at it, with the values.
        """

    def resolve(self, choose: Choose) -> dict[str, Value]:
        """Ask for a value of every parameter that matters, one after the other, and return them.

        Args:
            choose: gives the value, from the name and the domain; what it gave before may decide what is asked next.

        Raises:
            Unsatisfied: when the values break a requirement of the space.
        """
        return {name: choose(name, domain) for name, domain in self.domains.items()}

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        """Return the values that stand for all that make the same graph as these; must be idempotent."""
        return values

    @property
    def usual(self) -> Mapping[str, Value] | None:
        """A point with which people who know the field would begin; None where nobody has said."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: the fields, without what was worked out from them."""
        kind = type(self)
        return {
            name: held
            for name, held in vars(self).items()
            if not isinstance(getattr(kind, name, None), cached_property)
        }

    def __str__(self) -> str:
        from archgraph.spaces.table import table  # which knows of spaces

        return table(self)

    # ------------------------------------------------------------------ points
    def canonical(self, values: Mapping[str, Any]) -> dict[str, Value]:
        """Return a point's values with those that do not matter dropped and equivalent ones made one.

        Raises:
            UnknownName: when a parameter is not of this space.
            SpaceError: when one that matters is missing or out of its domain.
            Unsatisfied: when the values break a requirement of the space.
        """
        for name in values:
            if name not in self.domains:
                raise UnknownName.among("parameter", name, self.domains)

        def given(name: str, domain: Domain) -> Value:
            if name not in values:
                raise SpaceError(f"parameter {name!r} is missing", expected=domain, got=shown(values))
            found = domain.find(values[name])
            if found is None:
                raise SpaceError(
                    f"parameter {name!r} cannot be {values[name]!r}", expected=domain, got=f"at {shown(values)}"
                )
            return found

        return self.merge(self.resolve(given))

    def key(self, values: Mapping[str, Any]) -> str:
        """Return a point as text: equal for values that mean the same point."""
        return json.dumps(self.canonical(values), sort_keys=True)

    def draw(self, seed: int) -> dict[str, Value]:
        """Draw a point: every parameter that matters by itself, until they meet the requirements of the space.

        Raises:
            SpaceError: when none of many draws does.
        """
        return self._settled(rng.derive(seed, "draw"), lambda numbers: lambda _, domain: domain.draw(numbers))

    def sample(self, seed: int) -> Graph:
        """Return the graph that a seed stands for."""
        return self.build(self.draw(seed), seed)

    def points(self) -> Iterator[dict[str, Value]]:
        """Yield every point once, walking through the conditions.

        Raises:
            SpaceError: when a parameter is continuous.
        """
        return (values for values in self.walk() if values is not None)

    def walk(self) -> Iterator[dict[str, Value] | None]:
        """Yield every point once, and None wherever the walk ends at none: a broken requirement, an equivalent."""
        path: list[tuple[Value, list[Value]]] | None = []  # at every step what is chosen, and what is left to choose
        while path is not None:
            try:
                values = self.resolve(_Walk(path))
                yield values if self.merge(dict(values)) == values else None
            except Unsatisfied:
                yield None
            path = _next(path)

    @property
    def size(self) -> float:
        """Number of points: exact where they can be counted, else an estimate (see the space); inf with reals."""
        return math.prod(domain.size for domain in self.domains.values())

    # ------------------------------------------------------------------ the unit cube
    @property
    def columns(self) -> tuple[Column, ...]:
        """What the encoded columns are."""
        return tuple(
            Column(label, levels, name)
            for name, domain in self.domains.items()
            for label, levels in zip(domain.labels(name), domain.levels, strict=True)
        )

    def encode(self, values: Mapping[str, Any]) -> np.ndarray:  # [d]
        """Return a point in the unit cube; parameters that do not matter are in the middle of it."""
        point = self.canonical(values)
        parts = [
            domain.encode(point[name]) if name in point else domain.middle for name, domain in self.domains.items()
        ]
        return np.array([number for part in parts for number in part], dtype=np.float64)

    def decode(self, vector: Sequence[float] | np.ndarray) -> dict[str, Value]:  # [d]
        """Return the point nearest to one of the unit cube, parameter by parameter.

        Raises:
            SpaceError: when the vector has another length or is not finite.
            Unsatisfied: when the values there break a requirement of the space.
        """
        numbers = np.asarray(vector, dtype=np.float64)
        spans: dict[str, slice] = {}
        start = 0
        for name, domain in self.domains.items():
            spans[name] = slice(start, start := start + len(domain.middle))
        if numbers.shape != (start,) or not np.isfinite(numbers).all():
            raise SpaceError("this is no encoded point", expected=f"{start} finite numbers", got=vector)
        return self.merge(self.resolve(lambda name, domain: domain.decode(numbers[spans[name]].tolist())))

    # ------------------------------------------------------------------ steps
    def neighbours(self, values: Mapping[str, Any]) -> Iterator[dict[str, Value]]:
        """Yield every point at which one parameter is a step away; what begins to matter is in its middle."""
        point = self.canonical(values)
        seen = {json.dumps(point, sort_keys=True)}
        for name, value in point.items():
            for step in self.domains[name].neighbours(value):
                try:
                    found = self._follow(point | {name: step}, lambda _, domain: domain.decode(domain.middle))
                except Unsatisfied:
                    continue
                text = json.dumps(found, sort_keys=True)
                if text not in seen:
                    seen.add(text)
                    yield found

    def mutate(self, values: Mapping[str, Any], seed: int) -> dict[str, Value]:
        """Return a random point at which one parameter is a step away; the point itself when there is none.

        Every parameter that matters is as likely to be the one; what begins to matter is drawn.
        """
        point, numbers = self.canonical(values), randomness.Random(rng.derive(seed, "mutate"))
        steps = {name: list(self.domains[name].neighbours(value)) for name, value in point.items()}
        while names := [name for name, left in steps.items() if left]:
            name = numbers.choice(names)
            step = steps[name].pop(numbers.randrange(len(steps[name])))
            try:
                found = self._follow(point | {name: step}, lambda _, domain: domain.draw(numbers))
            except Unsatisfied:
                continue
            if found != point:
                return found
        return point

    def crossover(self, first: Mapping[str, Any], second: Mapping[str, Any], seed: int) -> dict[str, Value]:
        """Return a point whose every parameter is that of one of two others; what neither has is drawn.

        Returns the first of the two when mixtures keep breaking a requirement of the space.
        """
        parents = [self.canonical(first), self.canonical(second)]
        own = rng.derive(seed, "crossover")
        try:
            return self._settled(own, lambda numbers: lambda name, domain: _inherited(parents, name, domain, numbers))
        except SpaceError:
            return parents[0]

    def _follow(self, values: Mapping[str, Value], otherwise: Choose) -> dict[str, Value]:
        return self.merge(
            self.resolve(lambda name, domain: values[name] if name in values else otherwise(name, domain))
        )

    def _settled(self, seed: int, chooser: Callable[[randomness.Random], Choose]) -> dict[str, Value]:
        numbers = randomness.Random(seed)
        for _ in range(DRAWS):
            tried: dict[str, Value] = {}
            choose = chooser(numbers)

            def noting(name: str, domain: Domain, tried: dict[str, Value] = tried, choose: Choose = choose) -> Value:
                tried[name] = choose(name, domain)
                return tried[name]

            try:
                return self.merge(self.resolve(noting))
            except Unsatisfied as error:
                last = error
        raise SpaceError(
            f"no point in {DRAWS} draws meets the requirements of the space",
            expected=last.what,
            got=f"last {shown(tried)}",
            hint="widen a domain or drop a requirement",
        ) from last


def shown(values: Mapping[str, Any]) -> str:
    """Return values of parameters as text for messages.

    >>> shown({"depth": 3, "op": "pool"})
    "depth=3, op='pool'"
    """
    return ", ".join(f"{name}={value!r}" for name, value in values.items()) or "no values"


def _inherited(parents: Sequence[Mapping[str, Value]], name: str, domain: Domain, numbers: randomness.Random) -> Value:
    having = [parent for parent in parents if name in parent]
    return numbers.choice(having)[name] if having else domain.draw(numbers)


class _Walk:
    """Chooses along a path, and on where it ends with the first of all values."""

    def __init__(self, path: list[tuple[Value, list[Value]]]) -> None:
        self._path, self._step = path, 0

    def __call__(self, name: str, domain: Domain) -> Value:
        if self._step == len(self._path):
            first, *rest = domain.values()
            self._path.append((first, rest))
        self._step += 1
        return self._path[self._step - 1][0]


def _next(path: list[tuple[Value, list[Value]]]) -> list[tuple[Value, list[Value]]] | None:
    """Return the path to the next leaf of a walk, depth first; None after the last."""
    while path:
        _, left = path.pop()
        if left:
            path.append((left[0], left[1:]))
            return path
    return None
