"""``archgraph list``: the names of what can be used, each with what it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from archgraph import registry
from archgraph.cli.options import DataRoot, Device, Seed
from archgraph.errors import UnknownName
from archgraph.metrics import find_metric
from archgraph.search.spaces import space_settings
from archgraph.tasks.catalogue import options_of

LISTS: Mapping[str, registry.Registry] = {
    "drivers": registry.DRIVERS,
    "tasks": registry.TASKS,
    "sequences": registry.SEQUENCES,
    "ops": registry.OPS,
    "moves": registry.MOVES,
    "metrics": registry.METRICS,
    "optimizers": registry.WEIGHT_OPTIMIZERS,
    "spaces": registry.SPACES,
}


def listing(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(LISTS)}.", metavar="KIND")],
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """List drivers, tasks, sequences of tasks, ops, moves, metrics, weight optimizers or spaces.

    Example: [bold]archgraph list drivers[/bold]
    """
    if kind not in LISTS:
        raise UnknownName.among("list", kind, LISTS)
    from rich.table import Table
    from rich.text import Text

    from archgraph.cli.screen import print_table

    table = Table()
    table.add_column(kind.removesuffix("s"), no_wrap=True)
    table.add_column("what it is")
    for name in LISTS[kind]:
        entry = LISTS[kind].get(name)
        text = Text(sentence(entry))
        if kind == "drivers":
            text.append(f"\n--set {_settings(entry)}", style="dim")
        if kind == "spaces":
            text.append(f"\n--set space={name} {_spelled(space_settings(name))}".rstrip(), style="dim")
        if kind in ("tasks", "sequences") and (told := _options(entry)):
            text.append(f"\n{name}:{told}", style="dim")
        if kind == "metrics":
            text.append(f"\n{_better(name)}", style="dim")
        table.add_row(Text(name, style="bold"), text)
    print_table(table)


def sentence(entry: Any) -> str:
    """Return the first sentence of a docstring.

    >>> sentence(sentence)
    'Return the first sentence of a docstring.'
    """
    paragraph = re.split(r"\n\s*\n", inspect.getdoc(entry) or "")[0]
    plain = re.sub(r":\w+:`~?\.?([^`]*)`", r"\1", " ".join(paragraph.split())).replace("``", "")
    return re.split(r"(?<=[.!?])\s", plain)[0]


def _settings(driver: Any) -> str:
    known = driver.settings() if hasattr(driver, "settings") else {}
    return _spelled({name: value for name, value in known.items() if name != "tune"})


def _options(entry: Any) -> str:
    """Return the options of a task; those of the task that a sequence parts are told with that task."""
    return ",".join(f"{name}={value}" for name, value in options_of(entry).items() if name != "options")


def _spelled(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _better(name: str) -> str:
    metric = find_metric(name)
    return f"{'more' if metric.direction == 'max' else 'less'} is better{f', in {metric.unit}' if metric.unit else ''}"
