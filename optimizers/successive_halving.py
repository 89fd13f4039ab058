"""Asynchronous successive halving: all candidates get a little training, the better part of them gets more.

Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht and Talwalkar, *A System for Massively Parallel
Hyperparameter Tuning* (MLSys 2020), algorithm 2.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from archgraph.checks import check_whole
from archgraph.errors import SettingError
from archgraph.evaluation import Fidelity, Train
from archgraph.graph import Graph
from archgraph.search import Driver, Goal, Session, Setting, default_settings
from archgraph.search.staged import Candidate, Staged, read_staged, staged_settings

ROUNDING = 1e-9
"""A fraction of the data that is all but that much is all: 1/3 times 3, say."""


@dataclass(frozen=True)
class SuccessiveHalving(Driver):
    """Train the candidates of another driver in rungs; promote those among the best of a rung to the next one.

    Rung ``k`` is after ``min_epochs * reduction**k`` epochs, on ``min_data * reduction**k`` of the training data; the
    last is all that the candidate's recipe says. Whenever something is to be evaluated, the highest rung is looked for
    that has a candidate among the best ``1 / reduction`` of those that finished it, not promoted yet: that one goes on
    (from its checkpoint, where the data stay the same). When there is none, the other driver proposes a new candidate.
    It is told of one as :class:`archgraph.search.staged.Staged` says. Every rung of a candidate is a trial;
    ``study.best`` compares those of the highest rung reached. When the other driver has nothing more to propose, the
    best candidate so far is trained to the end, so that one has been.

    Args:
        driver: proposes candidates: any driver that asks for trainings that can be compared.
        min_epochs: epochs of the lowest rung.
        reduction: one in so many is promoted; the paper's ``eta``.
        min_data: fraction of the training data in the lowest rung; 1 for all of them in every rung.
        lookahead: requests that are open at once, whatever the number of workers, which would be idle beyond it. A
            decision knows the reports on all but the last ``lookahead - 1`` requests; results depend on this number.

    Raises:
        SettingError: when a value cannot be used.
    """

    driver: Driver
    min_epochs: int = 1
    reduction: int = 3
    min_data: float = 1.0
    lookahead: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.driver, Driver):
            raise SettingError("successive halving wraps a driver", expected="RandomSearch(space)", got=self.driver)
        for name, least in (("min_epochs", 1), ("reduction", 2), ("lookahead", 1)):
            check_whole(name, getattr(self, name), least)
        Fidelity(data=self.min_data)

    def begin(self, setting: Setting) -> Session:
        return Halving(self, self.driver.begin(setting), setting.goal)

    def rungs(self, request: Train) -> tuple[Fidelity, ...]:
        """Return the fidelities of a candidate, the lowest first and the request's own at last."""
        whole = request.fidelity.within(request.recipe.epochs)
        epochs, data = whole.last(request.recipe.epochs), min(self.min_data, whole.data)
        rungs, factor = [], 1
        while self.min_epochs * factor < epochs or data * factor < whole.data * (1.0 - ROUNDING):
            rungs.append(Fidelity(min(epochs, self.min_epochs * factor), min(whole.data, data * factor)))
            factor *= self.reduction
        return (*rungs, whole)

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Return the settings of the driver, ``inner`` among them, and those of the usual inner driver."""
        return staged_settings(cls, default_settings(cls))

    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        """Build the driver around the one that ``inner`` names, which gets the settings that are not its own."""
        return cls(**read_staged(cls, graph, settings))


class Halving(Staged):
    """A search by successive halving."""

    def __init__(self, driver: SuccessiveHalving, inner: Session, goal: Goal) -> None:
        super().__init__(inner, goal, driver.lookahead)
        self.driver = driver
        self.rungs: list[list[tuple[tuple[float, ...], int, Candidate]]] = []  # finished, the best first
        self.finished = 0

    def stages(self, request: Train) -> tuple[Fidelity, ...]:
        return self.driver.rungs(request)

    def choose(self) -> Candidate | None:
        return self._promotable(self.driver.reduction)

    def judge(self, candidate: Candidate) -> None:
        report, rung = candidate.report, candidate.asked - 1
        assert report is not None
        while len(self.rungs) <= rung:
            self.rungs.append([])
        insort(self.rungs[rung], (self.cost(report), candidate.number, candidate))  # no two numbers are equal
        candidate.settled = candidate.complete or not report.ok
        self.finished += candidate.complete and report.ok

    def conclude(self) -> Candidate | None:
        return None if self.finished else self._promotable(1)

    def summary(self) -> str:
        return f"{self.inner.reason}; {self.finished} of {self.proposed} candidates were trained to the end"

    def _promotable(self, one_in: int) -> Candidate | None:
        """Return the best candidate not promoted yet, of the highest rung with such a one among its best."""
        for level in reversed(range(len(self.rungs))):
            rung = self.rungs[level]
            for _, _, candidate in rung[: len(rung) // one_in]:
                if candidate.asked == level + 1 and not candidate.settled:
                    return candidate
        return None
