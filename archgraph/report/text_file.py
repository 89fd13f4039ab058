"""Text files, whole or not at all: pages, and tables as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archgraph.errors import StorageError
from archgraph.files import write


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole, and its folder if need be; return it.

    Args:
        path: the file.
        text: what it is to hold, in UTF-8.

    Raises:
        StorageError: when it cannot be written; what was there before is still there.
    """
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place, text.encode())
    except OSError as error:
        raise StorageError(f"cannot write {place}: {error.strerror or error}") from error
    return place


def write_csv(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Path:
    """Write records below a line of column names; return the file.

    Args:
        path: the file.
        rows: a record a line; what one lacks is left empty.
        columns: names of all that records hold, in order.

    Raises:
        StorageError: when it cannot be written; what was there before is still there.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    return write_text(path, text.getvalue())
