"""The ``archgraph`` command: its subcommands, and the boundary where errors become messages and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from archgraph import __version__
from archgraph.cli.compare import compare
from archgraph.cli.export import export
from archgraph.cli.learn import learn
from archgraph.cli.listing import listing
from archgraph.cli.options import Command
from archgraph.cli.reproduce import reproduce
from archgraph.cli.search import search
from archgraph.cli.show import show
from archgraph.cli.train import train
from archgraph.errors import ArchGraphError

BAD_INPUT = 2
"""Exit code for what a user can put right; 1 is a bug of ours, 130 an interruption."""

app = typer.Typer(
    name="archgraph",
    help="Neural-architecture search on editable graphs: grow, sample, compare, and take the best network away.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("search", cls=Command)(search)
app.command("learn", cls=Command)(learn)
app.command("compare", cls=Command)(compare)
app.command("train", cls=Command)(train)
app.command("show", cls=Command)(show)
app.command("export", cls=Command)(export)
app.command("reproduce", cls=Command)(reproduce)
app.command("list", cls=Command)(listing)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archgraph {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input, 130 interrupted, 1 with a traceback for a bug.

    Args:
        arguments: what stands after ``archgraph``; that of this process by default.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="archgraph")
    except ArchGraphError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
