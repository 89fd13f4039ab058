"""Storages that open, and errors for those that do not."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from archgraph.errors import StorageError, UnknownName
from archgraph.search.storage import artifact_folder, masked, open_storage, open_study, quiet, reported


def test_memory_and_files_open(tmp_path: Path) -> None:
    assert isinstance(open_storage(None), optuna.storages.InMemoryStorage)
    storage = open_storage(f"sqlite:///{tmp_path}/runs.db")
    open_study(None, storage, "one", create=True)
    again = open_storage(f"sqlite:///{tmp_path}/runs.db")
    assert optuna.get_all_study_names(again) == ["one"]
    open_storage("sqlite:///:memory:")


def _below_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("no folder")
    return f"sqlite:///{tmp_path}/file/runs.db"


def _no_database(tmp_path: Path) -> str:
    (tmp_path / "runs.db").write_text("this is no database, not at all " * 20)
    return f"sqlite:///{tmp_path}/runs.db"


def _another_database(tmp_path: Path) -> str:
    import sqlite3

    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("CREATE TABLE studies (colour TEXT)")
    connection.close()
    return f"sqlite:///{tmp_path}/runs.db"


BROKEN = {
    "no URL": lambda path: "runs.db",
    "unknown scheme": lambda path: "sqlight:///runs.db",
    "no folder": lambda path: f"sqlite:///{path}/no/such/runs.db",
    "a folder": lambda path: f"sqlite:///{path}",
    "below a file": _below_a_file,
    "no database": _no_database,
    "nonsense": lambda path: "://",
}


@pytest.mark.parametrize("url", BROKEN.values(), ids=BROKEN)
def test_storages_that_do_not_open(url, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StorageError, match="storage") as caught:
        open_storage(url(tmp_path))
    assert "expected: for example sqlite:///runs.db" in str(caught.value)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    url = _another_database(tmp_path)
    with pytest.raises(StorageError, match="storage"):
        open_study(url, open_storage(url), "one", create=True)


def test_passwords_are_not_shown() -> None:
    url = "postgresql://ada:secret@host/runs"
    with pytest.raises(StorageError, match=r"ada:\*\*\*@host") as caught, reported(url):
        raise OSError("no route")
    assert "secret" not in str(caught.value)
    with pytest.raises(StorageError) as asked:
        artifact_folder(url)
    assert "secret" not in str(asked.value)
    assert masked("sqlite:////tmp/a:b@c.db") == "sqlite:////tmp/a:b@c.db"


def test_what_is_no_trouble_of_the_storage_passes_through() -> None:
    with pytest.raises(UnknownName), reported(None):
        raise UnknownName("unknown study")
    own = StorageError("already said")
    with pytest.raises(StorageError) as caught, reported(None):
        raise own
    assert caught.value is own


@pytest.mark.parametrize("error", [OSError(), AssertionError(), optuna.exceptions.StorageInternalError("lost")])
def test_errors_without_words_are_named(error: Exception) -> None:
    with pytest.raises(StorageError, match=type(error).__name__ if not str(error) else "lost"), reported("sqlite://"):
        raise error


FOLDERS: dict[str, tuple[str | None, str | None]] = {
    "memory": (None, None),
    "memory by URL": ("sqlite://", None),
    "memory by its name": ("sqlite:///:memory:", None),
    "empty": ("sqlite:///", None),
    "relative": ("sqlite:///runs.db", "runs.db.artifacts"),
    "absolute": ("sqlite:////data/runs.db", "/data/runs.db.artifacts"),
    "with a driver and options": ("sqlite+pysqlite:////data/runs.db?timeout=20", "/data/runs.db.artifacts"),
}


@pytest.mark.parametrize(("url", "folder"), FOLDERS.values(), ids=FOLDERS)
def test_artifacts_lie_beside_the_storage(url: str | None, folder: str | None) -> None:
    assert artifact_folder(url) == (None if folder is None else Path(folder))


def test_servers_need_a_folder_for_artifacts() -> None:
    with pytest.raises(StorageError, match="name a folder with artifacts="):
        artifact_folder("mysql://host/runs")


def test_an_unknown_study_is_named_with_its_neighbour() -> None:
    storage = open_storage(None)
    open_study(None, storage, "demo", create=True)
    assert open_study(None, storage, "demo", create=True).study_name == "demo"
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        open_study(None, storage, "dem", create=False)


def test_directions() -> None:
    storage = open_storage(None)
    assert open_study(None, storage, "low", create=True).direction.name == "MINIMIZE"
    assert open_study(None, storage, "high", create=True, maximize=True).direction.name == "MAXIMIZE"


def test_optuna_keeps_its_verbosity(capfd: pytest.CaptureFixture[str]) -> None:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        open_study(None, open_storage(None), "quiet", create=True)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
        with pytest.raises(ZeroDivisionError), quiet():
            assert 1 / 0
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(level)
    assert "created" not in capfd.readouterr().err
