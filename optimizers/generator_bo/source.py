"""What Bayesian optimisation proposes next: a function of the history, so that a search that carries on repeats it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import SpaceError, Unsatisfied
from archgraph.search import Setting
from optimizers.bayesian.alone import alone
from optimizers.bayesian.belief import Belief
from optimizers.bayesian.cube import Cube, sobol
from optimizers.bayesian.hyperparameters import Hyperparameters
from optimizers.bayesian.observations import Observations, gather, prefix
from optimizers.generator_bo.lessons import Lessons
from optimizers.proposing import Admission, History, Proposal, Source, Told

if TYPE_CHECKING:
    from optimizers.generator_bo.driver import GeneratorBO

FINAL = "drawn from the point of best expectation"
"""Note of the last candidates."""
MANY, REFIT = 100, 10
"""From so many observations on hyperparameters are fitted from scratch at every tenth only, and improved in between."""
AGAIN = 4
"""Every so many-th suggestion is a replicate where points of the design are trained more than once."""
TRIED = 32
"""Points, the best first, of which the first is taken that may be trained."""


class GeneratorSource(Source):
    """Proposes the points of a design, then those of greatest acquisition.

    Args:
        driver: its settings.
        setting: of the search.
    """

    def __init__(self, driver: GeneratorBO, setting: Setting) -> None:
        self.driver, self.setting, self.space = driver, setting, driver.space
        self.cube = Cube(self.space.columns)
        self._admission = Admission(setting.goal, setting.describe)
        self._fits: dict[int, tuple[Hyperparameters, ...]] = {}

    def propose(self, history: History) -> Proposal | None:
        driver, done = self.driver, len(history.told) + len(history.pending)
        if driver.final and driver.candidates is not None and done >= driver.candidates - driver.final:
            return self._final(history)
        if done < driver.size * driver.repeats:
            return self._designed(history)
        if rng.derive(history.seed, "explore") < driver.explore * (1 << 63):
            return Proposal(self.space.draw(rng.derive(history.seed, "draw")), note="random")
        with alone(rng.derive(history.seed, "suggestion")):
            return self._suggested(history, done)

    # ------------------------------------------------------------------ what was learnt
    def belief(self, history: History) -> Belief | None:
        """Return the surrogate after a history; None while no training has succeeded."""
        data = self.observations(history)
        if not len(data):
            return None
        return Belief.of(data, self._start(data))

    def observations(self, history: History) -> Observations:
        """Return a history as tensors."""
        driver = self.driver
        assert driver.lookahead is not None
        return gather(
            history,
            self.space.encode,
            self.space.key,
            epochs=self.setting.recipe.epochs,
            settled=max(2, driver.size * driver.repeats - driver.lookahead + 1),
            spent=self._spent,
        )

    def lessons(self, history: History) -> Lessons | None:
        """Return the best expectation and what mattered; None while nothing was learnt."""
        with alone(0):
            belief = self.belief(history)
            if belief is None:
                return None
            best = belief.recommended()
            return Lessons(
                self.setting.goal.objectives[0].name,
                self.space.decode(best.numpy()),
                self._expected(belief, best),
                self._lengths(belief),
            )

    def summary(self, history: History) -> str:
        return str(self.lessons(history) or "")

    # ------------------------------------------------------------------ kinds of proposals
    def _designed(self, history: History) -> Proposal:
        """Return a point of the design; one that cannot be is replaced by a random one."""
        place = history.number // self.driver.repeats
        if place < len(self.driver.start):
            return Proposal(self.driver.given[place], note="given")
        place -= len(self.driver.start)
        points = self._design
        try:
            if place < len(points):
                return Proposal(self.space.decode(points[place].numpy()), note="design")
        except Unsatisfied:
            pass
        seed = rng.derive(self.setting.seed, "design", place)
        return Proposal(self.space.draw(seed), note="design")

    @cached_property
    def _design(self) -> Tensor:  # [N, D]
        return sobol(self.cube, self.driver.size, rng.derive(self.setting.seed, "design"))

    def _suggested(self, history: History, done: int) -> Proposal:
        driver, data = self.driver, self.observations(history)
        if not len(data):
            return Proposal(self.space.draw(history.seed), note="random: all has failed so far")
        from optimizers.bayesian.maximise import ranked

        belief = Belief.of(data, self._start(data))
        begun = driver.size * driver.repeats
        thrift = max(0.0, 1.0 - (done - begun) / driver.thrift) if driver.thrift else 0.0
        seen = [*(one.values for one in history.told), *(one.values for one in history.pending)]
        times = Counter(map(self.space.key, seen))
        if driver.repeats > 1 and (done - begun) % AGAIN == AGAIN - 1:
            values = self.space.decode(belief.recommended().numpy())
            if times[self.space.key(values)] < driver.replicates:
                return Proposal(values, note="replicate")
        acquisition = belief.acquisition(self.cube, rng.derive(history.seed, "samples"), thrift=thrift)
        points = ranked(acquisition, self.space, rng.derive(history.seed, "starts"))
        chosen = self._first(points, times, history)
        if chosen is None:
            return Proposal(self.space.draw(history.seed), note="random: all better points were trained")
        return Proposal(chosen, note=self._note(belief, chosen))

    def _final(self, history: History) -> Proposal:
        """Return the point of best expectation, the same for all final candidates."""
        earlier = [*(one.proposal for one in history.told), *history.pending]
        before = next((one.values for one in earlier if one.note == FINAL), None)
        lessons = self.lessons(history) if before is None else None
        values = before if lessons is None else lessons.values
        return Proposal(self.space.draw(history.seed) if values is None else values, note=FINAL)

    def _first(
        self, points: list[tuple[dict[str, Any], float]], times: Counter[str], history: History
    ) -> dict[str, Any] | None:
        """Return the first point that may be trained once more; a pending one is not waited for twice."""
        pending = {self.space.key(one.values) for one in history.pending}
        careful = bool(history.refused or self.setting.goal.constraints)
        seed = rng.derive(self.setting.seed, "candidate", history.number)
        tried = 0
        for values, _ in points:
            key = self.space.key(values)
            if times[key] >= self.driver.replicates or key in pending:
                continue
            tried += 1
            if not careful or tried > TRIED or self._admitted(values, seed):
                return values
        return None

    def _admitted(self, values: Mapping[str, Any], seed: int) -> bool:
        """Whether a graph can be built and keeps the constraints, as far as they are known before training."""
        try:
            return not self._admission.broken(self.space.build(values, seed))[0]
        except SpaceError:
            return False

    # ------------------------------------------------------------------ parts
    def _start(self, data: Observations) -> tuple[Hyperparameters, ...] | None:
        """Return a fit to a part of the observations, from which the fit to all of them starts; None to start afresh.

        It is of the last number of observations that a tenth divides, so it does not depend on what was asked before.
        """
        count = len(data) - len(data) % REFIT
        if count < MANY or count == len(data):
            return None
        if count not in self._fits:
            self._fits = {count: Belief.of(prefix(data, count)).surrogate.hyperparameters}
        return self._fits[count]

    def _spent(self, one: Told) -> float:
        ledger = one.report.ledger
        return float(ledger.macs if self.driver.price == "macs" else ledger.wall_seconds)

    def _lengths(self, belief: Belief) -> dict[str, float]:
        shortest = belief.lengths.min(0).values  # [D]
        found = {
            one.name: float(shortest[one.start : one.start + max(1, one.options)].min()) for one in self.cube.dimensions
        }
        return dict(sorted(found.items(), key=lambda pair: pair[1]))

    def _expected(
        self,
        belief: Belief,
        X: Tensor,  # [D]
    ) -> tuple[float, float]:
        """Return between what the (first) objective is expected, one standard deviation below and above."""
        mean, deviation = belief.expected(X[None])
        ends = (belief.scales[0].cost(mean[0, :1] + sign * deviation[0, :1]).item() for sign in (1.0, -1.0))
        low, high = sorted(self.setting.goal.objectives[0].sign * end for end in ends)
        return low, high

    def _note(self, belief: Belief, values: Mapping[str, Any]) -> str:
        """Return what is expected of a point, and which parameter matters most, for people."""
        low, high = self._expected(belief, torch.from_numpy(self.space.encode(values)))
        name, length = next(iter(self._lengths(belief).items()))
        return f"expected {low:.4g} to {high:.4g}; {name} matters most ({length:.2g})"
