"""What learning a sequence of tasks has come to, as a table, and as a folder with a network a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from archgraph.cli.rows import quality
from archgraph.continual import Course
from archgraph.metrics import params

LIBRARY, TABLE = "library", "tasks.csv"


def lesson_rows(course: Course) -> list[dict[str, Any]]:
    """Return a row for every task: what it took, and its quality right after it was learned and at the end."""
    quality = quality_of(course)
    rows = []
    for number, (task, study, network) in enumerate(zip(course.sequence, course.studies, course.networks, strict=True)):
        size = params(network.graph)
        made = course.library.chapters[number - len(course.sequence)].params if course.library is not None else size
        rows.append(
            {
                "task": task.name,
                "trainings": len(study.trials),
                "params": size,
                "added": made,
                f"{quality} when learned": course.tests[number][number][quality],
                f"{quality} at the end": course.tests[-1][number][quality],
                "target": "missed" if task.name in course.unmet else "met",
            }
        )
    return rows


def quality_of(course: Course) -> str:
    """Return the metric by which tasks are told about."""
    return quality(course.tests[0][0])


def print_lessons(course: Course) -> None:
    """Print the table, what it comes to in all, and which targets were missed."""
    from rich.table import Table

    from archgraph.cli.screen import print_table

    rows = lesson_rows(course)
    table = Table()
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("task", "target") else "right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    print_table(table)
    for name, why in course.unmet.items():
        typer.echo(f"{name}: {why}")
    quality = quality_of(course)
    same = "yes" if course.unchanged else "no"
    typer.echo(
        f"all:     test {quality} {course.average(quality):.4f}, {course.params:,} params, "
        f"forgetting {course.forgetting(quality):.4f}, every network the same bits as when learned: {same}"
    )


def write(folder: Path, course: Course) -> None:
    """Write the network of every task, dense and on its own, the library and the table; print where and how to use it.

    Raises:
        StorageError: when a file cannot be written.
        ExportError: when an exported file does not compute what its network does.
    """
    from archgraph.export import export
    from archgraph.report.text_file import write_csv

    typer.echo()
    for number, network in enumerate(course.networks, start=1):
        place = folder / f"task-{number}"
        done = export(network, place, formats=("python",))
        network.save(place)
        typer.echo(f"wrote {place / 'model.py'}\n      {course.sequence[number - 1].name} as plain PyTorch")
        for check in done.checks:
            typer.echo(f"checked {check}")
    if course.library is not None:
        course.library.save(folder / LIBRARY)
        typer.echo(f"wrote {folder / LIBRARY}\n      all tasks, each row once: Library.load(folder)")
    rows = lesson_rows(course)
    write_csv(folder / TABLE, rows, list(rows[0]))
    typer.echo(f"wrote {folder / TABLE}\n      every task with its numbers")
