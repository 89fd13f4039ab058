"""Sobol search: points of a scrambled low-discrepancy sequence, one after the other.

Owen, *Scrambling Sobol' and Niederreiter-Xing points* (Journal of Complexity 14, 1998). It covers a space more evenly
than random draws do and is what Bayesian optimisation begins with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archgraph import rng
from archgraph.errors import SpaceError, Unsatisfied
from archgraph.search import Setting
from archgraph.spaces import Domain, Int, Space
from optimizers.proposing import PATIENCE, History, Proposal, Proposer, Source

LARGEST = 21201
"""Parameters at most: the sequence has direction numbers for that many."""


@dataclass(frozen=True)
class Sobol(Proposer):
    """Train the points of a scrambled Sobol sequence.

    Every parameter has a dimension, and its values equal parts of it.

    Args:
        lookahead: None, as no candidate depends on another: workers need not wait.
    """

    lookahead: int | None = None

    def source(self, setting: Setting) -> Source:
        return SobolSource(self.space, rng.derive(setting.seed, "sobol"))


class SobolSource(Source):
    """Points of a scrambled Sobol sequence.

    Args:
        space: with at most 21,201 parameters.
        seed: of the scrambling.

    Raises:
        SpaceError: when the space has more parameters, or none.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.place = space, {name: number for number, name in enumerate(space.domains)}
        if not 1 <= len(self.place) <= LARGEST:
            raise SpaceError(
                "the Sobol sequence does not fit the space", expected=f"1 to {LARGEST} parameters", got=len(self.place)
            )
        from torch.quasirandom import SobolEngine

        self._engine = SobolEngine(len(self.place), scramble=True, seed=seed % (1 << 31))

    def propose(self, history: History) -> Proposal | None:
        for _ in range(PATIENCE):
            try:
                return Proposal(self.values(self._engine.draw(1)[0].tolist()))
            except Unsatisfied:
                continue
        self.reason = f"{PATIENCE} points of the sequence in a row break a requirement of the space"
        return None

    def values(self, numbers: Sequence[float]) -> dict[str, Any]:
        """Return the values at a point of the unit cube that has a dimension for every parameter.

        Raises:
            Unsatisfied: when they break a requirement of the space.
        """
        return self.space.resolve(lambda name, domain: quantile(domain, numbers[self.place[name]]))


def quantile(domain: Domain, share: float) -> Any:
    """Return the value below which a share of the domain lies; every value has as much of [0, 1) as it is drawn often.

    >>> from archgraph.spaces import Choice
    >>> [quantile(Int(1, 3), share) for share in (0.0, 0.33, 0.34, 0.99)], quantile(Choice(("a", "b")), 0.5)
    ([1, 1, 2, 3], 'b')
    """
    if isinstance(domain, Int) and domain.log:
        low, high = math.log(domain.low - 0.5), math.log(domain.high + 0.5)
        return min(max(round(math.exp(low + share * (high - low))), domain.low), domain.high)
    if isinstance(domain, Int):
        return min(domain.low + int(share * domain.size), domain.high)
    if math.isinf(domain.size):
        return domain.decode([share])
    values = list(domain.values())
    return values[min(int(share * len(values)), len(values) - 1)]
