"""What commands work on: a graph file, a folder with a network, or a trial of a study."""

from __future__ import annotations

from pathlib import Path

from archgraph.errors import ArchGraphError, DataError, SettingError, StorageError
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.net.network import GRAPH_FILE
from archgraph.search import Study, Trial, load_study

BEST = "best"


def read_graph(path: str | Path) -> Graph:
    """Read a ``.graph`` file, or the one in a folder that ``Network.save`` wrote.

    Raises:
        StorageError: when it cannot be read.
        ParseError: when the text is malformed, with file, line and column.
        GraphError: when the graph is not valid.
    """
    place = Path(path)
    place = place / GRAPH_FILE if place.is_dir() else place
    try:
        text = place.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot read a graph from {place}: {error.strerror or error}",
            expected="a .graph file, or a folder with one",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not a text", expected="a .graph file", got=str(error)) from error
    try:
        return Graph.parse(text)
    except ArchGraphError as error:
        raise type(error)(
            f"{place}: {error.what}", expected=error.expected, got=error.got, hint=error.hint, place=error.place
        ) from None


def read_network(folder: str | Path) -> Network:
    """Read a network from a folder that ``Network.save`` wrote.

    Raises:
        ArchGraphError: when a file is missing, malformed or cut short.
    """
    read_graph(folder)  # names the file in its errors
    return Network.load(folder)


def open_study(name: str, storage: str, artifacts: str | None = None) -> Study:
    """Open a study that exists.

    Raises:
        StorageError: when the storage cannot be used; a database file is not made.
        UnknownName: when it holds no such study.
    """
    return load_study(name, storage, artifacts=artifacts)


def pick(study: Study, which: str) -> Trial:
    """Return a trial by its number, or the best one.

    Raises:
        SettingError: when it is neither.
    """
    if which == BEST:
        return study.best
    numbers = {str(trial.number): trial for trial in study.trials}
    if which not in numbers:
        known = f"{min(map(int, numbers))} to {max(map(int, numbers))}" if numbers else "no trial is there yet"
        raise SettingError(f"study {study.name!r} has no trial {which!r}", expected=f"{BEST}, or {known}")
    return numbers[which]
