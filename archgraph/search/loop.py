"""The loop between a driver and the backend: ask, evaluate, record, tell.

Whatever evaluates, and however many at a time, the driver sees the same calls in the same order, trials are numbered as
they were asked, and a limit stops the search at the same training: what is asked while other requests are still open is
begun only if the budget allows it even should those cost the most they can; else it waits until they are told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from archgraph.errors import SettingError
from archgraph.evaluation import Evaluator, Ledger, Measure, Report, Request, Train
from archgraph.evaluation.fit import graph_of
from archgraph.search.answers import Answers
from archgraph.search.budget import Budget
from archgraph.search.driver import Session
from archgraph.search.facts import ledger_facts
from archgraph.search.study import Study
from archgraph.search.trial import Trial
from archgraph.storage.claims import Claim
from archgraph.workers.workers import InProcess, Job, Workers

Callback = Callable[[Study, Trial], None]
"""Called with the study and the trial after every training."""

REFUSED_IN_A_ROW = 100
"""A search ends when that many candidates one after the other cost nothing, for no budget would ever be spent."""

AHEAD = 8
"""Requests a worker that may be open at once: when one takes long, others go on, but not for ever."""

LOOK_AGAIN = 0.1
"""Seconds until what another process is evaluating is looked for again."""


def run(
    session: Session,
    evaluator: Evaluator,
    study: Study,
    budget: Budget,
    callbacks: Sequence[Callback] = (),
    workers: Workers | None = None,
) -> Ledger:
    """Ask, evaluate, record and tell until the session is done or the budget spent; return the bill.

    The bill has all that was asked for, also what was answered from the study or the cache, so that a search that
    carries on stops where the uninterrupted one does.

    Args:
        session: asks.
        evaluator: knows what was answered before, and what requests cost.
        study: where trainings are recorded.
        budget: what may be spent.
        callbacks: called after every training that is new to the study.
        workers: who evaluates; this process by default.

    Raises:
        SettingError: when the driver asks for the test split, or for what is no request.
        StorageError: when a result cannot be stored; what was stored before is safe.
    """
    loop = _Loop(session, evaluator, study, budget, callbacks, workers or InProcess(evaluator))
    try:
        loop.run()
    finally:
        loop.release()
    study.note("bill", ledger_facts(loop.bill))  # the last trial's lacks what was asked after it
    study.note("stopped", loop.stopped)
    return loop.bill


@dataclass(eq=False)
class _Open:
    """A request that was asked and is not told yet.

    Args:
        request: what was asked.
        key: its key.
        reserved: the most it can cost.
        report: the answer, when it is there.
        job: the evaluation, when it is done here.
        twin: an equal request that was asked before and is still open.
        claim: the right to evaluate it.
        awaited: whether another process is at it.
        stored: whether the answer is safe before its turn has come.
        begun: when, by the monotonic clock.
        refused: whether the candidate is larger than the budget allows.
    """

    request: Request
    key: str
    reserved: Ledger
    report: Report | None = None
    job: Job | None = None
    twin: _Open | None = None
    claim: Claim | None = None
    awaited: bool = False
    stored: bool = False
    begun: float = field(default_factory=time.monotonic)
    refused: bool = False

    def release(self) -> None:
        """Give back the right to evaluate it."""
        if self.claim is not None:
            self.claim.release()
            self.claim = None


class _Loop:
    """A search under way."""

    def __init__(
        self,
        session: Session,
        evaluator: Evaluator,
        study: Study,
        budget: Budget,
        callbacks: Sequence[Callback],
        workers: Workers,
    ) -> None:
        self.session, self.evaluator, self.study, self.budget = session, evaluator, study, budget
        self.callbacks, self.workers = callbacks, workers
        self.answers = Answers(study.artifacts.folder, study.name)
        self.recorded = {trial.facts["key"] for trial in study.trials}
        self.open: deque[_Open] = deque()
        self.next: Request | None = None  # asked, but not begun: the budget may not last for it
        self.bill, self.evaluations, self.refused, self.reason = Ledger(), 0, 0, ""
        self.too_large = 0  # candidates that the budget refused
        self.longest = 0.0  # seconds of an evaluation

    def run(self) -> None:
        """Go on until there is nothing more to do."""
        while True:
            self._fill()
            if not self.open:
                return
            if self.open[0].report is None:
                self._store_early()
                self._wait()
            else:
                self._close(self.open[0])
                self.open.popleft()
                if self.refused == REFUSED_IN_A_ROW:
                    return

    @property
    def stopped(self) -> str:
        """Why there is nothing more to do, how many candidates count that were refused, and what was learnt."""
        parts = [self.reason or self.session.reason]
        if self.too_large:
            parts.append(f"{self.too_large} of {self.evaluations} candidates were refused, not trained: too large")
        return "; ".join(part for part in (*parts, self.session.findings) if part)

    def release(self) -> None:
        """Give back all rights."""
        for entry in self.open:
            entry.release()

    # ------------------------------------------------------------------ asking
    def _fill(self) -> None:
        """Ask and begin as much as session, workers and budget allow."""
        while not self.reason and self._room():
            if self.next is None and not self.session.done:
                self.next = self.session.ask()
                if self.next is None and not self.open and not self.session.done:
                    raise SettingError("the driver asks for nothing although it is not done", hint="see Session.ask")
            if self.next is None:
                return
            if not isinstance(self.next, Request):
                raise SettingError(
                    "the driver asks for something that is no request",
                    expected="Train, Score, Calibrate or Measure, or a list of them",
                    got=f"{type(self.next).__name__} {self.next!r:.60}",
                )
            if isinstance(self.next, Train) and self._under_way(self.next):
                return
            if spent := self._spent():
                self.reason = "" if self.open else spent
                return  # with requests open it is not sure before they are told
            request, self.next = self.next, None
            self._begin(request)

    def _room(self) -> bool:
        """Whether another request may be open."""
        if self.session.lookahead is not None:
            return len(self.open) < self.session.lookahead
        busy = sum(entry.report is None and not entry.awaited for entry in self.open)
        return busy < self.workers.size and len(self.open) < AHEAD * self.workers.size

    def _under_way(self, request: Train) -> bool:
        """Whether the same training is open at another fidelity: what is left of it must not depend on the workers."""
        others = (entry.request for entry in self.open if isinstance(entry.request, Train))
        return any(one.key != request.key and one.course == request.course for one in others)

    def _spent(self) -> str:
        """Return which limit is reached if all that is open costs the most it can, or an empty text.

        Of seconds nobody knows the most; they are foretold from the evaluation that took longest so far.
        """
        bill = self.bill
        for entry in self.open:
            seconds = max(self.longest, time.monotonic() - entry.begun)
            seconds = seconds if entry.report is None else entry.report.ledger.wall_seconds
            bill = bill + replace(entry.reserved, wall_seconds=seconds)
        return self.budget.spent(self.evaluations, bill)

    # ------------------------------------------------------------------ evaluating
    def _begin(self, request: Request) -> None:
        """Answer a request from what is known, or have it evaluated."""
        if isinstance(request, Measure) and request.split == "test":
            raise SettingError("drivers must not see the test split", expected="train or val")
        self.evaluations += isinstance(request, Train)
        entry = _Open(request, self.evaluator.key(request), self.evaluator.at_most(request))
        refusal = self._refusal(entry)
        entry.refused = refusal is not None
        entry.report = refusal or self._known(entry)
        if entry.report is None:
            entry.twin = next((one for one in self.open if one.key == entry.key), None)
        self.open.append(entry)
        if entry.report is None and entry.twin is not None:
            entry.report = None if entry.twin.report is None else entry.twin.report.from_cache()
        elif entry.report is None:
            self._submit(entry)

    def _refusal(self, entry: _Open) -> Report | None:
        """Return a failed report when a candidate is larger than the budget allows."""
        if not isinstance(entry.request, Train):
            return None
        if self.budget.max_params is None and self.budget.max_macs is None:
            return None
        size = self.evaluator.describe(graph_of(entry.request))
        refusal = self.budget.refuses(size.get("params", 0.0), size.get("macs", 0.0))
        return Report(entry.key, metrics=size, failure=f"not trained: {refusal}") if refusal else None

    def _known(self, entry: _Open) -> Report | None:
        """Return the answer from the cache, the trials, or the scores and measurements of the study."""
        known = self.evaluator.cached(entry.key)
        if known is None and isinstance(entry.request, Train) and entry.key in self.recorded:
            known = self.study.recall(entry.key)
        if known is None and not isinstance(entry.request, Train):
            known = self.answers.get(entry.key)
        if known is not None and not known.ledger.cached:
            self.evaluator.remember(known)
            known = known.from_cache()
        return known

    def _submit(self, entry: _Open) -> None:
        """Hand a request to the workers, unless another process is at it."""
        if isinstance(entry.request, Train):
            entry.claim = self.study.claim(entry.key)
            entry.awaited = entry.claim is None
            found = None if entry.awaited else self.study.recall(entry.key)  # kept, or recorded just now by another
            if found is not None:
                entry.release()
                return self._answer(entry, found.from_cache())
        if not entry.awaited:
            entry.begun = time.monotonic()
            entry.job = self.workers.submit(entry.request)

    def _wait(self) -> None:
        """Wait until something is answered, here or by another process."""
        awaited = [entry for entry in self.open if entry.awaited]
        if any(entry.job is not None and entry.report is None for entry in self.open):
            self.workers.collect(LOOK_AGAIN if awaited else None)
        elif awaited:
            time.sleep(LOOK_AGAIN)
        for entry in self.open:
            if entry.job is not None and entry.report is None and entry.job.report is not None:
                self.evaluator.remember(entry.job.report)
                self._answer(entry, entry.job.report)
                if not isinstance(entry.request, Train):
                    self.answers.put(entry.job.report)
        for entry in awaited:
            found = self.study.recall(entry.key)
            if found is None:
                self._submit(entry)  # the other process may be gone
            else:
                entry.awaited = False
                self._answer(entry, found.from_cache())

    def _answer(self, entry: _Open, report: Report) -> None:
        """Take an answer, also for those who asked the same."""
        entry.report = report
        self.longest = max(self.longest, report.ledger.wall_seconds)
        for other in self.open:
            if other.twin is entry:
                other.report = report.from_cache()

    # ------------------------------------------------------------------ recording and telling
    def _store_early(self) -> None:
        """Bring to the disk what was finished here before its turn."""
        for entry in self.open:
            if entry.job is not None and entry.report is not None and not entry.stored:
                if isinstance(entry.request, Train):
                    self.study.keep(entry.request, entry.report)
                    self._settle(entry)
                entry.stored = True

    def _close(self, entry: _Open) -> None:
        """Record a training and tell the driver; its turn has come."""
        request, report = entry.request, entry.report
        assert report is not None
        self.bill = self.bill + report.ledger
        if isinstance(request, Train):
            self.too_large += entry.refused
            self.refused = 0 if report.ok or report.ledger.samples else self.refused + 1
            if self.refused == REFUSED_IN_A_ROW:
                self.reason = f"the last {self.refused} candidates could not be trained at all: {report.failure}"
            new = entry.key not in self.recorded
            if new or not report.ledger.cached:
                trial = self.study.record(request, report, self.bill)
                self.recorded.add(entry.key)
                self._settle(entry)
                for callback in self.callbacks if new else ():
                    callback(self.study, trial)
        self.session.tell(request, report)

    def _settle(self, entry: _Open) -> None:
        """Clear up after a training whose result is safe."""
        entry.release()
        request = entry.request
        if isinstance(request, Train):
            last = request.fidelity.last(request.recipe.epochs)
            self.evaluator.paused.forget(self.evaluator.course(request), last)
        if self.evaluator.checkpoints is not None:
            self.evaluator.checkpoints.drop(entry.key)
