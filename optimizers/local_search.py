"""Local search: go to a better neighbour as long as there is one, then begin elsewhere.

White, Nolen and Savani, *Exploring the Loss Landscape in Neural Architecture Search* (UAI 2021): with noise as small as
that of tabular benchmarks it is among the strongest methods.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archgraph.errors import SettingError
from archgraph.search import Setting
from archgraph.spaces import Space
from optimizers.proposing import History, Proposal, Proposer, Source, Told, check_count

WAYS = ("first", "steepest")


@dataclass(frozen=True)
class LocalSearch(Proposer):
    """Train a few random points, then the neighbours of the best of them, and so on from a better one.

    Where no neighbour is better, it begins anew. What is better is judged by the constraints, then by one objective
    after the other. Points that were trained before are not trained again, but count.

    Args:
        start: random points of which the best is gone on from.
        improvement: ``"first"`` to go on from the first better neighbour in random order, ``"steepest"`` to look at all
            of them and go on from the best.
        neighbours: how many are looked at, at most, before it begins anew; a random part of them. None for all.
    """

    start: int = 10
    improvement: str = "first"
    neighbours: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("start", self.start)
        check_count("neighbours", self.neighbours, missing=True)
        if self.improvement not in WAYS:
            raise SettingError("unknown improvement", expected=" or ".join(WAYS), got=repr(self.improvement))

    def source(self, setting: Setting) -> Source:
        return LocalSource(self.space, self.start, self.improvement == "steepest", self.neighbours)


@dataclass(eq=False)
class LocalSource(Source):
    """Proposes random points, then neighbours of the best.

    Args:
        space: where.
        start: random points of a beginning.
        steepest: whether all neighbours are looked at before it goes on.
        most: neighbours that are looked at; None for all.
    """

    space: Space
    start: int
    steepest: bool
    most: int | None = None
    _known: dict[str, Told] = field(default_factory=dict)
    _begun: list[str] = field(default_factory=list)  # keys of this beginning's random points
    _current: Told | None = None
    _around: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # neighbours of the current one, by key
    _read: int = 0

    def propose(self, history: History) -> Proposal | None:
        for one in history.told[self._read :]:
            key = self.space.key(one.values)
            if key not in self._known or one.rank < self._known[key].rank:
                self._known[key] = one
        self._read = len(history.told)
        pending = {self.space.key(one.values) for one in history.pending}
        turned_down = {self.space.key(one.proposal.values) for one in history.refused}
        while self._current is not None:
            better = self._better()
            unknown = [key for key in self._around if key not in self._known and key not in turned_down]
            if better is not None and not (self.steepest and unknown):
                self._go_to(better, history.seed)
                continue
            fresh = [key for key in unknown if key not in pending]
            if fresh:
                return Proposal(self._around[fresh[0]], note=f"beside {self._current.number}")
            if unknown:
                return None  # one that is pending decides
            self._current, self._begun = None, []  # an optimum
        return self._begin(history, pending)

    def _better(self) -> Told | None:
        """Return the best neighbour that was trained, or the first, if it is better than the current point."""
        assert self._current is not None
        found = [self._known[key] for key in self._around if key in self._known]
        better = [one for one in found if one.rank < self._current.rank]
        return min(better, key=lambda one: one.rank) if better and self.steepest else next(iter(better), None)

    def _go_to(self, point: Told, seed: int) -> None:
        around = list(self.space.neighbours(point.values))
        random.Random(seed).shuffle(around)
        self._current = point
        self._around = {self.space.key(values): values for values in around[: self.most]}

    def _begin(self, history: History, pending: set[str]) -> Proposal | None:
        """Propose random points until there are enough, then go on from the best of them."""
        ready = [key for key in self._begun if key in self._known]
        waiting = [key for key in self._begun if key in pending]
        if len(ready) + len(waiting) < self.start:
            values = self.space.draw(history.seed)
            self._begun.append(self.space.key(values))
            return Proposal(values, note="a new beginning")
        if waiting:
            return None
        best = min((self._known[key] for key in ready), key=lambda one: one.rank)
        if best.failed:
            self._begun = []
            return self._begin(history, pending)
        self._go_to(best, history.seed)
        return self.propose(history)
