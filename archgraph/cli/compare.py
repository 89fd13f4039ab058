"""``archgraph compare``: several drivers with several seeds under one budget, and what differs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from archgraph.cli.drivers import driver_kind, read_driver, spaced, takes_tune
from archgraph.cli.folder import check_writable
from archgraph.cli.kept import check_new, check_storage, interrupted
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
from archgraph.comparison import Comparison
from archgraph.comparison import compare as run
from archgraph.comparison.compare import study_name
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe, check_fit, choose_device
from archgraph.evaluation.lookup import usual_recipe
from archgraph.graph import Graph
from archgraph.search import Budget, Driver, Study, Trial
from archgraph.search.spaces import SPACE, space_settings
from archgraph.storage.address import masked
from archgraph.tasks import Task, find
from archgraph.tasks.seed import seed_graph
from archgraph.workers.workers import check as check_workers

SPENT = "the budget is spent"
"""How the reason begins with which most searches stop."""


def compare(
    task: Annotated[str, typer.Argument(help="A task, see [bold]archgraph list tasks[/bold].", metavar="TASK")],
    drivers: Annotated[
        str,
        typer.Option(
            "--drivers",
            help="Which, see [bold]archgraph list drivers[/bold]; the others are compared with the first.",
            metavar="NAME,NAME,...",
        ),
    ],
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            help="What each run may spend: train_macs, evaluations, epochs, seconds, max_params, max_macs.",
            metavar="KEY=VALUE ...",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How many runs of each driver.", metavar="N")] = 3,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Settings of the drivers: growth=0.35 for all that have it, random-search.low=0.5 for one.",
            metavar="KEY=VALUE ...",
        ),
    ] = None,
    graph: Start = None,
    recipe: Training = None,
    tune: Tuning = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for tables, plots and the command to repeat it.", metavar="DIR"),
    ] = None,
    storage: Storage = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Studies are called NAME/driver/seed; compare-<task> by default.", metavar="NAME"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Carry on with what the storage holds.")] = False,
    workers: Workers = "1",
    timeout: Timeout = None,
    threads: Threads = 1,
    artifacts: Artifacts = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Compare drivers: the same seeds, the same budget, and one look at the test split, at the very end.

    Example: [bold]archgraph compare digits --drivers splitting,random-search --budget train_macs=2e10 --seeds 3[/bold]
    """
    labels = _labels(drivers)
    if seeds < 1:
        raise SettingError("a comparison needs seeds", expected="--seeds 3", got=seeds)
    if not budget:
        raise SettingError("drivers are compared under a budget", hint="--budget train_macs=2e10")
    budgeted = Budget.parse(pairs("--budget", budget))
    check_storage(storage, resume=resume, holds="the comparison")
    choose_device(device)
    check_workers(workers, timeout)
    posed = find(task, seed=seed, data_root=data_root)
    trained = read_recipe(pairs("--recipe", recipe), usual_recipe(posed))
    tuned = read_recipe(pairs("--tune", tune), trained) if tune else None
    start = seed_graph(posed) if graph is None else read_graph(graph)
    check_fit(start, posed)
    chosen = _drivers(labels, start, posed, pairs("--set", settings), tuned)
    title, numbers = name or f"compare-{posed.name}", range(seed, seed + seeds)
    if not resume:
        names = (study_name(title, label, number) for label in labels for number in numbers)
        check_new(names, storage, artifacts, what="the comparison")
    if out is not None:
        check_writable(out)
    options = [
        *("--drivers", ",".join(labels), "--budget", *(budget or ()), "--seeds", str(seeds)),
        *_given("--set", settings),
        *_given("--recipe", recipe),
        *_given("--tune", tune),
        *_option("--graph", graph, None),
        *_option("--storage", storage and masked(storage), None),
        *_option("--name", name, None),
        *_option("--out", out, None),
        *_option("--workers", workers, "1"),
        *_option("--timeout", timeout, None),
        *_option("--threads", threads, 1),
        *_option("--artifacts", artifacts, None),
        *_option("--seed", seed, 0),
        *_option("--device", device, "auto"),
        *_option("--data-root", data_root, None),
    ]
    try:
        found = run(
            chosen,
            task=task,
            budget=budgeted,
            recipe=trained,
            seeds=tuple(numbers),
            storage=storage,
            name=title,
            workers=workers,
            timeout=timeout,
            threads=threads,
            device=device,
            data_root=data_root,
            artifacts=artifacts,
            callbacks=(_Lines(title, len(labels) * seeds).trial,),
            command=shlex.join(["archgraph", "compare", task, *options]),
        )
    except KeyboardInterrupt:
        raise interrupted(storage) from None
    _print(found)
    if out is not None:
        write(out, found)


def write(folder: Path, found: Comparison) -> None:
    """Write tables, plots and the command to repeat it; print where.

    Raises:
        StorageError: when a file cannot be written.
    """
    from archgraph.comparison import pareto_plot
    from archgraph.report.text_file import write_text

    written = [
        (found.table.to_csv(folder / "table.csv"), "the table, with all digits"),
        (found.to_csv(folder / "raw.csv"), "every trial with all its numbers"),
        (found.to_json(folder / "raw.json"), "the same, with the settings, the table, and why each run stopped"),
        (write_text(folder / "command.txt", found.command + "\n"), "the command to repeat it"),
    ]
    if any(cell.pick is not None for cell in found.cells):
        written += [
            (found.plot(folder / "curves.png"), "the best so far against cost"),
            (pareto_plot(found, folder / "pareto.png"), "quality against parameters"),
        ]
    typer.echo()
    for path, meaning in written:
        typer.echo(f"wrote {path}\n      {meaning}")


class _Lines:
    """A line on standard error for every training."""

    def __init__(self, title: str, runs: int) -> None:
        from archgraph.cli.screen import console

        self.title, self.screen = title, console(errors=True)
        self.screen.print(f"{title}: {runs} run{'s, in turns' if runs > 1 else ''}", markup=False, soft_wrap=True)

    def trial(self, study: Study, trial: Trial) -> None:
        """Print what a training of a run found."""
        driver, _, seed = study.name.removeprefix(f"{self.title}/").rpartition("/")
        line = f"{driver}  seed {seed}  trial {trial.number}  "
        if trial.failure:
            line += f"failed: {trial.failure}"
        else:
            found = trial.metrics.get(study.objective)
            line += f"{int(trial.metrics['params']):,} params"
            line += "" if found is None else f"  {study.objective.replace('.', ' ')} {found:.4f}"
            line += f"  {trial.ledger.wall_seconds:.1f} s"
        self.screen.print(line, markup=False, soft_wrap=True)


def _print(found: Comparison) -> None:
    from archgraph.cli.screen import print_table
    from archgraph.comparison import comparison_table

    typer.echo()
    print_table(comparison_table(found))
    for cell in found.cells:
        failed = [trial for trial in cell.study.trials if trial.failure]
        if failed:
            typer.echo(f"{cell.driver}, seed {cell.seed}: {len(failed)} failed, the first: {failed[0].failure}")
    for driver in found.drivers:
        reasons = dict.fromkeys(
            SPENT if cell.study.stopped.startswith(SPENT) else cell.study.stopped
            for cell in found.cells
            if cell.driver == driver
        )
        typer.echo(f"stopped: {driver}: {'; '.join(reasons)}")


def _labels(text: str) -> list[str]:
    """Read the names of drivers.

    Raises:
        SettingError: when there is none, or one stands twice.
    """
    labels = [label.strip() for label in text.split(",")]
    for label in labels:
        if not label:
            raise SettingError("--drivers wants names", expected="such as splitting,random-search", got=repr(text))
        if labels.count(label) > 1:
            raise SettingError(f"--drivers names {label!r} twice", hint="a driver is compared with others")
    return labels


def _drivers(
    labels: Sequence[str], graph: Graph, task: Task, settings: Mapping[str, str], tune: Recipe | None
) -> dict[str, Driver]:
    """Build the drivers; a setting goes to the one that is named before its dot, else to all that have it."""
    kinds = {label: driver_kind(label) for label in labels}
    own: dict[str, dict[str, str]] = {label: {} for label in labels}
    spelled = {label.replace("-", "_"): label for label in labels}
    known = {label: _settings(label, kind, task, settings) for label, kind in kinds.items()}
    for key, value in settings.items():
        driver, dot, rest = key.partition(".")  # which may have dots of its own: grow-best.growth.stages
        name = rest if dot else key
        if dot and driver not in spelled:
            raise UnknownName.among("driver in --set", driver.replace("_", "-"), labels)
        takers = [spelled[driver]] if dot else [label for label in labels if name in known[label]]
        if not takers:
            raise UnknownName.among(
                "setting of these drivers", name, {one for names in known.values() for one in names}
            )
        for label in takers:
            if dot or name not in own[label]:
                own[label][name] = value
    if tune is not None and not any(takes_tune(kind) for kind in kinds.values()):
        raise SettingError("none of these drivers has trainings after the first", hint="leave --tune out")
    return {
        label: read_driver(label, kind, graph, spaced(kind, task, own[label]), tune if takes_tune(kind) else None)
        for label, kind in kinds.items()
    }


def _settings(label: str, kind: type[Driver], task: Task, settings: Mapping[str, str]) -> set[str]:
    """Return the names of the settings that a driver takes, those of the space that it is to search among them."""
    known = set(kind.settings())
    own = settings.get(f"{label.replace('-', '_')}.{SPACE}", settings.get(SPACE))
    space = spaced(kind, task, {} if own is None else {SPACE: own}).get(SPACE)
    return known | set(space_settings(space)) if space is not None and SPACE in known else known


def _given(option: str, texts: Sequence[str] | None) -> list[str]:
    return [option, *texts] if texts else []


def _option(option: str, value: object, usual: object) -> list[str]:
    return [] if value == usual else [option, str(value)]
