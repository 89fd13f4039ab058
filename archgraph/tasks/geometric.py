"""Data sets of ``torch_geometric.datasets``, read from files of a folder that is left as it is.

PyTorch Geometric writes what it has made of the files beside them. So they are linked to from a folder of its own,
which is gone when they have been read.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from archgraph.tasks.published import Form, Found
from archgraph.tasks.reading import reading


def form(folder: str, place: str, *names: str) -> Form:
    """Return a form of files called so: in ``folder/place`` of a root, or in ``place`` alone.

    Args:
        folder: of a family of data sets, such as ``"TUDataset"``; it may be in small letters.
        place: where the class looks below its root, such as ``"Photo/raw"``.
        *names: of the files.
    """
    above = dict.fromkeys((folder.lower(), folder))
    home = place.rpartition("/")[0]
    folders = [f"{one}/{place}" for one in above] + ([place, home] if home else [])
    return Form("geometric", tuple(dict.fromkeys(folders)), {name: (name,) for name in names})


def read(found: Found, kind: str, place: str, **options: Any) -> Any:
    """Let a class of ``torch_geometric.datasets`` read files.

    Args:
        found: the files.
        kind: name of the class.
        place: where it looks for raw files below its root.
        **options: what it is made with.

    Returns:
        The data set, in memory.

    Raises:
        DataError: when it cannot read them.
    """
    datasets = _datasets()
    with (
        reading(next(iter(found.files.values())), f"what {kind} of PyTorch Geometric reads"),
        tempfile.TemporaryDirectory(prefix="archgraph-data-") as desk,
    ):
        raw = Path(desk, place)
        raw.mkdir(parents=True)
        for path in found.files.values():
            _link(path.resolve(), raw / path.name)
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                return getattr(datasets, kind)(desk, **options)
            except Exception as error:
                traceback.clear_frames(error.__traceback__)  # closes what it has left open
                if isinstance(error, RuntimeError | AssertionError):  # of tensors that do not go together
                    raise ValueError(str(error)) from error
                raise


def _datasets() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what of torch it uses
        import torch_geometric.datasets as datasets
    return datasets


def _link(path: Path, there: Path) -> None:
    try:
        os.symlink(path, there)
    except OSError:  # where links are not allowed
        shutil.copyfile(path, there)
