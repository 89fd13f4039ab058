"""Opening Optuna storages, with errors a person can act on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archgraph.errors import ArchGraphError, StorageError, UnknownName
from archgraph.storage.address import DRIVERS, EXAMPLE, Address, masked
from archgraph.storage.journal import open_journal

ARTIFACTS_VARIABLE = "ARCHGRAPH_ARTIFACTS"
"""Environment variable that names the folder of artifacts of storages that are no files."""

PATIENCE = 10
"""Seconds to wait for a server to answer, whole ones."""

RACES = 5
"""How often a storage that several processes make at once is tried."""

TROUBLES: tuple[tuple[str, str, str], ...] = (
    ("database is locked", "another program holds it", "wait until it is done, or add ?timeout=60 to the URL"),
    (
        "readonly|read-only|permission denied",
        "it cannot be written",
        "file and folder must be yours to write; what is stored is safe",
    ),
    (
        "disk is full|no space left|file too large|disk i/o error|disk quota",
        "the disk is full or fails",
        "free some space and carry on; what was stored before is safe",
    ),
    (
        "not a database|malformed|invalid log format",
        "it is not a database of studies, or it is damaged",
        "name another file, or put back a copy of this one",
    ),
    (
        "is a directory|unable to open database file|no such file",
        "there is no such file, and none can be made",
        f"{EXAMPLE}, in a folder that exists and can be written",
    ),
    (
        "no such (column|table)|has no column|(relation|column) .* does not exist",
        "it is a database of something else",
        "name another one",
    ),
    (
        "refused|could not translate|name or service|no route|timeout expired|timed out|can't connect|"
        "password authentication|does not exist|closed the connection|connection is lost|connection failed",
        "the server cannot be reached, or does not let us in",
        "check host, port, user, password and name of the database in the URL",
    ),
)
"""What storages say (a pattern), what it means, and the way out."""


def open_storage(url: str | None) -> Any:
    """Return the Optuna storage behind a URL; None is memory.

    Args:
        url: None; ``sqlite:///runs.db``; ``journal:///runs.journal``, a file that suits network disks; or a database on
            a server, ``postgresql://user:password@host/name`` or ``mysql://...``. Four slashes begin an absolute path.

    Raises:
        StorageError: when it cannot be opened.
    """
    import optuna

    place = Address.parse(url)
    if place.kind == "memory":
        return optuna.storages.InMemoryStorage()
    settings: dict[str, Any] = {}
    if place.kind in DRIVERS:
        settings = {"pool_pre_ping": True}  # a connection that the server has closed is made anew
        if "connect_timeout" not in str(place.url):
            settings["connect_args"] = {"connect_timeout": PATIENCE}
    with quiet(), reported(url):
        if place.kind == "journal":
            assert place.path is not None
            return open_journal(place.path)
        storage = _together(lambda: optuna.storages.RDBStorage(str(place.url), engine_kwargs=settings))
        weakref.finalize(storage, storage.engine.dispose)  # connections are closed when nobody has the storage any more
        return storage


def _together(make: Any) -> Any:
    """Make something that another process may be making too: its tables are then there at the next try."""
    from sqlalchemy.exc import SQLAlchemyError

    for attempt in range(1, RACES + 1):
        try:
            return make()
        except (SQLAlchemyError, AssertionError, RuntimeError) as error:
            if attempt == RACES or not re.search("already exists|duplicate|UNIQUE constraint", str(error)):
                raise
            time.sleep(0.1 * attempt)
    raise AssertionError("the last attempt returns or raises")


def artifact_folder(url: str | None) -> Path | None:
    """Return the folder in which the artifacts of a storage lie by default: ``runs.db.artifacts`` beside ``runs.db``.

    For servers it is what the environment variable ``ARCHGRAPH_ARTIFACTS`` names.

    Raises:
        StorageError: when the storage is no file and no folder is named.
    """
    place = Address.parse(url)
    if place.path is not None:
        return place.path.with_name(f"{place.path.name}.artifacts")
    if place.kind not in DRIVERS:
        return None
    named = os.environ.get(ARTIFACTS_VARIABLE)
    if not named:
        raise StorageError(
            f"where do the artifacts of {masked(url)!r} go?",
            expected="a folder that all processes of the study can write",
            hint=f"name a folder with artifacts=, --artifacts DIR, or the environment variable {ARTIFACTS_VARIABLE}",
        )
    return Path(named)


def open_study(url: str | None, storage: Any, name: str, *, new: Mapping[str, str] | None = None) -> Any:
    """Return an Optuna study by name.

    Args:
        url: of the storage, for errors.
        storage: the storage.
        name: of the study.
        new: the objectives, each with its direction, ``"min"`` or ``"max"``, of the study made when there is none.

    Raises:
        StorageError: when the storage fails.
        UnknownName: when there is no such study, and none is to be made.
    """
    import optuna

    with quiet(), reported(url):
        known = optuna.get_all_study_names(storage)
        if name not in known and new is None:
            raise UnknownName.among("study", name, known)
        if name not in known and new is not None:
            low, high = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
            ways = [high if way == "max" else low for way in new.values()]
            with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):  # another process was faster
                made = optuna.create_study(study_name=name, storage=storage, directions=ways)
                if len(ways) > 1:
                    _name_metrics(made, list(new))
                return made
        return optuna.load_study(study_name=name, storage=storage)


def directions(study: Any) -> list[str]:
    """Return the directions of an Optuna study's objectives: ``"min"`` or ``"max"``."""
    return [way.name.lower()[:3] for way in study.directions]


def _name_metrics(study: Any, names: Sequence[str]) -> None:
    """Tell Optuna what its objectives are called, as its dashboard and plots show them."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(names))


@contextlib.contextmanager
def reported(url: str | None) -> Iterator[None]:
    """Turn what storages raise into :class:`StorageError`, in words that say what to do."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ArchGraphError:
        raise
    except (
        *(SQLAlchemyError, OptunaError, OSError, ImportError, AssertionError, RuntimeError, json.JSONDecodeError),
    ) as error:
        cause = error.__cause__ if isinstance(error, OptunaError) and error.__cause__ is not None else error
        text = str(getattr(cause, "orig", None) or cause)
        if isinstance(cause, json.JSONDecodeError):
            text = f"malformed line: {text}"
        reason = next((line for line in text.splitlines() if line.strip()), type(cause).__name__)
        for pattern, meaning, way_out in TROUBLES:
            if re.search(pattern, text, re.IGNORECASE):
                raise StorageError(
                    f"the storage {masked(url)} cannot be used: {meaning}", got=reason, hint=way_out
                ) from error
        raise StorageError(
            f"the storage {masked(url)} cannot be used: {reason}",
            expected=f"{EXAMPLE} in a folder that exists and can be written",
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own log lines back, and its setting as it was."""
    import optuna

    level = optuna.logging.get_verbosity()
    if level == optuna.logging.ERROR:  # within another one: setting it empties the caches of all loggers
        yield
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
