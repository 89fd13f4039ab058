"""Searching in stages: what drivers share that decide how far the candidates of another driver are trained."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Fidelity, Origin, Report, Request, Train
from archgraph.graph import Graph
from archgraph.registry import DRIVERS
from archgraph.search.driver import Driver, Session, default_settings, read_settings
from archgraph.search.goal import Goal

INNER = "inner"
"""Setting that names the driver whose candidates they are."""

USUAL = "random-search"


@dataclass(eq=False)
class Candidate:
    """A request of the inner session, and how far it has come.

    Args:
        request: as the inner session asked for it, which is at the highest fidelity that it may reach.
        number: in the order of asking.
        stages: its fidelities, the lowest first; none for scores and measurements, which are passed on as they are.
        asked: how many stages have been asked for.
        report: on the last stage that is done.
        open: whether a stage is being evaluated.
        settled: whether it goes on no more.
    """

    request: Request
    number: int
    stages: tuple[Fidelity, ...] = ()
    asked: int = 0
    report: Report | None = None
    open: bool = False
    settled: bool = False

    @property
    def complete(self) -> bool:
        """Whether all stages were asked for."""
        return self.asked >= len(self.stages)

    def ask(self) -> Request:
        """Return the next stage as a request, which comes from the network of the stage before."""
        self.open = True
        if not isinstance(self.request, Train):
            return self.request
        origin, fidelity = self.request.origin, self.stages[self.asked]
        if self.report is not None and self.report.network is not None:
            before = self.stages[self.asked - 1]
            note = f"candidate {self.number} again, on more data"
            if before.data == fidelity.data:
                note = f"candidate {self.number}, on from epoch {before.last(self.request.recipe.epochs)}"
            origin = Origin(self.report.network.key, stage=origin.stage, note=note, values=origin.values)
        self.asked += 1
        return replace(self.request, fidelity=fidelity, origin=origin)


class Staged(Session):
    """A session that trains the candidates of another one in stages.

    What is decided depends on the reports told so far, and these are told in the order of asking with exactly
    ``lookahead`` requests open: so decisions are asynchronous, none waits for a whole stage to end, and still the same
    with any number of workers. The price is that a slow evaluation holds up those more than ``lookahead`` behind it.

    The inner session is told of its candidates in the order in which it asked for them, of each once, with the report
    at the fidelity reached by then: when a candidate goes on no more and all before it were told, or, earlier, when the
    inner session asks for nothing more without. A candidate that was told early may still go on, for the study's sake.

    Args:
        inner: proposes candidates.
        goal: what decides which are good: constraints, then the first objective.
        lookahead: requests that are open at once; as many workers are busy.
    """

    def __init__(self, inner: Session, goal: Goal, lookahead: int) -> None:
        self.inner, self.goal, self.lookahead = inner, goal, lookahead
        self.proposed = 0
        self._untold: deque[Candidate] = deque()
        self._open: list[tuple[Request, Candidate]] = []
        self._done = False

    # ------------------------------------------------------------------ what a method decides
    @abstractmethod
    def stages(self, request: Train) -> tuple[Fidelity, ...]:
        """Return the fidelities at which a candidate is looked at, the request's own at last."""

    @abstractmethod
    def choose(self) -> Candidate | None:
        """Return a candidate to go on with now, or None when a new one is to come first."""

    @abstractmethod
    def judge(self, candidate: Candidate) -> None:
        """Take note of a stage that is done; ``settled`` is to be set when the candidate goes on no more."""

    def conclude(self) -> Candidate | None:
        """Return a candidate to go on with when there will be no new ones and :meth:`choose` has none."""
        return None

    def summary(self) -> str:
        """Return why the search ended, as a sentence."""
        return self.inner.reason

    def cost(self, report: Report) -> tuple[float, float, float]:
        """Return what orders reports, the best first.

        By how much it breaks the constraints, then the first objective, then validation loss; infinite when it failed.
        """
        value = self.goal.objectives[0].cost(report.metrics) if report.ok else math.nan
        if math.isnan(value):
            return math.inf, math.inf, math.inf
        return self.goal.violation(report.metrics), value, report.metrics.get("val.loss", 0.0)

    # ------------------------------------------------------------------ the contract
    @property
    def done(self) -> bool:
        return self._done

    @property
    def findings(self) -> str:
        return self.inner.findings

    def ask(self) -> Request | None:
        candidate = None if self._done else self.choose() or self._propose()
        if candidate is None and self.inner.done and not self._open and not self._done:
            candidate = self.conclude()
            if candidate is None:
                self._done, self.reason = True, self.summary()
        if candidate is None:
            return None
        request = candidate.ask()
        self._open.append((request, candidate))
        return request

    def tell(self, request: Request, report: Report) -> None:
        place = next((place for place, (one, _) in enumerate(self._open) if one is request), None)
        if place is None:
            raise SettingError("this request was not asked, or was told before", hint="tell what ask() returned, once")
        candidate = self._open.pop(place)[1]
        candidate.open, candidate.report = False, report
        self.inner.hear(candidate.request, report)
        if candidate.stages:
            self.judge(candidate)
        else:
            candidate.settled = True
        while self._untold and self._untold[0].settled:
            self._tell_first()

    def _propose(self) -> Candidate | None:
        """Return a new candidate of the inner session, which is told what it needs for that."""
        while not self.inner.done:
            full = self.inner.lookahead is not None and len(self._untold) >= self.inner.lookahead
            request = None if full else self.inner.ask()
            if request is not None:
                stages = self.stages(request) if isinstance(request, Train) else ()
                candidate = Candidate(request, self.proposed, stages)
                self.proposed += bool(stages)
                self._untold.append(candidate)
                return candidate
            if not self._untold or self._untold[0].open or (self._open and not full):
                return None  # what is open may make the report better that the inner session gets
            self._tell_first()
        return None

    def _tell_first(self) -> None:
        candidate = self._untold.popleft()
        assert candidate.report is not None
        self.inner.tell(candidate.request, candidate.report)


def staged_settings(kind: type[Driver], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a driver of stages as the command line takes them: its own, and the usual inner driver's.

    Args:
        kind: of the driver.
        own: its own settings with their defaults.
    """
    return {INNER: USUAL} | dict(own) | DRIVERS.get(USUAL).settings()


def read_staged(kind: type[Driver], graph: Graph, settings: Mapping[str, str]) -> dict[str, Any]:
    """Read the fields of a driver of stages from text; what is not its own goes to the driver that ``inner`` names.

    Args:
        kind: of the driver; its field ``driver`` is the inner one.
        graph: where the inner driver starts.
        settings: as text.

    Raises:
        UnknownName: when there is no such driver or setting.
        SettingError: when a value cannot be used.
    """
    name, own = settings.get(INNER, USUAL), default_settings(kind)
    inner = DRIVERS.get(name)
    if not (isinstance(inner, type) and issubclass(inner, Driver)):
        raise SettingError(f"what is registered as driver {name!r} is none", expected="a subclass of Driver", got=inner)
    if inner is kind:
        raise SettingError(f"inner={name} would wrap the driver in itself", expected=f"such as inner={USUAL}")
    known = {INNER: USUAL} | own | inner.settings()
    for one in settings:
        if one not in known:
            raise UnknownName.among(f"setting of {kind.__name__} on {inner.__name__}", one, known)
    theirs = {one: text for one, text in settings.items() if one != INNER and one not in own}
    mine = {one: text for one, text in settings.items() if one in own}
    return {"driver": inner.from_settings(graph, theirs), **read_settings(kind, mine)}
