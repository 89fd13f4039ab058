"""``archgraph train``: train one network on a task by a recipe, say how good it became, and take it away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer

from archgraph.cli.folder import check_writable
from archgraph.cli.options import DataRoot, Device, Seed, Start, Threads, Training, pairs
from archgraph.cli.recipes import read_recipe
from archgraph.cli.subject import read_graph, read_network
from archgraph.errors import EvaluationFailed, ExportError, SettingError
from archgraph.evaluation import Epoch, Evaluator, Recipe, Report, Request, Train, check_fit, measure
from archgraph.evaluation.lookup import usual_recipe
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.net.network import WEIGHTS_FILE
from archgraph.tasks import Task, find
from archgraph.tasks.seed import seed_graph
from archgraph.tasks.tabular import Tabular

LINES = 10
"""Epochs that are told of while a network is trained, about."""


def train(
    task: Annotated[str, typer.Argument(help="A task, see [bold]archgraph list tasks[/bold].", metavar="TASK")],
    graph: Start = None,
    optimizer: Annotated[
        str | None,
        typer.Option("--optimizer", help="A weight optimizer, see [bold]archgraph list optimizers[/bold]."),
    ] = None,
    recipe: Training = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the network and its export.", metavar="DIR")
    ] = None,
    threads: Threads = 1,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Train a network by a recipe. A folder with a saved network is trained on from its weights.

    Example: [bold]archgraph train cora --graph gcn.graph --optimizer adam --recipe epochs=200 keep=best[/bold]
    """
    settings = pairs("--recipe", recipe)
    if optimizer is not None and settings.setdefault("optimizer", optimizer) != optimizer:
        raise SettingError("two optimizers are given", got=f"--optimizer {optimizer} and {settings['optimizer']}")
    posed = find(task, seed=seed, data_root=data_root)
    chosen = read_recipe(settings, usual_recipe(posed))
    if isinstance(posed, Tabular):
        raise SettingError(f"task {posed.name!r} is a table: its networks are trained already", hint="archgraph search")
    subject = _subject(graph, posed)
    check_fit(subject if isinstance(subject, Graph) else subject.graph, posed)
    if out is not None:
        check_writable(out)
    torch.set_num_threads(threads)
    report = Evaluator(posed, device=device, progress=_told).evaluate(Train(subject, chosen, seed))
    if report.failure or report.network is None:
        raise EvaluationFailed(f"the training failed: {report.failure}")
    tested = measure(report.network, posed, "test", device=device if device != "auto" else report.ledger.device)
    _print(posed, chosen, report, tested)
    if out is not None:
        _write(out, report.network)


def _subject(graph: Path | None, task: Task) -> Graph | Network:
    if graph is None:
        return seed_graph(task)
    if graph.is_dir() and (graph / WEIGHTS_FILE).is_file():
        return read_network(graph)
    return read_graph(graph)


def _told(request: Request, epoch: Epoch, epochs: int) -> None:
    if epoch.epoch % max(1, epochs // LINES) and epoch.epoch != epochs:
        return
    shown = "  ".join(f"{name.replace('.', ' ')} {value:.4f}" for name, value in epoch.metrics.items())
    typer.echo(f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  {shown}", err=True)


def _print(task: Task, recipe: Recipe, report: Report, tested: Mapping[str, float]) -> None:
    from rich.table import Table

    from archgraph.cli.screen import print_table

    table = Table("split", *tested, title=f"{int(report.metrics['params']):,} parameters")
    typer.echo(task.describe())
    for split in ("train", "val"):
        table.add_row(split, *(f"{report.metrics[f'{split}.{name}']:.4f}" for name in tested))
    table.add_row("test", *(f"{value:.4f}" for value in tested.values()))
    print_table(table)
    typer.echo(f"{recipe.optimizer}, {report.ledger.epochs:g} epochs, {report.ledger.wall_seconds:.1f} s")


def _write(folder: Path, network: Network) -> None:
    from archgraph.export import export

    network.save(folder)
    typer.echo(f"wrote {folder}")
    try:
        checks = export(network, folder, formats=("python",)).checks
    except ExportError as error:  # the network is saved, and ag.Network.load reads it
        typer.echo(f"not exported: {error.what}", err=True)
        return
    for check in checks:
        typer.echo(f"checked {check}")
