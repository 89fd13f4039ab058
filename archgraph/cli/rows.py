"""Rows of the tables of trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archgraph.search import Trial

Row = dict[str, Any]

SIZES = ("units", "params", "macs", "depth")

ROOM = 56
"""Characters that a table for people has for the named parameters of a space; where they need more, files have them."""

GAINS = 28
"""Characters of the columns of a growth."""

NUMBER = 6
"""Characters of a real number in a table."""


def trial_rows(trials: Sequence[Trial]) -> list[Row]:
    """Return a row for every trial, for people: where it comes from, its size, how good it is."""
    grown = any(trial.parent is not None for trial in trials)
    rows = []
    for trial in trials:
        row: Row = {"trial": trial.number}
        if grown:
            row |= {"stage": trial.stage, "parent": trial.parent}
        row |= _values(trial, trials) | _fidelity(trial, trials) | _size(trial)
        rows.append(row | _quality(trial, trial.metrics, "val") | _more(trial, trials) | _gains(trial))
    return filled(rows)


def stage_rows(trials: Sequence[Trial], tests: Mapping[int, Mapping[str, float]]) -> list[Row]:
    """Return a row for every successful trial, for people, with its quality on the test split.

    Args:
        trials: of one study.
        tests: metrics on the test split by the number of the trial.
    """
    grown = any(trial.stage for trial in trials)
    rows = []
    for trial in trials:
        if trial.ok:
            tested = {f"test.{name}": value for name, value in tests[trial.number].items()}
            row: Row = {"stage": trial.stage} if grown else {"trial": trial.number}
            row |= _values(trial, trials) | _fidelity(trial, trials) | _size(trial)
            row |= _quality(trial, trial.metrics, "val") | _quality(trial, tested, "test")
            rows.append(row | _more(trial, trials) | _gains(trial))
    return filled(rows)


def file_rows(label: str, trials: Sequence[Trial], tests: Mapping[int, Mapping[str, float]]) -> list[Row]:
    """Return a row for every trial, for a file: names as the API has them, changes of the loss with their sign.

    Named parameters of a space are called ``values.width``, say.
    """
    rows, names = [], dict.fromkeys(name for trial in trials for name in trial.values)
    for trial in trials:
        row: Row = {"driver": label, "trial": trial.number, "stage": trial.stage, "parent": trial.parent}
        row |= _fidelity(trial, trials)
        row |= {name: int(trial.metrics[name]) for name in SIZES if name in trial.metrics}
        row |= {name: value for name, value in trial.metrics.items() if name not in SIZES}
        row |= {"feasible": trial.feasible} if trial.violations else {}
        row |= {f"test.{name}": value for name, value in tests.get(trial.number, {}).items()}
        row |= {"predicted": trial.predicted, "measured": trial.measured, "ratio": _ratio(trial)}
        row |= {f"values.{name}": trial.values.get(name) for name in names}
        row |= {"train_macs": trial.ledger.train_macs, "seconds": trial.ledger.wall_seconds, "failure": trial.failure}
        rows.append(row)
    return rows


def filled(rows: Sequence[Row]) -> list[Row]:
    """Return rows that all have the same columns, in the order of the fullest one."""
    fullest = max(rows, key=lambda row: len(row), default={})
    return [{name: row.get(name) for name in fullest} for row in rows]


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all columns of rows, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _values(trial: Trial, trials: Sequence[Trial]) -> Row:
    """Return the named parameters of the space that a trial was drawn from, where there is room for a column each."""
    values = [one.values for one in trials]
    names = dict.fromkeys(name for one in values for name in one)
    heads = {name: name.replace(".", ".\n") for name in names}
    own = {name: [_width(one[name]) for one in values if name in one] for name in names}
    most = ROOM - GAINS * any(one.predicted is not None or one.measured is not None for one in trials)
    room = sum(1 + max(*map(len, heads[name].split("\n")), *own[name], 0) for name in names)
    return {heads[name]: trial.values.get(name) for name in names} if room <= most else {}


def _width(value: object) -> int:
    return NUMBER if isinstance(value, float) else len(str(value))


def _fidelity(trial: Trial, trials: Sequence[Trial]) -> Row:
    """Return how much of its recipe a trial got, where that is not all for every one."""
    return {} if all(one.fidelity.full for one in trials) else {"recipe": trial.share}


def _more(trial: Trial, trials: Sequence[Trial]) -> Row:
    """Return what was measured beside the training, where anything was, and whether constraints are kept."""
    names = dict.fromkeys(name for one in trials for name in one.metrics if "." not in name and name not in SIZES)
    row: Row = {name: trial.metrics.get(name) for name in names if not name.endswith("-spread")}
    return row | ({"feasible": "yes" if trial.feasible else "no"} if any(one.violations for one in trials) else {})


def _size(trial: Trial) -> Row:
    names = {"units": "units", "params": "params", "macs": "MACs"}
    return {shown: int(trial.metrics[name]) if name in trial.metrics else None for name, shown in names.items()}


def _quality(trial: Trial, metrics: Mapping[str, float], split: str) -> Row:
    shown = quality(metrics, f"{split}.")
    return {f"{split}\n{shown}": metrics[f"{split}.{shown}"]} if f"{split}.{shown}" in metrics else {}


def quality(metrics: Mapping[str, float], before: str = "") -> str:
    """Return which of its metrics tells most of a prediction: a task that reports the ROC-AUC does so for a reason.

    Args:
        metrics: by name.
        before: what stands before the names, such as ``"val."``.
    """
    return next((name for name in ("roc-auc", "accuracy") if before + name in metrics), "loss")


def _gains(trial: Trial) -> Row:
    if trial.predicted is None and trial.measured is None:
        return {}
    gains = {"predicted": trial.predicted, "measured": trial.measured}
    row: Row = {f"{name}\ngain": None if change is None else -change for name, change in gains.items()}
    return row | {"ratio": _ratio(trial)}


def _ratio(trial: Trial) -> float | None:
    return trial.measured / trial.predicted if trial.predicted and trial.measured is not None else None
