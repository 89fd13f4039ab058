"""What a search has taught about its space, besides the best network that it has trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archgraph.evaluation import Recipe, Report
from archgraph.search import Goal, Setting, Study, Trial
from archgraph.spaces.space import shown
from optimizers.proposing import History, Proposal, Told, told

NAMED = 4
"""Parameters that a sentence names."""


@dataclass(frozen=True)
class Lessons:
    """What a surrogate has learnt.

    Args:
        objective: full name of the (first) objective.
        values: the observed point with the best expectation of it, of those that are expected to keep the constraints.
        expected: between what the objective is expected there: one standard deviation below and above the mean.
        lengths: parameters, the most important first, each with the length over which the surrogate changes, as a part
            of the parameter's range; of several objectives or columns the shortest. Far above 1 the parameter has no
            influence that shows.
    """

    objective: str
    values: Mapping[str, Any]
    expected: tuple[float, float]
    lengths: Mapping[str, float]

    def __str__(self) -> str:
        low, high = self.expected
        point = shown({name: _short(value) for name, value in self.values.items()})
        mattered = ", ".join(f"{name} ({length:.2g})" for name, length in list(self.lengths.items())[:NAMED])
        where = f"best expectation of {self.objective}, {low:.4g} to {high:.4g}, at {point}"
        return f"{where}; what mattered, by length: {mattered}"


def history_of(study: Study, goal: Goal) -> tuple[Setting, History]:
    """Return a study as a search sees it: its setting as far as it matters, and all that was trained at points.

    Args:
        study: a search over a space.
        goal: what is searched for.
    """
    trials = [trial for trial in study if trial.values]
    return Setting(Recipe(epochs=_epochs(trials)), goal=goal), History(tuple(_told(trial, goal) for trial in trials))


def _told(trial: Trial, goal: Goal) -> Told:
    report = Report(
        trial.facts["key"], trial.metrics, ledger=trial.ledger, failure=trial.failure, fidelity=trial.fidelity
    )
    return told(Proposal(trial.values), trial.number, trial.graph, report, goal)


def _epochs(trials: list[Trial]) -> int:
    """Return the epochs of the whole recipe, of which a training at a lower fidelity tells; else any number."""
    for trial in trials:
        if trial.share < 1.0 and trial.fidelity.epochs is not None:
            return max(1, round(trial.fidelity.epochs * trial.fidelity.data / trial.share))
    return 1


def _short(value: Any) -> Any:
    """Return a value as people read it."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
