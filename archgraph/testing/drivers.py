"""Conformance of a driver: what the search loop and its users rely on, tried on a task; for authors of drivers."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from archgraph import rng
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Evaluator, Ledger, Recipe, Report, Request, Train
from archgraph.evaluation.lookup import usual_recipe
from archgraph.search import Budget, Driver, Session, Setting, Study, Trial, run, search
from archgraph.search.wanted import wanted
from archgraph.tasks import Task, find
from archgraph.tasks.tabular import Tabular
from archgraph.workers.workers import Job, Workers

NOBODY = "no_setting_is_called_so"
FAILS = "it was made to fail"


def check_driver(
    driver: Driver, *, task: str | Task, recipe: Recipe | None = None, evaluations: int = 6, seed: int = 3
) -> None:
    """Check all that the contract of a driver promises, in some ten short searches on a task.

    Checked are: something is trained; the same seed gives the same trials, whatever the state of the global generators
    and whatever the driver was used for before; so it does with several workers that finish in any order, and when the
    search is killed half-way and carries on from a storage; a budget of trainings is kept; a search in which every
    second training fails goes on, the same with any workers, and one in which all of them fail comes to its end without
    an error; searches say why they stopped; what was not asked cannot be told; settings have defaults, and one that
    does not exist is an error that names it.

    Args:
        driver: the driver.
        task: a small task that fits what it trains, or its name.
        recipe: how candidates are trained, short; two epochs by default, or as the task has it that is a table.
        evaluations: trainings of a search.
        seed: of the searches.

    Raises:
        AssertionError: for the first promise that is broken, with what was found.
    """
    task = find(task, seed=0) if isinstance(task, str) else task
    usual = usual_recipe(task) if isinstance(task, Tabular) else Recipe(epochs=2)
    trial = _Trial(driver, task, recipe or usual, seed, evaluations)
    with _one_thread(), _own_generators():
        whole = trial.search(globals_from=1)
        trial.expect(len(whole) > 0, "trains something", "no training was asked for")
        trial.expect(len(whole) <= evaluations, f"keeps a budget of {evaluations} trainings", f"{len(whole)} trials")
        trial.same(whole, trial.search(globals_from=2), "does the same again for the same seed")
        trial.same(whole, trial.search(driver=copy.deepcopy(driver)), "does the same when it is copied")
        for size in (2, 3):
            trial.same(whole, trial.search(workers=size), f"does the same with {size} workers")
        trial.carries_on(whole)
        half = trial.search(fails=2)
        trial.same(half, trial.search(fails=2, workers=3), "does the same with 3 workers where trainings fail")
        trial.search(fails=1)
        trial.session()
        trial.settings(whole)


class _Killed(BaseException):
    """Stands for the end of the process."""


class _Trial:
    """A driver on trial."""

    def __init__(self, driver: Driver, task: Task, recipe: Recipe, seed: int, evaluations: int) -> None:
        self.driver, self.task, self.recipe, self.seed, self.evaluations = driver, task, recipe, seed, evaluations
        self.goal = wanted(task, None)[0]

    def search(
        self,
        *,
        driver: Driver | None = None,
        workers: int = 1,
        fails: int = 0,
        globals_from: int = 0,
    ) -> Study:
        """Run a search as :func:`archgraph.search.search` does, and return its study.

        Args:
            driver: the driver on trial by default.
            workers: how many finish in any order; 1 for one after the other.
            fails: one in so many trainings fails; 0 for none.
            globals_from: seed of Python's, NumPy's and torch's global generators.
        """
        _seed_globals(globals_from)
        study = Study("on-trial", objective=self.goal.objectives, constraints=self.goal.constraints)
        evaluator = _Fails(self.task, fails) if fails else Evaluator(self.task, device="cpu")
        budget = Budget(evaluations=self.evaluations)
        try:
            session = (driver or self.driver).begin(self._setting(evaluator, budget))
            run(session, evaluator, study, budget, (), None if workers == 1 else OutOfOrder(evaluator, workers))
        except Exception as error:
            what = "searches without an error" + (f" where one in {fails} trainings fails" if fails else "")
            raise AssertionError(f"{self.driver!r}: {what}\n  {type(error).__name__}: {error}") from error
        self.expect(bool(study.stopped), "says why it stopped", "an empty reason")
        return study

    def same(self, study: Study, other: Study, what: str) -> None:
        """Check that two searches were the same, trial by trial."""
        for one, twin in zip(study, other, strict=False):
            a, b = _told(one), _told(twin)
            differing = [name for name in a if a[name] != b[name]]
            for name in differing[:1]:
                self.expect(False, what, f"trial {one.number} has another {name}: {a[name]} and {b[name]}")
        self.expect(len(study) == len(other), what, f"{len(study)} and {len(other)} trials")
        self.expect(study.stopped == other.stopped, what, f"stopped: {study.stopped!r} and {other.stopped!r}")

    def carries_on(self, whole: Study) -> None:
        """Check that a search that is killed half-way ends as the whole one does."""
        last = (len(whole) - 1) // 2

        def kill(study: Study, trial: Trial) -> None:
            if trial.number == last:
                raise _Killed

        def begun(folder: str, callbacks: Sequence[Callable[[Study, Trial], None]] = ()) -> Study:
            return search(
                self.driver,
                task=self.task,
                recipe=self.recipe,
                seed=self.seed,
                budget=Budget(evaluations=self.evaluations),
                storage=f"journal:///{folder}/runs.db",
                device="cpu",
                callbacks=callbacks,
            )

        with tempfile.TemporaryDirectory(prefix="archgraph-") as folder:
            try:
                begun(folder, [kill])
            except _Killed:
                pass
            else:
                self.expect(False, "trains the same again in a storage", f"trial {last} did not come")
            self.same(whole, begun(folder), f"carries on where it was killed, after trial {last}")

    def session(self) -> None:
        """Check that a session knows what it asked, and asks nothing more when it is done."""
        evaluator = Evaluator(self.task, device="cpu")
        session = self.driver.begin(self._setting(evaluator, Budget(evaluations=self.evaluations)))
        request = session.ask()
        assert request is not None  # it was in a search
        stranger = copy.copy(request)
        self._refuses(session, stranger, "refuses a report on what it has not asked")
        session.tell(request, Report("", failure=FAILS))
        self._refuses(session, request, "refuses to be told twice")
        if session.done:
            self.expect(session.ask() is None, "asks nothing more when it is done", "another request")

    def settings(self, study: Study) -> None:
        """Check what the command line is told."""
        kind = type(self.driver)
        known = kind.settings()
        self.expect(all(isinstance(name, str) for name in known), "names its settings", repr(known))
        try:
            kind.from_settings(study.trials[0].graph, {NOBODY: "1"})
        except UnknownName as error:
            self.expect(NOBODY in str(error), f"names the setting {NOBODY!r} that it does not have", str(error))
        else:
            self.expect(False, f"refuses the setting {NOBODY!r} that it does not have", "no error")

    def expect(self, holds: bool, what: str, found: str) -> None:
        """Raise unless a promise is kept."""
        if not holds:
            raise AssertionError(f"{self.driver!r}: {what}\n  found: {found}")

    def _setting(self, evaluator: Evaluator, budget: Budget) -> Setting:
        return Setting(self.recipe, self.seed, self.goal, evaluator.describe, budget)

    def _refuses(self, session: Session, request: Request, what: str) -> None:
        try:
            session.tell(request, Report("", failure=FAILS))
        except SettingError:
            return
        self.expect(False, what, "no SettingError")


class OutOfOrder(Workers):
    """Workers in this process that are done with what they have in another order than it came.

    Args:
        evaluator: does the work.
        size: how many there are.
    """

    def __init__(self, evaluator: Evaluator, size: int) -> None:
        self.evaluator, self.size = evaluator, size
        self._random = random.Random(size)
        self._open: list[Job] = []

    def submit(self, request: Request) -> Job:
        self._open.append(Job(request))
        return self._open[-1]

    def collect(self, patience: float | None = None) -> list[Job]:
        if not self._open:
            return []
        job = self._open.pop(self._random.randrange(len(self._open)))
        job.report = self.evaluator.answer(job.request)
        return [job]

    def close(self) -> None:
        self._open.clear()


class _Fails(Evaluator):
    """An evaluator with which one in so many trainings fails; which ones depends on what they are."""

    def __init__(self, task: Task, every: int) -> None:
        super().__init__(task, device="cpu")
        self.every = every

    def answer(self, request: Request) -> Report:
        key = self.key(request)
        if isinstance(request, Train) and int(key, 16) % self.every == 0:
            return Report(key, ledger=Ledger(samples=1), failure=FAILS)
        return super().answer(request)


def _told(trial: Trial) -> dict[str, str]:
    """Return what two searches must have the same, as text."""
    moves, values = list(trial.moves), dict(sorted(trial.values.items()))
    told: dict[str, Any] = {"graph": trial.graph, "key": trial.facts["key"], "parent": trial.parent, "moves": moves}
    told |= {"values": values, "predicted": trial.predicted, "measured": trial.measured, "failure": trial.failure}
    told |= {"metrics": dict(sorted(trial.metrics.items())), "bill": None if trial.spent is None else trial.spent.macs}
    return {name: str(value) for name, value in told.items()}


def _seed_globals(seed: int) -> None:
    """Put the global generators where nobody can have expected them."""
    own = rng.derive(seed, "globals")
    random.seed(own)
    np.random.seed(own % 2**32)
    torch.manual_seed(own)


@contextmanager
def _own_generators() -> Iterator[None]:
    """Put the global generators back afterwards."""
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, as searches do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
