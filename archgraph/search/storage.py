"""Opening Optuna storages, with errors a person can act on."""

from __future__ import annotations

import contextlib
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
    if url is None or url in ("sqlite://", "sqlite:///:memory:"):
        return None
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///").partition("?")[0])
        return path.with_name(path.name + ".artifacts")
    raise StorageError(f"where do the artifacts of {url!r} go?", hint="name a folder with artifacts=")


def open_study(url: str | None, storage: Any, name: str, *, create: bool, maximize: bool = False) -> Any:
    """Return an Optuna study by name.

    Raises:
        StorageError: when the storage fails.
        UnknownName: when ``create`` is False and there is no such study.
    """
    import optuna

    direction = optuna.study.StudyDirection.MAXIMIZE if maximize else optuna.study.StudyDirection.MINIMIZE
    with quiet(), reported(url):
        known = [study.study_name for study in optuna.get_all_study_summaries(storage, include_best_trial=False)]
        if name in known:
            return optuna.load_study(study_name=name, storage=storage)
        if not create:
            raise UnknownName.among("study", name, known)
        return optuna.create_study(study_name=name, storage=storage, direction=direction)


@contextlib.contextmanager
def reported(url: str | None) -> Iterator[None]:
    """Turn what storages raise into :class:`StorageError`."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OSError, ImportError, AssertionError, RuntimeError) as error:
        if isinstance(error, StorageError):
            raise
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StorageError(
            f"the storage {url} cannot be used: {reason}",
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
