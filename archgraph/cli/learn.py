"""``archgraph learn``: learn a sequence of tasks one after the other, forget none, take a network for each away."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from archgraph.cli.drivers import driver_kind, read_driver
from archgraph.cli.folder import check_writable
from archgraph.cli.kept import check_new, check_storage, interrupted
from archgraph.cli.lessons import print_lessons, write
from archgraph.cli.options import (
    Artifacts,
    DataRoot,
    Device,
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
from archgraph.cli.recipes import read_recipe
from archgraph.cli.subject import read_graph
from archgraph.continual import Course, fitting, head_resized, study_names
from archgraph.continual import learn as run
from archgraph.errors import SettingError
from archgraph.evaluation import choose_device
from archgraph.search import Budget, Driver, Study
from archgraph.tasks import Task, find_sequence
from archgraph.tasks.seed import seed_graph
from archgraph.workers.workers import check as check_workers


def learn(
    sequence: Annotated[
        str,
        typer.Argument(help="A sequence, see [bold]archgraph list sequences[/bold].", metavar="SEQUENCE"),
    ],
    driver: Annotated[
        str, typer.Option("--driver", help="One that learns task after task.", metavar="NAME")
    ] = "continual",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Settings of the driver: target=accuracy>=0.99 rounds=6.", metavar="KEY=VALUE ..."),
    ] = None,
    graph: Start = None,
    apart: Annotated[bool, typer.Option("--apart", help="Give every task a network of its own.")] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            help="Of each task: evaluations, epochs, train_macs, seconds, max_params, max_macs. "
            "[dim]\\[default: what the driver's rounds come to][/dim]",
            metavar="KEY=VALUE ...",
        ),
    ] = None,
    recipe: Training = None,
    tune: Tuning = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for a network a task, the library and the table.", metavar="DIR"),
    ] = None,
    storage: Storage = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of the studies; <driver>-<sequence>-<seed> by default.", metavar="NAME"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Carry on if the storage holds studies of it.")] = False,
    workers: Workers = "1",
    timeout: Timeout = None,
    threads: Threads = 1,
    artifacts: Artifacts = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Learn tasks one after the other without forgetting; each is measured on its test split after every task.

    Example: [bold]archgraph learn split-digits --recipe epochs=40 lr=0.01 --set rounds=6 --out tasks[/bold]
    """
    limits = Budget.parse(pairs("--budget", budget)) if budget else None
    kind = learner_kind(driver)
    check_storage(storage, resume=resume, holds="the studies")
    choose_device(device)
    check_workers(workers, timeout)
    trained = read_recipe(pairs("--recipe", recipe))
    tuned = read_recipe(pairs("--tune", tune), trained) if tune else None
    tasks = find_sequence(sequence, seed=seed, data_root=data_root)
    trunk = head_resized(seed_graph(tasks[0]) if graph is None else read_graph(graph), tasks[0].outputs)
    fitting(tasks, trunk)
    learner: Any = read_driver(driver, kind, trunk, pairs("--set", settings), tuned)
    title = name or f"{driver}-{tasks.name}{'-apart' if apart else ''}-{seed}"
    if not resume:
        check_new(study_names(title, len(tasks)), storage, artifacts)
    if out is not None:
        check_writable(out)
    torch.set_num_threads(threads)
    settled: dict[str, Any] = {"recipe": trained, "budget": limits, "storage": storage, "artifacts": artifacts}
    settled |= {"seed": seed, "device": device, "workers": workers, "timeout": timeout, "threads": threads}
    try:
        course = _run(learner, tasks, driver, title, settled, apart=apart)
    except KeyboardInterrupt:
        raise interrupted(storage) from None
    print_lessons(course)
    if out is not None:
        write(out, course)


def learner_kind(label: str) -> type[Driver]:
    """Return the driver registered under a name if it learns task after task.

    Raises:
        UnknownName: when there is none.
        SettingError: when it does not take what earlier tasks have learned.
    """
    kind = driver_kind(label)
    known: list[str] = [one.name for one in fields(kind)] if is_dataclass(kind) else []
    if not {"graph", "target", "library"} <= set(known):
        raise SettingError(
            f"driver {label!r} does not learn one task after another", expected="continual, or one like it", got=label
        )
    return kind


def _run(learner: Any, tasks: Any, label: str, title: str, settled: dict[str, Any], *, apart: bool) -> Course:
    """Learn the tasks, and show how it goes on."""
    from archgraph.cli.progress import SearchProgress
    from archgraph.cli.screen import console

    screen = console(errors=True)
    screen.print(f"{label} on {tasks.describe()}", markup=False, soft_wrap=True)
    quality = "val.error" if tasks[0].loss.classifies else "val.loss"
    with SearchProgress(screen, quality=quality) as progress:

        def done(number: int, study: Study) -> None:
            task: Task = tasks[number - 1]
            screen.print(f"task {number} of {len(tasks)}, {task.name}: {study.stopped}", markup=False, soft_wrap=True)

        return run(
            learner,
            tasks,
            name=title,
            share=not apart,
            done=done,
            callbacks=(progress.trial,),
            progress=progress.epoch,
            **settled,
        )
