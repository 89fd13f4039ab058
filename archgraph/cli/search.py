"""``archgraph search``: run a driver on a task, show what it finds, take the best network away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from archgraph.cli.drivers import driver_kind, ends, read_driver, spaced
from archgraph.cli.folder import check_writable
from archgraph.cli.goals import listed, read_conditions
from archgraph.cli.kept import check_new, check_storage, interrupted
from archgraph.cli.options import (
    Artifacts,
    Constraints,
    DataRoot,
    Device,
    MeasuredAt,
    Metrics,
    Objectives,
    Seed,
    Start,
    Storage,
    Threads,
    Timeout,
    Training,
    Tuning,
    Workers,
    pairs,
)
from archgraph.cli.outcome import BEST_FOLDER, Outcome, write
from archgraph.cli.recipes import read_recipe
from archgraph.cli.subject import read_graph
from archgraph.errors import SettingError
from archgraph.evaluation import check_fit, choose_device
from archgraph.evaluation.lookup import usual_recipe
from archgraph.search import Budget, Driver, Study, Trial
from archgraph.search import search as run
from archgraph.search.study import held_study
from archgraph.search.wanted import wanted
from archgraph.tasks import Task, find
from archgraph.tasks.seed import seed_graph
from archgraph.workers.workers import check as check_workers

EVALUATIONS = 8
"""Trainings at most where no budget is given and no setting ends the search, so that every search ends."""

START = "start"
"""Name under which a study knows the graph from which it starts."""


@dataclass(frozen=True)
class Plan:
    """One search to run.

    Args:
        label: name of the driver.
        driver: the driver.
        study: name of the study.
        start: text of the graph from which it starts.
    """

    label: str
    driver: Driver
    study: str
    start: str


def search(
    task: Annotated[str, typer.Argument(help="A task, see [bold]archgraph list tasks[/bold].", metavar="TASK")],
    driver: Annotated[
        str, typer.Option("--driver", help="How, see [bold]archgraph list drivers[/bold].", metavar="NAME")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Settings of the driver: stages=5 growth=0.35.", metavar="KEY=VALUE ..."),
    ] = None,
    graph: Start = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            help="evaluations, epochs, train_macs, seconds, max_params, max_macs. "
            f"[dim]\\[default: evaluations={EVALUATIONS}, unless --set candidates= or stages= ends the search][/dim]",
            metavar="KEY=VALUE ...",
        ),
    ] = None,
    recipe: Training = None,
    tune: Tuning = None,
    objective: Objectives = None,
    constraint: Constraints = None,
    metrics: Metrics = None,
    conditions: MeasuredAt = None,
    control: Annotated[
        str | None,
        typer.Option(
            "--control", help="A second driver, run after the first under the same conditions.", metavar="NAME"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the best network, the table and the plot.", metavar="DIR"),
    ] = None,
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the study; <driver>-<task>-<seed> by default.", metavar="NAME")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Carry on with the study if the storage holds it.")] = False,
    workers: Workers = "1",
    timeout: Timeout = None,
    threads: Threads = 1,
    artifacts: Artifacts = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Search for a network on a task; at the end its networks are measured on the test split.

    Example: [bold]archgraph search digits --driver splitting --set stages=5 --recipe epochs=30 --out best[/bold]
    """
    chosen = {label: driver_kind(label) for label in (driver, control) if label is not None}
    budgeted = Budget.parse(pairs("--budget", budget)) if budget else _usual_budget(chosen.values(), settings)
    if control == driver:
        raise SettingError("--control is the driver itself", got=driver, hint="try random-splitting beside splitting")
    check_storage(storage, resume=resume, holds="the study")
    choose_device(device)
    check_workers(workers, timeout)
    posed = find(task, seed=seed, data_root=data_root)
    trained = read_recipe(pairs("--recipe", recipe), usual_recipe(posed))
    tuned = read_recipe(pairs("--tune", tune), trained) if tune else None
    start = seed_graph(posed) if graph is None else read_graph(graph)
    check_fit(start, posed)
    aimed = (
        listed(objective) or None,
        constraint or (),
        listed(metrics),
        read_conditions(pairs("--conditions", conditions)),
    )
    wanted(posed, *aimed)
    title = name or f"{driver}-{posed.name}-{seed}"
    plans = [
        Plan(
            label,
            read_driver(label, kind, start, spaced(kind, posed, pairs("--set", settings)), tuned),
            title if label == driver else f"{title}-control",
            str(start),
        )
        for label, kind in chosen.items()
    ]
    if not resume:
        check_new((plan.study for plan in plans), storage, artifacts)
    for plan in plans:
        _check_start(plan, storage, artifacts)
    if out is not None:
        check_writable(out, BEST_FOLDER)
    torch.set_num_threads(threads)
    settled: dict[str, Any] = dict(zip(("objective", "constraints", "metrics", "conditions"), aimed, strict=True))
    settled |= {"recipe": trained, "budget": budgeted, "storage": storage, "artifacts": artifacts, "seed": seed}
    settled |= {"device": device, "workers": workers, "timeout": timeout, "threads": threads}
    outcomes = []
    for plan in plans:
        try:
            study = _run(plan, posed, settled)
        except KeyboardInterrupt:
            raise interrupted(storage) from None
        outcomes.append(Outcome.of(plan.label, study, posed, device))
    for outcome in outcomes:
        outcome.print()
    _ = outcomes[0].study.best  # an error when nothing succeeded
    if out is not None:
        write(out, outcomes)


def _usual_budget(kinds: Iterable[type[Driver]], settings: Sequence[str] | None) -> Budget:
    """Return what a search may spend where nobody says so: as much as it takes if its settings end it."""
    given = pairs("--set", settings)
    return Budget() if all(ends(kind, given) for kind in kinds) else Budget(evaluations=EVALUATIONS)


def _run(plan: Plan, task: Task, settled: Mapping[str, Any]) -> Study:
    """Run a search with what is settled for all of them, and show how it goes on."""
    from archgraph.cli.progress import SearchProgress
    from archgraph.cli.screen import console

    screen = console(errors=True)
    screen.print(f"{plan.label} on {task.describe()}", markup=False, soft_wrap=True)
    quality = "val.error" if task.loss.classifies else "val.loss"

    def noted(study: Study, trial: Trial) -> None:
        if START not in study.facts:
            study.note(START, plan.start)

    with SearchProgress(screen, quality=quality, trials=settled["budget"].evaluations) as progress:
        held = held_study(plan.study, settled["storage"], artifacts=settled["artifacts"])
        if held is not None:
            progress.known(held)
            screen.print(f"resuming study {plan.study}: {len(held)} trainings are known", markup=False, soft_wrap=True)
        callbacks = (noted, progress.trial)
        return run(plan.driver, task=task, name=plan.study, callbacks=callbacks, progress=progress.epoch, **settled)


def _check_start(plan: Plan, storage: str | None, artifacts: str | None) -> None:
    study = held_study(plan.study, storage, artifacts=artifacts)
    known = plan.start if study is None else study.facts.get(START, plan.start)
    if known != plan.start:
        raise SettingError(
            f"study {plan.study!r} was begun with another graph", hint="choose another --name", place=known
        )
