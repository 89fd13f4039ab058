"""Text files: written whole, with their folders; errors name the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.errors import StorageError
from archgraph.report.text_file import write_csv, write_text


def test_a_text_and_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page.txt"
    assert write_text(path, "first – line\n") == path
    assert write_text(str(path), "zweite Zeile: größer\n") == path
    assert path.read_text(encoding="utf-8") == "zweite Zeile: größer\n"
    assert [one.name for one in path.parent.iterdir()] == ["page.txt"]  # nothing unfinished is left


def test_records_that_lack_some() -> None:
    with pytest.raises(ValueError, match="'c'"):  # a column that nobody named would be lost
        write_csv("never.csv", [{"a": 1, "c": 2}], ["a", "b"])
    assert not Path("never.csv").exists()


def test_a_table(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"name": "one, two", "loss": 0.1}, {"name": "three"}]
    path = write_csv(tmp_path / "table.csv", rows, ["name", "loss"])
    assert path.read_text() == 'name,loss\n"one, two",0.1\nthree,\n'


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*table\.csv: "):
        write_csv(tmp_path / "file" / "table.csv", [], ["a"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*folder: "):
        write_text(tmp_path / "folder", "a")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]
