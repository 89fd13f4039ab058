"""The folder of ``--out`` is tried before anything long begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.cli.folder import check_writable
from archgraph.errors import StorageError


def test_folders_are_made_and_left_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "out", "best", "worst")
    assert sorted(one.name for one in (tmp_path / "a" / "out").iterdir()) == ["best", "worst"]
    assert not list((tmp_path / "a" / "out" / "best").iterdir())
    check_writable(tmp_path / "a" / "out")


@pytest.mark.parametrize("blocked", ["out", "out/best"])
def test_a_file_in_the_way(blocked: str, tmp_path: Path) -> None:
    (tmp_path / blocked).parent.mkdir(exist_ok=True)
    (tmp_path / blocked).write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write to the output folder .*out: File exists") as caught:
        check_writable(tmp_path / "out", "best")
    assert caught.value.hint == "choose another --out"
