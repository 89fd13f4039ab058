"""A suggester that begins with given points and then stays near the best ones, most of the time.

Where a space is much greater than a search is long, and somebody knows a good point of it, points drawn from all of it
are mostly worse than that one. So do Falkner, Klein and Hutter, *BOHB* (ICML 2018), mix what a model suggests with
what it does not; here the model is another suggester, and what is mixed in are steps away from what was best.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from archgraph import rng
from archgraph.errors import Unsatisfied
from archgraph.spaces import Domain, Space, Value
from optimizers.proposing.history import History
from optimizers.proposing.proposal import Proposal
from optimizers.proposing.source import Source

PARENTS = 3
"""The best points so far, beside which others are proposed."""
MORE = 0.5
"""Probability that one more parameter changes, after the first and after each of the next."""
TRIES = 32
"""Changes that may lead nowhere, or break a requirement of the space, until a draw from all of it is proposed."""


class Around(Source):
    """Proposes given points, then points beside the best, and now and then what another suggester does.

    Args:
        space: where.
        source: the other one, which is shown everything.
        start: points to begin with.
        near: probability of a point beside one of the best.
    """

    def __init__(self, space: Space, source: Source, start: Sequence[Mapping[str, Any]], near: float) -> None:
        self.space, self.source, self.start, self.near = space, source, tuple(start), near

    @property
    def reason(self) -> str:  # type: ignore[override]
        return self.source.reason

    def propose(self, history: History) -> Proposal | None:
        if history.number < len(self.start):
            return Proposal(self.start[history.number], note="to begin with")
        numbers = random.Random(rng.derive(history.seed, "around"))
        parents = sorted(history.good, key=lambda one: one.rank)[:PARENTS]
        if parents and numbers.random() < self.near:
            parent = parents[min(numbers.randrange(len(parents)) for _ in range(2))]
            return Proposal(beside(self.space, parent.values, numbers), note=f"beside {parent.number}")
        return self.source.propose(history)

    def summary(self, history: History) -> str:
        return self.source.summary(history)


def beside(space: Space, values: Mapping[str, Any], numbers: random.Random) -> dict[str, Value]:
    """Return a point that differs from another in one parameter, or a few.

    Those that change are drawn from all of their domain, what begins to matter with them, too.

    Args:
        space: of both.
        values: of the other.
        numbers: all randomness.
    """
    point = space.canonical(values)
    for _ in range(TRIES):
        count = 1
        while count < len(point) and numbers.random() < MORE:
            count += 1
        changed = set(numbers.sample(sorted(point), min(count, len(point))))

        def choose(name: str, domain: Domain, changed: set[str] = changed) -> Value:
            return point[name] if name in point and name not in changed else domain.draw(numbers)

        try:
            found = space.merge(space.resolve(choose))
        except Unsatisfied:
            continue
        if found != point:
            return found
    return space.draw(numbers.randrange(1 << 62))
