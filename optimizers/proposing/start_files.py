"""Points to begin with from files, as the command line names them: graphs, and values as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archgraph.errors import ArchGraphError, SettingError, StorageError
from archgraph.graph import Graph
from archgraph.net.network import GRAPH_FILE
from archgraph.search import load_study
from optimizers.proposing.start import Start


def read_start(text: str) -> tuple[Start, ...]:
    """Return what files say to begin with: ``"mine.graph,others.json"``.

    Args:
        text: files, with commas between them: a graph as text, a folder with a saved network, or a ``.json`` file with
            the named parameters of a point, or a list of such points; or an earlier study, whose best points are meant,
            by its storage and name: ``"sqlite:///runs.db#name"``.

    Raises:
        StorageError: when a file or a storage cannot be read.
        UnknownName: when the storage holds no such study.
        SettingError: when it holds no point.
    """
    found: list[Start] = []
    for part in text.split(","):
        url, mark, name = part.strip().rpartition("#")
        if mark and "://" in url:
            found.append(load_study(name, url))
            continue
        file = Path(part.strip())
        if not part.strip():
            raise SettingError("start names files", expected="such as start=mine.graph,others.json", got=repr(text))
        found += _points(file / GRAPH_FILE if file.is_dir() else file)
    return tuple(found)


def _points(file: Path) -> list[Start]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read a point to begin with from {str(file)!r}: {why}") from error
    if file.suffix != ".json":
        try:
            return [Graph.parse(text)]
        except ArchGraphError as error:
            raise SettingError(
                f"{str(file)!r} has no graph to begin with: {error.what}",
                hint=error.hint or "start takes .graph files, .json files of points, and studies as URL#name",
                place=error.place,
            ) from None
    try:
        held: Any = json.loads(text)
    except ValueError as error:
        raise SettingError(f"{str(file)!r} is no JSON: {error}") from error
    points = held if isinstance(held, list) else [held]
    for one in points:
        if not isinstance(one, Mapping):
            raise SettingError(f"{str(file)!r} holds what is no point", expected="named parameters", got=repr(one))
    return list(points)
