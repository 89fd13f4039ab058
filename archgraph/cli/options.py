"""Options that commands share, and how ``key=value`` pairs on the command line are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from archgraph.errors import SettingError

Seed = Annotated[int, typer.Option("--seed", help="Of everything random: data splits, weights, order of samples.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N; auto is CUDA where there is one.")]
DataRoot = Annotated[
    str | None,
    typer.Option(
        "--data-root",
        envvar="ARCHGRAPH_DATA",
        help="Folder with data sets, only read; what it lacks is downloaded to your cache.",
        metavar="DIR",
    ),
]
Storage = Annotated[
    str | None, typer.Option("--storage", help="Where studies are kept, e.g. sqlite:///runs.db.", metavar="URL")
]
Artifacts = Annotated[
    str | None,
    typer.Option("--artifacts", help="Folder of graphs and weights; beside the storage by default.", metavar="DIR"),
]
OneTrial = Annotated[str | None, typer.Option("--trial", help="A trial of the study: its number, or best.")]
Start = Annotated[
    Path | None,
    typer.Option("--graph", help="Where to start: a .graph file; a small network by default.", metavar="FILE"),
]
Training = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="How to train: epochs=30 lr=0.01 optimizer=adam batch_size=128; others go to the optimizer.",
        metavar="KEY=VALUE ...",
    ),
]
Tuning = Annotated[
    list[str] | None,
    typer.Option(
        "--tune",
        help="Trainings after the first, of drivers that grow; what is not named is as in --recipe.",
        metavar="KEY=VALUE ...",
    ),
]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        help="What to make small or large, the most important first: error, latency, max:score. "
        "[dim]\\[default: validation error, or loss][/dim]",
        metavar="A,B",
    ),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option(
        "--constraint", help="What the best network must keep: 'params<=1e5' 'latency<=0.01'.", metavar="BOUND ..."
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metrics", help="What else to measure every network by: memory,energy,latency.", metavar="A,B"),
]
MeasuredAt = Annotated[
    list[str] | None,
    typer.Option(
        "--conditions", help="Of what is measured: batch_size=32 threads=1 repeats=20.", metavar="KEY=VALUE ..."
    ),
]
Workers = Annotated[
    str,
    typer.Option(
        "--workers",
        help="Processes that evaluate: a number, ray, or ray://host:port; results do not depend on it.",
        metavar="N|ray",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", help="Seconds that one evaluation may take; then it fails.", metavar="SECONDS"),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        min=1,
        max=256,
        help="CPU threads; one is fastest for small networks, and results do not depend on cores.",
    ),
]

PAIRED = ("--set", "--budget", "--recipe", "--tune", "--constraint", "--conditions")
"""Options after which any number of ``key=value`` pairs, or bounds, may stand."""

INTERRUPTED = 130


class Command(TyperCommand):
    """A command whose paired options take several pairs at once, and that ends quietly when it is interrupted."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None


def spread(arguments: Iterable[str]) -> list[str]:
    """Repeat a paired option before each of its pairs, as the parser wants it.

    >>> spread(["digits", "--recipe", "epochs=3", "lr=0.1", "--seed", "1"])
    ['digits', '--recipe', 'epochs=3', '--recipe', 'lr=0.1', '--seed', '1']
    """
    result: list[str] = []
    option, first = "", False
    for argument in arguments:
        if argument in PAIRED:
            option, first = argument, True
        elif option and not first and "=" in argument and not argument.startswith("-"):
            result.append(option)
        elif first:
            first = False
        else:
            option = ""
        result.append(argument)
    return result


def pairs(option: str, texts: Iterable[str] | None) -> dict[str, str]:
    """Read pairs; dashes within a key stand for underscores.

    Raises:
        SettingError: when a text is no pair, or a key is given twice.

    >>> pairs("--recipe", ["batch-size=64", "lr=0.1"])
    {'batch_size': '64', 'lr': '0.1'}
    """
    result: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals):
            raise SettingError(f"{option} wants pairs", expected="key=value", got=repr(text))
        if key in result:
            raise SettingError(f"{option} gives {key!r} twice", got=f"{result[key]!r} and {value!r}")
        result[key] = value.strip()
    return result
