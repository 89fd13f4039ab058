"""The end of a search: networks are measured on the test split, a table is printed, the best one is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

from archgraph.cli.goals import aims, remarks
from archgraph.cli.rows import columns, file_rows, quality, stage_rows
from archgraph.evaluation import measure
from archgraph.net.network import GRAPH_FILE
from archgraph.search import Study, Trial
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular

BEST_FOLDER = "best"


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished search with what its networks do on the test split, which no driver has seen.

    Args:
        label: name of the driver.
        study: the search.
        trials: its trials, in order.
        tests: metrics on the test split by the number of the trial, of all successful ones.
    """

    label: str
    study: Study
    trials: Sequence[Trial]
    tests: Mapping[int, Mapping[str, float]]

    @classmethod
    def of(cls, label: str, study: Study, task: Task, device: str) -> Outcome:
        """Measure every network of a study on the test split."""
        from archgraph.evaluation import choose_device

        trials, place = study.trials, choose_device(device)
        tests = {trial.number: tested(trial, task, place) for trial in trials if trial.ok}
        return cls(label, study, trials, tests)

    def print(self) -> None:
        """Print the table of stages, the best trial and why the search stopped."""
        from archgraph.cli.screen import print_table
        from archgraph.report import stage_table

        typer.echo()
        if self.tests:
            table = stage_table(stage_rows(self.trials, self.tests), title=f"{self.label}: study {self.study.name}")
            if any(trial.predicted is not None for trial in self.trials):
                table.caption = "gain: fall of the training loss at the split; ratio: measured / predicted"
            print_table(table)
        for trial in self.trials:
            if trial.failure:
                typer.echo(f"trial {trial.number} failed: {trial.failure}")
        typer.echo("stopped: " + self.study.stopped.replace("; ", ";\n         "))
        if any(trial.feasible for trial in self.trials):
            best = self.study.best
            shown = quality(self.tests[best.number])
            tested = f"test {shown} {self.tests[best.number][shown]:.4f}"
            typer.echo(f"best:    trial {best.number}, {aims(self.study, best)}, {tested}")
            if best.values:
                typer.echo("         at " + ", ".join(f"{name}={value}" for name, value in best.values.items()))
        for line in remarks(self.study):
            typer.echo(line)


def tested(trial: Trial, task: Task, device: torch.device) -> dict[str, float]:
    """Return metrics of a trial on the test split, by names without the split."""
    if isinstance(task, Tabular):
        return task.table.tested(trial.graph)
    return dict(measure(trial.network, task, "test", device=device))


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the best network of the first outcome, the stages of all, and a plot; print where and how to use them.

    Raises:
        DataError: when no trial succeeded.
        StorageError: when a file cannot be written.
        ExportError: when the exported file does not compute what the network does.
    """
    from archgraph.export import export
    from archgraph.report import graph_svg
    from archgraph.report.text_file import write_csv, write_text

    best = outcomes[0].study.best
    place = folder / BEST_FOLDER
    done = export(best.network, place, formats=("python",)) if best.trained else None
    if done is not None:
        best.network.save(place)
    else:
        write_text(place / GRAPH_FILE, str(best.graph))
    write_text(place / "graph.svg", graph_svg(best.graph))
    rows = [row for outcome in outcomes for row in file_rows(outcome.label, outcome.trials, outcome.tests)]
    write_csv(folder / "stages.csv", rows, columns(rows))
    plot = _plot(folder / "growth.png", outcomes)
    typer.echo()
    model = [
        (place / "model.py", "the best network as plain PyTorch, with weights.pt beside it"),
        (place / GRAPH_FILE, "its graph as text, with weights.safetensors: ag.Network.load(folder)"),
    ]
    for name, meaning in (
        *(
            model
            if done
            else [(place / GRAPH_FILE, "the best graph as text; of what a table has there are no weights")]
        ),
        (place / "graph.svg", "its graph, drawn"),
        (folder / "stages.csv", "every trial with all its numbers"),
        (plot, "quality against parameters"),
    ):
        typer.echo(f"wrote {name}\n      {meaning}")
    if done is None:
        return
    for check in done.checks:
        typer.echo(f"checked {check}")
    linked = "torch_geometric" in (place / "model.py").read_text(encoding="utf-8")
    needed = "torch and torch-geometric are" if linked else "torch is"
    typer.echo(f"\nLoad it anywhere, {needed} all it needs:\n")
    typer.echo(f"    import sys; sys.path.insert(0, {str(place.resolve())!r})")
    typer.echo("    from model import load")
    typer.echo("    model = load()")


def _plot(path: Path, outcomes: Sequence[Outcome]) -> Path:
    from archgraph.report import growth_plot

    series = {}
    for outcome in outcomes:
        good = [trial for trial in outcome.trials if trial.ok]
        if good:
            shown = quality(outcome.tests[good[0].number])
            points = [(trial.metrics.get("params", 0.0), outcome.tests[trial.number][shown]) for trial in good]
            series[outcome.label] = sorted(points, key=lambda point: point[0])
    sizes = [x for points in series.values() for x, _ in points]
    label = f"test {shown}"
    task = str(outcomes[0].study.facts.get("task", ""))
    return growth_plot(series, path, ylabel=label, title=task, log_x=max(sizes) > 10 * min(sizes))
