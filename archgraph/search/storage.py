"""Opening Optuna storages, with errors a person can act on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archgraph.errors import StorageError, UnknownName


def open_storage(url: str | None) -> Any:
    """Return the Optuna storage behind a URL; None is memory.

    Args:
        url: None, or a SQLAlchemy URL such as ``sqlite:///runs.db``.

    Raises:
        StorageError: when it cannot be opened.
    """
    import optuna

    if url is None:
        return optuna.storages.InMemoryStorage()
    if "://" not in url:
        raise StorageError(f"{url!r} is no storage URL", expected="for example sqlite:///runs.db")
    with quiet(), reported(url):
        return optuna.storages.RDBStorage(url)


def artifact_folder(url: str | None) -> Path | None:
    """Return the folder beside a storage in which its artifacts lie: ``runs.db.artifacts`` beside ``runs.db``.

    Raises:
        StorageError: when the storage is no file.
    """
    if url is None:
        return None
    scheme, _, place = url.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        name = place.removeprefix("/").partition("?")[0]
        return Path(f"{name}.artifacts") if name not in ("", ":memory:") else None
    raise StorageError(f"where do the artifacts of {masked(url)!r} go?", hint="name a folder with artifacts=")


def masked(url: str | None) -> str:
    """Return a URL for people, without its password.

    >>> masked("postgresql://ada:secret@host/runs"), masked(None)
    ('postgresql://ada:***@host/runs', 'memory')
    """
    return "memory" if url is None else re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def open_study(url: str | None, storage: Any, name: str, *, create: bool, maximize: bool = False) -> Any:
    """Return an Optuna study by name.

    Raises:
        StorageError: when the storage fails.
        UnknownName: when ``create`` is False and there is no such study.
    """
    import optuna

    direction = optuna.study.StudyDirection.MAXIMIZE if maximize else optuna.study.StudyDirection.MINIMIZE
    with quiet(), reported(url):
        known = optuna.get_all_study_names(storage)
        if name in known:
            return optuna.load_study(study_name=name, storage=storage)
        if not create:
            raise UnknownName.among("study", name, known)
        return optuna.create_study(study_name=name, storage=storage, direction=direction)


@contextlib.contextmanager
def reported(url: str | None) -> Iterator[None]:
    """Turn what storages raise into :class:`StorageError`."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OptunaError, OSError, ImportError, AssertionError, RuntimeError) as error:
        if isinstance(error, StorageError):
            raise
        cause = error.__cause__ if isinstance(error, OptunaError) and error.__cause__ is not None else error
        text = str(getattr(cause, "orig", None) or cause)
        reason = next(iter(text.splitlines()), type(cause).__name__)
        raise StorageError(
            f"the storage {masked(url)} cannot be used: {reason}",
            expected="for example sqlite:///runs.db in a folder that exists and can be written",
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own log lines back, and its setting as it was."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
