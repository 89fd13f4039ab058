"""What is printed: tables made to fit the terminal, messages, and the consoles they go to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED = 120
"""Width where there is no terminal to ask, in characters."""


def console(*, errors: bool = False) -> Console:
    """Return the console of results (standard output) or of what goes on meanwhile (standard error)."""
    from rich.console import Console

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED
    return Console(stderr=errors, width=width, highlight=False)


def print_table(table: Table) -> None:
    """Print a table with one rule below its head, as narrow as its content."""
    from rich import box

    table.box, table.padding, table.pad_edge = box.SIMPLE_HEAD, (0, 1, 0, 0), False
    table.header_style, table.title_justify, table.title_style = "bold", "left", "bold"
    table.caption_justify, table.caption_style = "left", "dim"
    table.show_edge = False
    for column in table.columns:
        column.overflow = "fold"  # what is cut off cannot be read
    console().print(table)
