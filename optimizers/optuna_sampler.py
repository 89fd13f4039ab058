"""Any sampler of Optuna over a space, by its ask and tell.

Akiba, Sano, Yanase, Ohta and Koyama, *Optuna: A Next-generation Hyperparameter Optimization Framework* (KDD 2019).
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from archgraph import rng
from archgraph.errors import ArchGraphError, SettingError, Unsatisfied
from archgraph.search import Goal, Setting
from archgraph.spaces import Choice, Domain, Float, Int, Ordered, Space
from archgraph.storage.storage import quiet
from optimizers.proposing import PATIENCE, History, Proposal, Proposer, Source

SAMPLERS: Mapping[str, str] = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}
"""Names of samplers and their classes in Optuna."""

STUCK = 5
"""Proposals trained before that a sampler may repeat one after the other until it gets a step away from the last."""


@dataclass(frozen=True)
class OptunaSampler(Proposer):
    """Train what a sampler of Optuna proposes.

    The sampler sees parameters as the space asks for them, one after the other, so conditional ones exist only where
    they matter. It is told costs (all to be made small), constraints and failures; points whose training is under way
    are running trials to it. When it repeats itself, which is usual in small spaces, it gets a random step away.

    Args:
        sampler: a name (``"tpe"``, ``"gp"``, ``"nsga2"``, ``"cmaes"``, ...); a function that makes a sampler of a seed,
            such as ``lambda seed: TPESampler(multivariate=True, seed=seed)``; or a sampler, of which a copy is used for
            every run: give it a seed, or runs differ.

    Raises:
        SettingError: when there is no such sampler.
    """

    sampler: str | Callable[[int], Any] | Any = "tpe"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.sampler, str) and self.sampler not in SAMPLERS:
            raise SettingError("there is no such sampler", expected=", ".join(SAMPLERS), got=repr(self.sampler))

    def source(self, setting: Setting) -> Source:
        sampler = _sampler(self.sampler, rng.derive(setting.seed, "sampler") % (1 << 31), self.lookahead)
        return OptunaSource(self.space, sampler, setting.goal)


class OptunaSource(Source):
    """Proposes what a sampler suggests.

    Args:
        space: where.
        sampler: of Optuna.
        goal: gives the number of objectives, and the constraints.
    """

    def __init__(self, space: Space, sampler: Any, goal: Goal) -> None:
        import optuna

        self.space = space
        with _silent():
            directions = [optuna.study.StudyDirection.MINIMIZE] * len(goal.objectives)
            self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._constraints = tuple(map(str, goal.constraints))
        self._trials: dict[int, Any] = {}  # by the number of the proposal, while they are open
        self._told = self._refused = self._in_a_row = 0

    def propose(self, history: History) -> Proposal | None:
        with _silent():
            self._tell(history)
            for _ in range(PATIENCE):
                trial, values = self._suggestion()
                if values is None:
                    self._fail(trial)
                    continue
                note = ""
                if self._in_a_row >= STUCK:
                    self._fail(trial)
                    values, note = self.space.mutate(values, history.seed), "a step away"
                    trial = self._trial(values)
                self._trials[history.number] = trial
                return Proposal(values, note=note)
        self.reason = f"{PATIENCE} suggestions in a row break a requirement of the space"
        return None

    def _suggestion(self) -> tuple[Any, dict[str, Any] | None]:
        """Return a trial with the values that the sampler suggests; None where they break a requirement."""
        try:
            trial = self._study.ask()
            try:
                return trial, self.space.resolve(lambda name, domain: suggest(trial, name, domain))
            except Unsatisfied:
                return trial, None
        except ArchGraphError:
            raise
        except (ImportError, ValueError) as error:  # a package that some samplers need, several objectives
            name = type(self._study.sampler).__name__
            hint = f"pip install {error.name}" if isinstance(error, ImportError) and error.name else None
            raise SettingError(f"{name} of Optuna cannot be used here", got=str(error), hint=hint) from error

    def _trial(self, values: Mapping[str, Any]) -> Any:
        """Return a trial with given values."""
        fixed = {name: _inner(self.space.domains[name], value) for name, value in values.items()}
        self._study.enqueue_trial(fixed)
        trial, _ = self._suggestion()
        return trial

    def _tell(self, history: History) -> None:
        """Pass on what is new; what another suggester proposed (:mod:`optimizers.proposing.around`) is new, too."""
        for one in history.told[self._told :]:
            trial, self._in_a_row = self._trials.pop(one.number, None) or self._trial(one.values), 0
            if one.failed:
                self._fail(trial)
                continue
            for constraint, by in zip(self._constraints, one.violation, strict=True):
                trial.set_constraint(constraint, by)
            self._study.tell(trial, list(one.costs))
        for refused in history.refused[self._refused :]:
            if refused.number in self._trials:  # no proposal of another suggester
                self._in_a_row += 1
                self._fail(self._trials.pop(refused.number))
        self._told, self._refused = len(history.told), len(history.refused)

    def _fail(self, trial: Any) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial, state=TrialState.FAIL)


def suggest(trial: Any, name: str, domain: Domain) -> Any:
    """Return what a trial of Optuna suggests for a parameter; of ordered numbers it suggests the place.

    Raises:
        SettingError: when the domain is of a kind that Optuna does not know.
    """
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.options)
    if isinstance(domain, Ordered):
        return domain.numbers[trial.suggest_int(name, 0, len(domain.numbers) - 1)]
    raise SettingError(f"Optuna cannot suggest {name!r}", expected="an Int, Float, Choice or Ordered", got=repr(domain))


def _inner(domain: Domain, value: Any) -> Any:
    """Return what Optuna has for a value."""
    return domain.numbers.index(value) if isinstance(domain, Ordered) else value


def _sampler(given: Any, seed: int, lookahead: int | None) -> Any:
    """Return a fresh sampler."""
    from optuna import samplers

    if isinstance(given, samplers.BaseSampler):
        return copy.deepcopy(given)
    if not isinstance(given, str):
        made = given(seed)
        if not isinstance(made, samplers.BaseSampler):
            raise SettingError("this makes no sampler", expected="an optuna.samplers.BaseSampler", got=repr(made))
        return made
    kind = getattr(samplers, SAMPLERS[given])
    taken = inspect.signature(kind).parameters
    options: dict[str, Any] = {"seed": seed, "constant_liar": lookahead != 1}
    with _silent():
        return kind(**{name: value for name, value in options.items() if name in taken})


@contextmanager
def _silent() -> Iterator[None]:
    """Keep back what Optuna logs, and its warnings of what is experimental."""
    from optuna.exceptions import ExperimentalWarning

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
