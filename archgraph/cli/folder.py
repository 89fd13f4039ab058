"""The folder that ``--out`` names."""

from __future__ import annotations

import tempfile
from pathlib import Path

from archgraph.errors import StorageError


def check_writable(folder: Path, *inside: str) -> None:
    """Make a folder for what a command finds, and folders inside of it, and try them, before anything long begins.

    Args:
        folder: the one that ``--out`` names.
        inside: names of folders in it.

    Raises:
        StorageError: when nothing can be written there.
    """
    try:
        for place in (folder, *(folder / name for name in inside)):
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as error:
        raise StorageError(
            f"cannot write to the output folder {folder}: {error.strerror or error}", hint="choose another --out"
        ) from error
