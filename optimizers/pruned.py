"""Stopping bad candidates early by one of Optuna's pruners.

Akiba, Sano, Yanase, Ohta and Koyama, *Optuna: A Next-generation Hyperparameter Optimization Framework* (KDD 2019),
section 3.2.
"""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from archgraph.checks import check_whole
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Fidelity, Report, Train
from archgraph.graph import Graph
from archgraph.search import Driver, Goal, Session, Setting, default_settings
from archgraph.search.objective import Objective, value_of
from archgraph.search.staged import Candidate, Staged, read_staged, staged_settings
from archgraph.storage.storage import quiet

CURVE = "val.loss"
"""What a pruner sees when the objective is not in learning curves."""


@dataclass(frozen=True)
class Pruned(Driver):
    """Train the candidates of another driver a few epochs at a time, and stop those that a pruner gives up.

    The pruner sees a study of Optuna in memory with one trial a candidate and, epoch by epoch, the objective on the
    validation split as the learning curve has it (validation loss where the objective is not in it). It is asked after
    every epoch, as in Optuna; training goes on, from the checkpoint, after ``every`` epochs in which it did not say
    stop. The other driver is told of a candidate that is stopped with the report at the fidelity reached. Every
    ``every`` epochs of a candidate are a trial.

    Args:
        driver: proposes candidates: any driver that asks for trainings that can be compared.
        pruner: one of Optuna's, of which every search gets a copy; or as text, such as ``"median"``,
            ``"hyperband(reduction_factor=4)"`` or ``"patient(median(), patience=2)"``.
        every: epochs between two times at which training can be stopped.
        lookahead: requests that are open at once, whatever the number of workers, which would be idle beyond it. A
            decision knows the reports on all but the last ``lookahead - 1`` requests; results depend on this number.

    Raises:
        SettingError: when a value cannot be used.
        UnknownName: when there is no such pruner.
    """

    driver: Driver
    pruner: str | Any = "median"
    every: int = 1
    lookahead: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.driver, Driver):
            raise SettingError("pruning wraps a driver", expected="RandomSearch(space)", got=self.driver)
        for name in ("every", "lookahead"):
            check_whole(name, getattr(self, name), 1)
        read_pruner(self.pruner)

    def begin(self, setting: Setting) -> Session:
        return Pruning(self, self.driver.begin(setting), setting.goal)

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Return the settings of the driver, ``inner`` among them, and those of the usual inner driver."""
        return staged_settings(cls, default_settings(cls))

    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        """Build the driver around the one that ``inner`` names, which gets the settings that are not its own."""
        return cls(**read_staged(cls, graph, settings))


class Pruning(Staged):
    """A search with a pruner."""

    def __init__(self, driver: Pruned, inner: Session, goal: Goal) -> None:
        import optuna

        super().__init__(inner, goal, driver.lookahead)
        self.driver, self.stopped = driver, 0
        first = goal.objectives[0]
        self.seen = first if first.name.startswith("val.") else Objective(CURVE)
        with quiet():
            self.study = optuna.create_study(
                study_name="pruned",  # Hyperband deals trials to brackets by name and number
                storage=optuna.storages.InMemoryStorage(),
                sampler=optuna.samplers.RandomSampler(seed=0),  # nothing is sampled
                pruner=read_pruner(driver.pruner),
                direction="maximize" if self.seen.sign < 0 else "minimize",
            )
        self._trials: dict[Candidate, Any] = {}
        self._going: deque[Candidate] = deque()

    def stages(self, request: Train) -> tuple[Fidelity, ...]:
        whole = request.fidelity.within(request.recipe.epochs)
        steps = range(self.driver.every, whole.last(request.recipe.epochs), self.driver.every)
        return (*(Fidelity(epochs, whole.data) for epochs in steps), whole)

    def choose(self) -> Candidate | None:
        return self._going.popleft() if self._going else None

    def judge(self, candidate: Candidate) -> None:
        report = candidate.report
        assert report is not None
        with quiet():
            if candidate not in self._trials:
                self._trials[candidate] = self.study.ask()
            trial = self._trials[candidate]
            stop = any(_prunes(trial, epoch, value) for epoch, value in self._news(candidate, report))
            candidate.settled = candidate.complete or stop or not report.ok
            if candidate.settled:
                self._end(self._trials.pop(candidate), candidate, report)
            else:
                self._going.append(candidate)

    def summary(self) -> str:
        return f"{self.inner.reason}; {self.stopped} of {self.proposed} candidates were stopped early"

    def _news(self, candidate: Candidate, report: Report) -> Iterator[tuple[int, float]]:
        """Yield the epochs that the pruner has not seen, with what it looks at."""
        assert isinstance(candidate.request, Train)
        known = 0
        if candidate.asked > 1:
            known = candidate.stages[candidate.asked - 2].last(candidate.request.recipe.epochs)
        for point in report.curve:
            if point.epoch > known:
                yield point.epoch, value_of(point.metrics, self.seen.name)

    def _end(self, trial: Any, candidate: Candidate, report: Report) -> None:
        """Tell Optuna how a candidate has ended, for the pruner's later decisions."""
        from optuna.trial import TrialState

        if not report.ok:
            self.study.tell(trial, state=TrialState.FAIL)
        elif candidate.complete:
            self.study.tell(trial, value_of(report.metrics, self.seen.name))
        else:
            self.stopped += 1
            self.study.tell(trial, state=TrialState.PRUNED)


def _prunes(trial: Any, epoch: int, value: float) -> bool:
    trial.report(value, step=epoch)
    return bool(trial.should_prune())


def read_pruner(given: Any) -> Any:
    """Return a pruner of one's own: a copy, for some keep what they have seen, or one made from text.

    Args:
        given: one of Optuna's pruners, or its name in lower case, with underscores and without ``Pruner``, and what it
            takes in brackets.

    Raises:
        UnknownName: when Optuna has none called so.
        SettingError: when it is no pruner, or does not take these arguments.

    >>> type(read_pruner("patient(median(n_startup_trials=2), patience=3)")).__name__
    'PatientPruner'
    """
    import optuna

    if isinstance(given, optuna.pruners.BasePruner):
        return copy.deepcopy(given)
    try:
        if not isinstance(given, str):
            raise ValueError("it is neither a pruner nor a text")
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = _made(ast.parse(given.strip(), mode="eval").body)
        if not isinstance(made, optuna.pruners.BasePruner):
            raise ValueError("it is no name of one")
        return made
    except UnknownName:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise SettingError(
            f"there is no such pruner: {error}",
            expected="such as median(n_startup_trials=5), hyperband, patient(median(), patience=2)",
            got=given if isinstance(given, str) else repr(given),
        ) from error


def _made(tree: ast.expr) -> Any:
    """Return the pruner that an expression names, its arguments numbers, texts or pruners."""
    import optuna

    if isinstance(tree, ast.Name):
        tree = ast.Call(tree, [], [])
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        return ast.literal_eval(tree)
    known = {_name(kind): kind for kind in optuna.pruners.__all__ if kind != "BasePruner"}
    if tree.func.id not in known:
        raise UnknownName.among("pruner", tree.func.id, known)
    given = {str(one.arg): _made(one.value) for one in tree.keywords}
    return getattr(optuna.pruners, known[tree.func.id])(*map(_made, tree.args), **given)


def _name(kind: str) -> str:
    """Return how a class of pruners is called in text.

    >>> _name("SuccessiveHalvingPruner")
    'successive_halving'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removesuffix("Pruner")).lower()
