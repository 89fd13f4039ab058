"""The loop between a driver and the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import torch

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import (
    Evaluator,
    Ledger,
    Measure,
    Recipe,
    Report,
    Request,
    Train,
    describe,
)
from archgraph.evaluation.evaluator import Progress
from archgraph.graph import Graph
from archgraph.search.budget import Budget
from archgraph.search.driver import Driver, Session, Setting
from archgraph.search.study import Study
from archgraph.search.trial import Trial
from archgraph.tasks import Task, find

Callback = Callable[[Study, Trial], None]
"""Called with the study and the trial after every training."""

REFUSED_IN_A_ROW = 100
"""A search ends when that many candidates one after the other cost nothing, for no budget would ever be spent."""


def search(
    driver: Driver,
    *,
    task: str | Task,
    recipe: Recipe | None = None,
    budget: Budget | None = None,
    storage: str | None = None,
    name: str | None = None,
    seed: int = 0,
    workers: int = 1,
    objective: str | None = None,
    device: str = "auto",
    data_root: str | Path | None = None,
    artifacts: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
) -> Study:
    """Run a driver on a task within a budget and return the study with every network it trained.

    Calling it again with the same storage and name carries on: trainings that the study holds are answered from it, so
    the search ends where it would have ended without the interruption. A greater budget carries it further.

    Args:
        driver: the search method.
        task: a task, or its name.
        recipe: how candidates are trained.
        budget: what may be spent; without one the driver decides when to stop.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        name: of the study; ``"<driver>-<task>-<seed>"`` by default.
        seed: of everything random: data splits of tasks given by name, initial weights, order of samples, the driver.
        workers: 1; more workers come with a later version.
        objective: the metric by which the best trial is chosen, such as ``"val.error"``, ``"loss"`` (of validation) or
            ``"params"``; validation error, or loss where there are no classes, by default.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        data_root: folder with data sets, for tasks given by name.
        artifacts: folder for graphs and weights; beside the storage by default.
        callbacks: called with the study and the trial after every training.
        progress: called after every epoch.

    Raises:
        ArchGraphError: when task, recipe, budget or storage cannot be used; what was stored is safe.
    """
    if workers != 1:
        raise SettingError("this version evaluates in one process", expected="workers=1", got=workers)
    if isinstance(task, str):
        task = find(task, seed=seed, data_root=data_root)
    recipe, budget = recipe or Recipe(), budget or Budget()
    recipe.build(torch.nn.Linear(1, 1))  # what is wrong with it is said before anything is stored
    objective = _objective(task, objective)
    evaluator = Evaluator(task, device=device, progress=progress)
    name = name or f"{type(driver).__name__.lower()}-{task.name}-{seed}"
    study = Study(name, storage, objective=objective, artifacts=artifacts)
    study.artifacts.prepare()
    begun = {"driver": type(driver).__name__, "task": task.name, "task_key": task.key, "recipe": repr(recipe)}
    _same(study, begun | {"seed": seed, "settings": _settings(driver)})
    evaluator.recall = study.recall
    study.note("stopped", "")
    session = driver.begin(Setting(recipe, seed))
    run(session, evaluator, study, budget, callbacks)
    return study


def _settings(driver: Driver) -> str:
    """Return the settings of a driver as text, but for where it starts and for limits, which may be raised later."""
    free = ("graph", "space", "stages", "candidates")
    names: list[str] = [one.name for one in fields(cast(Any, driver))] if is_dataclass(driver) else []
    held = {name: getattr(driver, name) for name in names if name not in free}
    plain = (bool, int, float, str, Recipe, type(None))
    return ", ".join(f"{name}={value!r}" for name, value in held.items() if isinstance(value, plain))


def _objective(task: Task, name: str | None) -> str:
    """Return the full name of an objective.

    Raises:
        UnknownName: when reports on the task have no such metric.
    """
    known = [f"{split}.{metric}" for split in ("val", "train") for metric in task.loss.metrics]
    known += ["params", "macs", "units", "depth"]
    name = name or ("val.error" if task.loss.classifies else "val.loss")
    for full in (name, f"val.{name}"):
        if full in known:
            return full
    raise UnknownName.among("objective", name, known)


def _same(study: Study, begun: dict[str, Any]) -> None:
    """Write down how a study was begun, or check that it was begun so."""
    held = study.facts
    for fact, value in begun.items():
        if held.setdefault(fact, value) != value:
            raise SettingError(
                f"study {study.name!r} was begun with another {fact.removesuffix('_key')}",
                expected=held[fact],
                got=value,
                hint="choose another name",
            )
    for fact, value in begun.items():
        study.note(fact, value)


def run(
    session: Session, evaluator: Evaluator, study: Study, budget: Budget, callbacks: Sequence[Callback] = ()
) -> Ledger:
    """Ask, evaluate, record and tell until the session is done or the budget spent; return the bill.

    The bill has all that was asked for, also what was answered from the study or the cache, so that a search that
    carries on stops where the uninterrupted one does.

    Raises:
        SettingError: when the driver asks for the test split.
    """
    held = {trial.facts["key"] for trial in study.trials}
    bill, evaluations, refused, reason = Ledger(), 0, 0, ""
    while not session.done and not reason:
        request = session.ask()
        if request is None:
            raise SettingError("the driver asks for nothing although it is not done", hint="see Session.ask")
        if isinstance(request, Train) and (reason := budget.spent(evaluations, bill)):
            break
        report = _evaluate(request, evaluator, budget)
        bill = bill + report.ledger
        if isinstance(request, Train):
            evaluations += 1
            refused = 0 if report.ok or report.ledger.samples else refused + 1
            if refused == REFUSED_IN_A_ROW:
                reason = f"the last {refused} candidates could not be trained at all: {report.failure}"
            if report.key not in held:
                held.add(report.key)
                trial = study.record(request, report, bill)
                for callback in callbacks:
                    callback(study, trial)
        session.tell(request, report)
    study.note("stopped", reason or session.reason)
    return bill


def _evaluate(request: Request, evaluator: Evaluator, budget: Budget) -> Report:
    if isinstance(request, Measure) and request.split == "test":
        raise SettingError("drivers must not see the test split", expected="train or val")
    if isinstance(request, Train):
        size = describe(request.subject if isinstance(request.subject, Graph) else request.subject.graph)
        refusal = budget.refuses(size["params"], size["macs"])
        if refusal:
            return Report(evaluator.key(request), metrics=size, failure=f"not trained: {refusal}")
    return evaluator.evaluate(request)
