"""Running a driver on a task: what is wrong is said first, then the loop runs until the budget is spent."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import torch

from archgraph.errors import SettingError
from archgraph.evaluation import Evaluator, Recipe
from archgraph.evaluation.checkpoints import Checkpoints
from archgraph.evaluation.evaluator import Progress
from archgraph.evaluation.lookup import usual_recipe
from archgraph.evaluation.paused import Paused
from archgraph.metrics import Conditions
from archgraph.search.budget import Budget
from archgraph.search.driver import Driver, Setting
from archgraph.search.goal import Aims, Bounds
from archgraph.search.loop import Callback, run
from archgraph.search.parameters import domains_of
from archgraph.search.study import Study
from archgraph.search.wanted import shown, wanted
from archgraph.storage.storage import quiet
from archgraph.tasks import Task, find
from archgraph.workers.workers import check, hire

MOST_THREADS = 1024

OTHER = {"metrics": "other", "conditions": "other"}


def search(
    driver: Driver,
    *,
    task: str | Task,
    recipe: Recipe | None = None,
    budget: Budget | None = None,
    storage: str | None = None,
    name: str | None = None,
    seed: int = 0,
    workers: int | str = 1,
    timeout: float | None = None,
    threads: int = 1,
    objective: Aims | None = None,
    constraints: Bounds = (),
    metrics: str | Sequence[str] = (),
    conditions: Conditions | None = None,
    device: str = "auto",
    data_root: str | Path | None = None,
    artifacts: str | Path | None = None,
    checkpoints: float = 60.0,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
) -> Study:
    """Run a driver on a task within a budget and return the study with every network it trained.

    Calling it again with the same storage and name carries on: trainings that the study holds are answered from it, so
    the search ends where it would have ended without the interruption. A greater budget carries it further.

    Args:
        driver: the search method.
        task: a task, or its name.
        recipe: how candidates are trained; on a task that is answered from a table, as there, by default.
        budget: what may be spent; without one the driver decides when to stop.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        name: of the study; ``"<driver>-<task>-<seed>"`` by default.
        seed: of everything random: data splits of tasks given by name, initial weights, order of samples, the driver.
        workers: 0 or 1 to evaluate in this process, a number of local processes, ``"ray"`` for a Ray on this machine,
            or ``"ray://host:port"`` for a cluster. Results do not depend on it. With processes, what a script does must
            stand under ``if __name__ == "__main__":``.
        timeout: seconds that one evaluation may take; then it is stopped and fails.
        threads: torch threads of every evaluation; other numbers may give other roundings.
        objective: the metric by which the best trial is chosen, such as ``"val.error"``, ``"loss"`` (of validation),
            ``"params"`` or ``"latency"``; ``"max:name"`` for a direction that is not its own; or several, the most
            important first, ``("error", "latency")``. Validation error, or loss where there are no classes, by default.
        constraints: what a best trial must keep, ``("params<=1e5", "latency<=0.01")``; others are trained and recorded
            all the same. What should not be trained at all is for the budget's ``max_params`` and ``max_macs``.
        metrics: what else every network is measured by after its training, ``("memory", "energy")``; objectives and
            constraints are measured anyhow. Times are taken in the worker that has trained it; those of others disturb
            them, and what depends on them differs from run to run.
        conditions: batch size, threads and so on of these; the device is that of training.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        data_root: folder with data sets, for tasks given by name.
        artifacts: folder for graphs and weights; beside the storage by default.
        checkpoints: seconds of a training after which it writes a checkpoint, again and again, from which it goes on
            should the search be killed; for studies in a storage.
        callbacks: called with the study and the trial after every training.
        progress: called after every epoch.

    Raises:
        ArchGraphError: when task, recipe, budget or storage cannot be used; what was stored is safe.
    """
    check(workers, timeout)
    _check_numbers(threads, checkpoints)
    if isinstance(task, str):
        task = find(task, seed=seed, data_root=data_root)
    recipe, budget = recipe or usual_recipe(task), budget or Budget()
    recipe.but(decayed="").build(torch.nn.Linear(1, 1))  # what is wrong is said before anything is stored
    conditions = conditions or Conditions()
    goal, measured = wanted(task, objective, constraints, metrics, conditions)
    evaluator = Evaluator(task, device=device, progress=progress, metrics=measured, conditions=conditions)
    name = name or f"{type(driver).__name__.lower()}-{task.name}-{seed}"
    study = Study(name, storage, objective=goal.objectives, constraints=goal.constraints, artifacts=artifacts)
    study.prepare()
    begun: dict[str, Any] = {
        "driver": type(driver).__name__,
        "task": task.name,
        "seed": seed,  # before the data, which depend on it
        "task_key": task.key,
        "recipe": repr(recipe),
        "settings": _settings(driver),
    }
    begun |= {"metrics": ", ".join(sorted(measured)), "conditions": shown(conditions) if measured else ""}
    _same(study, begun)
    if study.artifacts.folder is not None:
        evaluator.checkpoints = Checkpoints(study.artifacts.folder.absolute() / "checkpoints", checkpoints)
    study.note("stopped", "")
    study.domains = domains_of(driver)
    alone = str(workers) in ("0", "1") and timeout is None
    with (
        _torch_threads(threads),
        _paused(study, alone=alone) as evaluator.paused,
        hire(workers, evaluator, timeout=timeout) as hands,
    ):
        session = driver.begin(Setting(recipe, seed, goal, evaluator.describe, budget))
        with quiet():
            run(session, evaluator, study, budget, callbacks, hands)
    return study


def _check_numbers(threads: int, checkpoints: float) -> None:
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise SettingError(f"threads must be a whole number from 1 to {MOST_THREADS}", got=repr(threads))
    if isinstance(checkpoints, bool) or not isinstance(checkpoints, int | float) or not checkpoints >= 0.0:
        raise SettingError("checkpoints must be a number of seconds, 0 or more", got=repr(checkpoints))


@contextlib.contextmanager
def _paused(study: Study, *, alone: bool) -> Iterator[Paused]:
    """Give the place for trainings that stop at a lower fidelity, which all processes of a search share."""
    folder = study.artifacts.folder
    if folder is not None:
        own = hashlib.sha256(study.name.encode()).hexdigest()[:16]
        yield Paused(folder.absolute() / "checkpoints" / own)
    elif alone:
        yield Paused()
    else:
        with tempfile.TemporaryDirectory(prefix="archgraph-") as place:
            yield Paused(Path(place))


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Compute with a number of threads, and put back what was set."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _settings(driver: Driver) -> str:
    """Return the settings of a driver as text, but for where it starts and for limits, which may be raised later."""
    free = ("graph", "space", "stages", "candidates", "scratch")
    names: list[str] = [one.name for one in fields(cast(Any, driver))] if is_dataclass(driver) else []
    held = {name: getattr(driver, name) for name in names if name not in free}
    plain = (bool, int, float, str, tuple, Recipe, type(None))
    shown = {name: repr(value) for name, value in held.items() if isinstance(value, plain)}
    inner = {name: value for name, value in held.items() if isinstance(value, Driver)}
    shown |= {name: f"{type(value).__name__}({_settings(value)})" for name, value in inner.items()}
    return ", ".join(f"{name}={shown[name]}" for name in held if name in shown)


def _same(study: Study, begun: dict[str, Any]) -> None:
    """Write down how a study was begun, or check that it was begun so."""
    stored = study.facts
    earlier = dict.fromkeys(("metrics", "conditions"), "") if len(study) else {}  # versions that knew none
    held = earlier | stored
    for fact, value in begun.items():
        if held.setdefault(fact, value) != value:
            raise SettingError(
                f"study {study.name!r} was begun with {OTHER.get(fact, 'another')} {fact.removesuffix('_key')}",
                expected=held[fact] if held[fact] != "" else "none",
                got=value if value != "" else "none",
                hint="choose another name",
            )
    for fact, value in begun.items():
        if stored.get(fact) != value:
            study.note(fact, value)
