"""Comparing drivers: the same seeds, the same budget, and one look at the test split, at the very end."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archgraph.comparison.comparison import Cell, Comparison
from archgraph.comparison.spelling import spelled
from archgraph.comparison.turns import Turn, take_turns
from archgraph.errors import DataError, EvaluationFailed, SettingError
from archgraph.evaluation import Evaluator, Measure, Recipe
from archgraph.evaluation.evaluator import Progress
from archgraph.evaluation.lookup import usual_recipe
from archgraph.search.budget import Budget
from archgraph.search.driver import Driver
from archgraph.search.facts import number_of, text_of
from archgraph.search.goal import Aims
from archgraph.search.search import Callback, search
from archgraph.search.study import Study, held_study
from archgraph.search.trial import Trial
from archgraph.storage.address import masked
from archgraph.tasks import Task, find
from archgraph.tasks.tabular import Tabular

BEGUN, FINAL = "comparison", "final"
"""Facts of a study: of which comparison it is a part, and its final pick with what that does on the test split."""

ENDS = ("evaluations", "epochs", "train_macs", "seconds")
"""Limits that end every driver."""


def compare(
    drivers: Mapping[str, Driver],
    *,
    task: str | Task,
    budget: Budget,
    recipe: Recipe | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    storage: str | None = None,
    name: str | None = None,
    workers: int | str = 1,
    objective: Aims | None = None,
    device: str = "auto",
    data_root: str | Path | None = None,
    artifacts: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    command: str | None = None,
    **settings: Any,
) -> Comparison:
    """Run several drivers with several seeds under one budget each, and say what differs.

    Every driver with every seed is a search of its own, the study ``name/driver/seed``. In this process they take
    turns: after each training the search goes on that has spent least, so that a comparison that is stopped has parts
    that can be compared. With a pool of workers the searches run whole, all drivers of a seed before the next seed.

    Calling it again with the same storage and name carries on; runs that are done are not run again. When all are done,
    the trial of each that is best on validation data is measured on the test split, once; that is stored, and nothing
    else ever reads the test split.

    Args:
        drivers: search methods by name, as values; the others are compared with the first.
        task: a task, or its name; by name, each seed has its own division into training and validation data.
        budget: what each run may spend.
        recipe: how candidates are trained; on a task that is answered from a table, as there, by default.
        seeds: of the runs; runs with the same seed have the same data and are compared as a pair.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        name: of the comparison; ``"compare-<task>"`` by default.
        workers: as for :func:`search`.
        objective: as for :func:`search`; by the first of several final picks are chosen.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        data_root: folder with data sets, for tasks given by name.
        artifacts: folder for graphs and weights; beside the storage by default.
        callbacks: called with the study and the trial after every training.
        progress: called after every epoch.
        command: what to type to repeat it; the call, as Python, by default.
        **settings: anything else that :func:`search` takes.

    Raises:
        SettingError: when drivers, seeds or budget cannot be used, or the storage has runs that were begun otherwise.
        EvaluationFailed: when a final pick cannot be measured; calling again tries again.
        ArchGraphError: when task, recipe, or storage cannot be used; what was stored is safe.
    """
    _check(drivers, seeds, budget)
    tasks = {seed: find(task, seed=seed, data_root=data_root) if isinstance(task, str) else task for seed in seeds}
    recipe = recipe or usual_recipe(tasks[seeds[0]])
    title = name or f"compare-{tasks[seeds[0]].name}"
    runs = [_Run(title, label, seed, drivers[label], tasks[seed]) for seed in seeds for label in drivers]
    for run in runs:
        run.look(budget, recipe, storage, artifacts)

    def job(run: _Run) -> Callable[[Turn[Study] | None], Study]:
        def begun(study: Study, trial: Trial) -> None:
            run.mark(study, budget)

        def searched(turn: Turn[Study] | None) -> Study:
            if run.done:
                return run.study
            pauses = [] if turn is None else [lambda study, trial: turn.end(_spent(study))]
            study = search(
                copy.deepcopy(run.driver),
                task=run.task,
                recipe=recipe,
                budget=budget,
                storage=storage,
                name=run.name,
                seed=run.seed,
                workers=workers,
                objective=objective,
                device=device,
                artifacts=artifacts,
                callbacks=(begun, *callbacks, *pauses),
                progress=_noticing(turn, progress),
                **settings,
            )
            run.mark(study, budget)
            return study

        return searched

    if str(workers) in ("0", "1") and settings.get("timeout") is None:
        spent = {run.name: _spent(run.held) for run in runs if run.held is not None}
        studies = take_turns({run.name: job(run) for run in runs}, spent)
    else:
        studies = {run.name: job(run)(None) for run in runs}
    cells = {(run.label, run.seed): _final(run, studies[run.name], device) for run in runs}
    said = command or _call(drivers, task, budget, recipe, seeds, storage, title)
    ordered = tuple(cells[label, seed] for label in drivers for seed in seeds)
    return Comparison(title, tasks[seeds[0]].name, recipe, budget, ordered, said)


@dataclass
class _Run:
    """One search of a comparison, and what the storage has of it."""

    title: str
    label: str
    seed: int
    driver: Driver
    task: Task
    held: Study | None = field(default=None)

    @property
    def name(self) -> str:
        return study_name(self.title, self.label, self.seed)

    @property
    def study(self) -> Study:
        assert self.held is not None
        return self.held

    @property
    def done(self) -> bool:
        return self.held is not None and BEGUN in self.held.facts and bool(self.held.stopped)

    def look(self, budget: Budget, recipe: Recipe, storage: str | None, artifacts: str | Path | None) -> None:
        """Find what the storage has, and check that it was begun in the same way."""
        self.held = held_study(self.name, storage, artifacts=artifacts)
        if self.held is None:
            return
        facts = self.held.facts
        if BEGUN not in facts and len(self.held) > 1:  # one may be there without the mark, when killed just then
            raise SettingError(
                f"study {self.name!r} was made by a search of its own", hint="choose another name for the comparison"
            )
        asked = self.marks(budget) | {"recipe": repr(recipe), "task": self.task.key}
        known = facts.get(BEGUN, {}) | {"recipe": facts.get("recipe"), "task": facts.get("task_key")}
        for what, value in asked.items():
            if known.get(what) is not None and known[what] != value:
                raise SettingError(
                    f"study {self.name!r} was begun with another {what}",
                    expected=known[what],
                    got=value,
                    hint="choose another name for the comparison",
                )

    def mark(self, study: Study, budget: Budget) -> None:
        """Note that a study is a part of this comparison."""
        if BEGUN not in study.facts:
            study.note(BEGUN, self.marks(budget))

    def marks(self, budget: Budget) -> dict[str, str]:
        """Return what must not change while a run goes on: a higher budget would come after a look at test data."""
        text = spelled(self.driver)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return {"budget": spelled(budget), "driver": f"{type(self.driver).__name__} {digest}"}


def study_name(title: str, driver: str, seed: int) -> str:
    """Return the name of the study of a driver with a seed in a comparison."""
    return f"{title}/{driver}/{seed}"


def _check(drivers: Mapping[str, Driver], seeds: Sequence[int], budget: Budget) -> None:
    if not drivers:
        raise SettingError("there is nothing to compare", expected="drivers by name")
    for label, driver in drivers.items():
        if not isinstance(label, str) or not label or "/" in label:
            raise SettingError("a driver has a name without slashes", got=repr(label))
        if not isinstance(driver, Driver):
            raise SettingError(f"what is to be compared as {label!r} is no driver", got=type(driver).__name__)
    if not seeds or len(set(seeds)) < len(seeds) or any(type(seed) is not int for seed in seeds):
        raise SettingError("a comparison needs seeds, each once", expected="such as (0, 1, 2)", got=repr(seeds))
    if not isinstance(budget, Budget) or all(getattr(budget, limit) is None for limit in ENDS):
        raise SettingError(
            "a comparison needs a budget that ends every driver",
            expected=f"one of {', '.join(ENDS)}",
            got=spelled(budget),
        )


def _spent(study: Study) -> float:
    trials = study.trials
    bill = trials[-1].spent if trials else None
    return 0.0 if bill is None else float(bill.macs)


def _noticing(turn: Turn[Study] | None, progress: Progress | None) -> Progress | None:
    """Return a progress hook that notices, after every epoch, when all is to end."""
    if turn is None:
        return progress

    def hook(*news: Any) -> None:
        turn.check()
        if progress is not None:
            progress(*news)

    return hook


def _final(run: _Run, study: Study, device: str) -> Cell:
    """Return a finished run with its final pick, which is measured on the test split unless that has been done."""
    known = study.facts.get(FINAL)
    if known is None:
        try:
            pick = study.best
        except DataError:  # nothing succeeded
            known = {"trial": None, "metrics": {}}
        else:
            metrics = _tested(run, pick, device)
            known = {"trial": pick.number, "metrics": {name: text_of(value) for name, value in metrics.items()}}
        study.note(FINAL, known)
    metrics = {name: number_of(value) for name, value in known["metrics"].items()}
    return Cell(run.label, run.seed, study, known["trial"], metrics)


def _tested(run: _Run, pick: Trial, device: str) -> Mapping[str, float]:
    """Return the metrics of a final pick on the test split.

    Raises:
        EvaluationFailed: when it cannot be measured.
    """
    if isinstance(run.task, Tabular):
        return {f"test.{name}": value for name, value in run.task.table.tested(pick.graph).items()}
    found = Evaluator(run.task, device=device).evaluate(Measure(pick.network, "test"))
    if not found.ok:
        raise EvaluationFailed(f"the final pick of {run.name!r} cannot be measured: {found.failure}")
    return found.metrics


def _call(
    drivers: Mapping[str, Driver],
    task: str | Task,
    budget: Budget,
    recipe: Recipe,
    seeds: Sequence[int],
    storage: str | None,
    name: str,
) -> str:
    """Return the call as Python, as far as its values can be written."""
    given = {"task": task if isinstance(task, str) else f"<Task {task.name}>", "budget": budget, "recipe": recipe}
    given |= {"seeds": tuple(seeds), "storage": storage and masked(storage), "name": name}
    arguments = ", ".join(f"{key}={spelled(value)}" for key, value in given.items())
    return f"ag.compare({spelled(dict(drivers))}, {arguments})"
