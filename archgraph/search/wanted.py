"""What a search wants to know of every network: full names of metrics, and those that are measured after training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from archgraph.errors import UnknownName
from archgraph.evaluation.measurement import check_metrics
from archgraph.metrics import Conditions, find_metric
from archgraph.registry import METRICS
from archgraph.search.goal import Aims, Bounds, Goal
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular

SIZES = ("params", "macs", "units", "depth")
"""Metrics of the graph that every report carries."""


def wanted(
    task: Task,
    objective: Aims | None,
    constraints: Bounds = (),
    metrics: str | Iterable[str] = (),
    conditions: Conditions | None = None,
) -> tuple[Goal, tuple[str, ...]]:
    """Return what a search on a task is after, by full names, and the metrics to measure for every network.

    Args:
        task: the task.
        objective: what is to be made small or large; validation error, or loss where there are no classes, by default.
        constraints: what must hold.
        metrics: what else is wanted; what reports carry anyway needs no measuring.
        conditions: under which metrics are measured.

    Raises:
        UnknownName: when there is no such metric, or reports on the task have none.
        SettingError: when a text cannot be read, or a metric cannot be found under the conditions.
        DataError: when a table that a metric needs is none.
        StorageError: when it cannot be read.
    """
    goal = Goal.of(objective or ("error" if task.loss.classifies else "loss"), constraints)
    objectives = tuple(replace(one, name=full_name(task, one.name, "objective")) for one in goal.objectives)
    bounds = tuple(replace(one, name=full_name(task, one.name)) for one in goal.constraints)
    goal = Goal(objectives, bounds)
    asked = [part.strip() for part in metrics.split(",")] if isinstance(metrics, str) else list(metrics)
    names = [full_name(task, name, "metric") for name in asked]
    names += [one.name for one in objectives] + [one.name for one in bounds]
    carried = _carried(task)
    measured = tuple(dict.fromkeys(name for name in names if name not in carried))
    check_metrics(measured, conditions or Conditions())
    return goal, measured


def full_name(task: Task, name: str, what: str = "metric") -> str:
    """Return the full name of a metric of networks on a task: ``"val.error"`` for ``"error"``.

    Args:
        task: the task.
        name: with or without split.
        what: the metric is, for the error.

    Raises:
        UnknownName: when there is none.
    """
    carried = _carried(task)
    for full in (name, f"val.{name}"):
        if full in carried:
            return full
    tabular = isinstance(task, Tabular)
    more = [one for one in METRICS if find_metric(one).of != "predictions" and not tabular]
    if name in more:
        return name
    raise UnknownName.among(what, name, list(dict.fromkeys((*carried, *more))))


def _carried(task: Task) -> list[str]:
    """Return the names of the metrics that every report on a training carries."""
    if isinstance(task, Tabular):
        return list(task.metrics)
    return [f"{split}.{metric}" for split in ("val", "train") for metric in task.loss.metrics] + list(SIZES)


def shown(conditions: Conditions) -> str:
    """Return conditions as text, as far as they are not the usual ones; the device is the evaluator's.

    >>> shown(Conditions(batch_size=32, device="cuda"))
    'batch_size=32'
    """
    usual = Conditions()
    given = {one.name: getattr(conditions, one.name) for one in fields(conditions) if one.name != "device"}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value != getattr(usual, name))
