"""Writing a network in one or several formats: staged, verified, then moved into place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import torch

from archgraph.errors import SettingError, StorageError, UnknownName
from archgraph.export import onnx, pt2
from archgraph.export.python import MODEL_FILE, WEIGHTS_FILE, source, state_views
from archgraph.export.trial import Example
from archgraph.export.verify import verify, verify_state
from archgraph.net import Network

Content = bytes | Callable[[IO[bytes]], None]
"""What a file holds, or what writes it: weights go to the disk without a copy in memory."""


@dataclass(frozen=True)
class Exported:
    """What an export left behind.

    Args:
        folder: where the files are.
        files: the files, in the order in which they were written.
        checks: one sentence for each check that was passed.
    """

    folder: Path
    files: tuple[Path, ...]
    checks: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.files), *self.checks])


@dataclass(frozen=True)
class Format:
    """One export format.

    Args:
        write: from a network to the contents of its files, by name.
        check: compares what lies in a folder with the network and returns what was found to be right; raises
            ``ExportError`` when something is not.
    """

    write: Callable[[Network], Mapping[str, Content]]
    check: Callable[[Network, Path, Example], str]


def export(
    network: Network,
    folder: str | Path,
    formats: str | Iterable[str] = ("python",),
    *,
    example: Example = None,
) -> Exported:
    """Write a network in ``formats`` to a folder, and report success only once the files are found to be right.

    Files are written to a hidden folder inside ``folder``, checked there and then moved, each in one step: an export
    that fails leaves what was there before as it was.

    Args:
        network: the network.
        folder: where the files go; made if need be.
        formats: ``"python"`` for ``model.py``, which imports torch alone (and ``torch_geometric.nn`` for a network on
            graphs), with its weights in ``weights.pt``; ``"state-dict"`` for ``weights.pt`` alone; ``"pt2"`` for
            ``model.pt2`` of ``torch.export`` and ``"onnx"`` for ``model.onnx``, both with a free batch axis, and a free
            number of edges.
        example: inputs ``[N, ...]`` on which the export is compared with the network, one tensor an input; by default
            three random samples, or a random graph, from a fixed seed.

    Raises:
        UnknownName: for a format that is not known.
        ExportError: when the network cannot be written so, or the files fail their check.
        StorageError: when the folder cannot be written.
        DataError: when ``example`` does not fit the network.
    """
    chosen = [_format(name) for name in dict.fromkeys([formats] if isinstance(formats, str) else formats)]
    if not chosen:
        raise SettingError("no format was chosen", expected=f"some of {', '.join(FORMATS)}")
    contents: dict[str, Content] = {}
    for form in chosen:
        contents.update(form.write(network))
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=place, prefix=".export-"))
    except OSError as error:
        raise _unwritable(place, error) from error
    try:
        _write(stage, contents)
        checks = tuple(form.check(network, stage, example) for form in chosen)
        for name in contents:
            os.replace(stage / name, place / name)
    except OSError as error:
        raise error if isinstance(error, StorageError) else _unwritable(place, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Exported(place, tuple(place / name for name in contents), checks)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UnknownName.among("export format", name, FORMATS)
    return FORMATS[name]


def _unwritable(place: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write the export to {place}: {error.strerror or error}", hint="name a folder that can be written"
    )


def _write(folder: Path, contents: Mapping[str, Content]) -> None:
    for name, content in contents.items():
        with open(folder / name, "wb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                content(stream)
            stream.flush()
            os.fsync(stream.fileno())


def _python(network: Network) -> dict[str, Content]:
    return _state(network) | {MODEL_FILE: source(network).encode()}


def _state(network: Network) -> dict[str, Content]:
    return {WEIGHTS_FILE: partial(torch.save, state_views(network))}


def _check_state(network: Network, folder: Path, example: Example) -> str:
    return verify_state(network, folder)


FORMATS: dict[str, Format] = {
    "python": Format(_python, verify),
    "state-dict": Format(_state, _check_state),
    "onnx": Format(onnx.write, onnx.verify),
    "pt2": Format(pt2.write, pt2.verify),
}
"""Export formats by name."""
