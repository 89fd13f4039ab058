"""Files of tabular benchmarks: arrays of NumPy and JSON; nothing in them is executed."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgraph.errors import DataError
from archgraph.tasks.published import Form, Published


def benchmark(title: str, folder: str, **files: str) -> Published:
    """Return where a benchmark is looked for: in ``nas/FOLDER`` or ``FOLDER`` of a folder of data sets.

    Args:
        title: for people.
        folder: its own.
        **files: names by what is in them.
    """
    form = Form("table", (f"nas/{folder}", folder), {label: (name,) for label, name in files.items()})
    return Published(title, (form,), folder, ())


def read_arrays(path: Path, *wanted: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` file.

    Args:
        path: of the file.
        *wanted: names of arrays that it must have, of one length.

    Raises:
        DataError: when it is damaged or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        lengths = {name: len(arrays[name]) for name in wanted}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}", expected=f"arrays {', '.join(wanted)}") from error
    if len(set(lengths.values())) > 1:
        raise DataError(f"the arrays of {path} do not belong together", expected="one length", got=lengths)
    return arrays


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a ``.json.gz`` file.

    Raises:
        DataError: when it is damaged, or holds something else.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            held = json.load(stream)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}", expected="JSON, compressed by gzip") from error
    if not isinstance(held, dict) or not held:
        raise DataError(f"{path} holds no table", expected="an object by architecture", got=type(held).__name__)
    return held
