"""``archgraph show``: a graph as a table or a drawing, a study as the list of its trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archgraph.cli.options import Artifacts, DataRoot, Device, OneTrial, Seed, Storage
from archgraph.cli.rows import trial_rows
from archgraph.cli.subject import BEST, open_study, pick, read_graph
from archgraph.errors import SettingError, StorageError
from archgraph.graph import Graph
from archgraph.search import Study


def show(
    subject: Annotated[
        str, typer.Argument(help="A .graph file, a folder with a saved network, or a study.", metavar="FILE|STUDY")
    ],
    storage: Storage = None,
    trial: OneTrial = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the graph into this file.", metavar="FILE")] = None,
    artifacts: Artifacts = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Show a graph, or the trials of a study, or the graph of one of them.

    Example: [bold]archgraph show demo --storage sqlite:///runs.db --trial best --svg best.svg[/bold]
    """
    if storage is None and trial is not None:
        raise SettingError("--trial is of a study", hint="name the study's --storage")
    if storage is None:
        if not Path(subject).exists():
            raise StorageError(f"there is no file or folder {subject!r}", hint="if it is a study, name its --storage")
        _show_graph(read_graph(subject), svg)
        return
    study = open_study(subject, storage, artifacts)
    if trial is None and svg is None:
        _show_study(study)
        return
    chosen = pick(study, trial or BEST)
    typer.echo(f"trial {chosen.number} of {study.name}")
    _show_graph(chosen.graph, svg)


def _show_graph(graph: Graph, svg: Path | None) -> None:
    from archgraph.cli.screen import print_table
    from archgraph.report import graph_svg, graph_table

    print_table(graph_table(graph))
    if svg is None:
        return
    try:
        svg.write_text(graph_svg(graph), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {svg}: {error.strerror or error}") from error
    typer.echo(f"drawn in {svg}")


def _show_study(study: Study) -> None:
    from archgraph.cli.screen import print_table
    from archgraph.report import stage_table

    facts = study.facts
    for name in ("task", "driver", "seed", "recipe"):
        if name in facts:
            typer.echo(f"{name + ':':9}{facts[name]}")
    trials = study.trials
    typer.echo(f"stopped: {study.stopped or 'not yet'}")
    if not trials:
        typer.echo("no trial is finished")
        return
    print_table(stage_table(trial_rows(trials)))
    for trial in trials:
        if trial.failure:
            typer.echo(f"trial {trial.number} failed: {trial.failure}")
    if any(trial.ok for trial in trials):
        best = study.best
        typer.echo(f"best:    trial {best.number} by {study.objective} ({best.metric(study.objective):.4g})")
