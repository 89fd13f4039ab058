"""How many points a space has: by walking to each, from the conditions that were found, or estimated."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from archgraph import rng
from archgraph.errors import Unsatisfied
from archgraph.spaces.conditions import Condition
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.space import Space

WALKED = 2000
"""Points, and dead ends, that are counted one by one."""
SAMPLED = 1000
"""Descents of an estimate."""


@dataclass(frozen=True)
class Count:
    """A number of points, and how it was found.

    Args:
        points: how many; infinite with a continuous parameter.
        error: one standard error of an estimate; 0 where it was counted.
        how: ``"walked"`` to every point; ``"conditions"``: sums and products along the conditions found in discovery,
            right when no condition was missed; ``"estimated"`` from random descents; ``"declared"`` by who wrote the
            space.
    """

    points: float
    error: float
    how: str

    def __str__(self) -> str:
        if math.isinf(self.points):
            return "infinitely many points"
        if self.how == "estimated":
            return f"about {self.points:.3g} points (estimated, standard error {self.error:.1g})"
        shown = f"{int(self.points):,}" if self.points < 1e15 else f"{self.points:.4g}"
        return f"{shown} point{'s' * (self.points != 1)}"


def walk(space: Space, limit: int = WALKED) -> Count | None:
    """Count by going to every point; None when there are more than ``limit`` points and dead ends."""
    points = 0
    for number, values in enumerate(space.walk()):
        if number == limit:
            return None
        points += values is not None
    return Count(points, 0.0, "walked")


def add_up(domains: Mapping[str, Domain], conditions: Mapping[str, Condition]) -> Count:
    """Count along conditions: a product over parameters, of a sum over values, of what begins to matter at each.

    Args:
        domains: of all parameters.
        conditions: of those that do not always matter.
    """
    below: dict[str, list[str]] = {}
    for name, condition in conditions.items():
        below.setdefault(condition.parent, []).append(name)

    def under(name: str) -> int | float:
        children = below.get(name, [])
        if not children:
            return domains[name].size
        sizes = {child: under(child) for child in children}
        return sum(
            math.prod(size for child, size in sizes.items() if conditions[child].holds(value))
            for value in domains[name].values()
        )

    return Count(math.prod(under(name) for name in domains if name not in conditions), 0.0, "conditions")


def estimate(space: Space, samples: int = SAMPLED) -> Count:
    """Estimate from random descents: each point met counts as many times as it was unlikely to be met.

    Knuth, "Estimating the efficiency of backtrack programs", Mathematics of Computation 29 (1975): with every value
    chosen evenly among ``n_k`` at step k, the mean of the product of the ``n_k`` is the number of leaves. Dead ends,
    and values that others stand for, count zero.
    """
    numbers = random.Random(rng.derive(0, "count"))
    weights = []
    for _ in range(samples):
        weight = 1.0

        def choose(_: str, domain: Domain) -> Value:
            nonlocal weight
            weight *= domain.size
            options = domain.size
            return domain.draw(numbers) if math.isinf(options) else _evenly(domain, numbers)

        try:
            values = space.resolve(choose)
            weights.append(weight if space.merge(dict(values)) == values else 0.0)
        except Unsatisfied:
            weights.append(0.0)
    mean = math.fsum(weights) / samples
    if math.isinf(mean):
        return Count(math.inf, 0.0, "conditions")
    spread = math.fsum((weight - mean) ** 2 for weight in weights) / (samples - 1)
    return Count(mean, math.sqrt(spread / samples), "estimated")


def _evenly(domain: Domain, numbers: random.Random) -> Value:
    place = numbers.randrange(int(domain.size))
    return next(value for step, value in enumerate(domain.values()) if step == place)


def countable(domains: Collection[Domain]) -> bool:
    """Whether no parameter is continuous."""
    return not any(math.isinf(domain.size) for domain in domains)
