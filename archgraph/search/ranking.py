"""Which trials are good: the best one, the Pareto front, the hypervolume, and how they came about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from archgraph.errors import DataError
from archgraph.evaluation import Ledger
from archgraph.search.goal import Goal
from archgraph.search.objective import value_of
from archgraph.search.pareto import hypervolume, non_dominated
from archgraph.search.trial import Trial

Point = tuple[float, ...]


def comparable(trials: Iterable[Trial], goal: Goal) -> list[Trial]:
    """Return the trials that compete: they succeeded, keep the constraints, and have a number for every objective.

    Only those at the highest fidelity that any of them has reached, for a metric after fewer epochs says something
    else: those trained by all of their recipe, if there are any (:attr:`Trial.share`).

    Raises:
        UnknownName: when a successful trial does not have the metric of an objective.
    """
    good = [trial for trial in trials if _counts(trial, goal)]
    top = max((trial.share for trial in good), default=1.0)
    return [trial for trial in good if trial.share == top]


def _counts(trial: Trial, goal: Goal) -> bool:
    """Whether a trial competes, whatever the others' fidelity."""
    return trial.ok and not any(map(math.isnan, costs(trial, goal))) and trial.feasible


def costs(trial: Trial, goal: Goal) -> Point:
    """Return what is to be made small, one number an objective.

    Raises:
        UnknownName: when the trial does not have the metric.
    """
    return tuple(objective.sign * trial.metric(objective.name) for objective in goal.objectives)


def best(trials: Sequence[Trial], goal: Goal, study: str) -> Trial:
    """Return the best trial by the first objective; among equals by the next ones, then by loss, then by params.

    Args:
        trials: all of a study.
        goal: what it is after.
        study: its name, for the error.

    Raises:
        DataError: when no trial succeeded, or none that did keeps the constraints.
    """
    good = comparable(trials, goal)
    if good:
        return min(good, key=lambda trial: (*costs(trial, goal), *(trial.metrics.get(name, 0.0) for name in TIES)))
    done = [trial for trial in trials if trial.ok]
    if done and not any(trial.feasible for trial in done):
        nearest = min(done, key=lambda trial: math.fsum(trial.violations.values()))
        raise DataError(
            f"study {study!r} has no trial that keeps the constraints",
            expected=", ".join(nearest.violations),
            got=f"trial {nearest.number} comes nearest: "
            + ", ".join(f"{name} is broken by {by:.6g}" for name, by in nearest.violations.items() if by),
            hint="search on with a greater budget, or choose among its trials yourself",
        )
    reasons = [f"trial {trial.number}: {trial.failure}" for trial in trials if trial.failure]
    more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    raise DataError(f"study {study!r} has no successful trial", place="\n".join(reasons[:SHOWN] + more) or None)


SHOWN = 5
"""Failures that an error tells of."""


TIES = ("val.loss", "params")
"""What decides among trials that are equal in all objectives; less is better."""


def front(trials: Sequence[Trial], goal: Goal) -> list[Trial]:
    """Return the trials that no other beats in all objectives, by the first of them; of equal ones all.

    Raises:
        UnknownName: when a successful trial does not have the metric of an objective.
    """
    good = comparable(trials, goal)
    points = [costs(trial, goal) for trial in good]
    return [good[number] for number in sorted(non_dominated(points), key=points.__getitem__)]


def volume(trials: Sequence[Trial], goal: Goal, reference: Mapping[str, float] | Sequence[float]) -> float:
    """Return the hypervolume between the Pareto front and a reference point.

    Args:
        trials: all of a study.
        goal: what it is after.
        reference: a number for every objective: by the name of any metric, in place of the goal's objectives; or in
            their order.

    Raises:
        UnknownName: when a successful trial does not have the metric.
        SettingError: when the reference does not fit.
    """
    numbers = tuple(reference.values() if isinstance(reference, Mapping) else reference)
    aims = goal.towards(*reference) if isinstance(reference, Mapping) else goal
    points = [costs(trial, aims) for trial in comparable(trials, aims)]
    signs = [objective.sign for objective in aims.objectives]
    bound = [sign * number for sign, number in zip(signs, numbers, strict=False)]
    return hypervolume(points or [[math.nan] * len(signs)], bound if len(numbers) == len(signs) else numbers)


def history(trials: Iterable[Trial], goal: Goal) -> list[dict[str, float]]:
    """Return, after every trial, what the search had spent, scoring and measuring too, and the best first objective.

    The best is that of the trials so far at the highest fidelity so far, so it may get worse when a first one is
    trained further than all before. Trials that break a constraint have no part in it.
    """
    rows: list[dict[str, float]] = []
    first = goal.objectives[0]
    spent, found, share = Ledger(), None, 0.0
    for trial in trials:
        spent = trial.spent or spent + trial.ledger
        if _counts(trial, goal) and trial.share >= share:
            value = value_of(trial.metrics, first.name)
            if found is None or trial.share > share or first.sign * value < first.sign * found:
                found, share = value, trial.share
        row = {"trial": trial.number, "epochs": spent.epochs, "macs": spent.macs, "seconds": spent.wall_seconds}
        rows.append(row | ({} if found is None else {"best": found}))
    return rows
