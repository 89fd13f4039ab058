"""What is said of a storage before and after a command; a password is never said."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.cli.kept import check_new, check_storage, interrupted
from archgraph.errors import SettingError, StorageError
from archgraph.search import Study


def test_resuming_needs_a_storage() -> None:
    check_storage(None, resume=False, holds="the study")
    check_storage("sqlite:///runs.db", resume=True, holds="the study")
    with pytest.raises(SettingError, match="--resume needs the --storage that holds the comparison"):
        check_storage(None, resume=True, holds="the comparison")


def test_a_storage_of_no_kind() -> None:
    with pytest.raises(StorageError, match="ftp://host/runs"):
        check_storage("ftp://host/runs", resume=False, holds="the study")


def test_studies_that_are_there_already(tmp_path: Path) -> None:
    storage = f"journal:///{tmp_path}/runs"
    check_new(["a"], None, None)
    check_new(["a"], storage, None)
    assert not (tmp_path / "runs").exists()  # a look makes none
    Study("b", storage)
    with pytest.raises(SettingError, match=r"study 'b' is in journal:///.* already, with 0 trials") as caught:
        check_new(["a", "b"], storage, None, what="the comparison")
    assert caught.value.hint == "--resume to carry on with the comparison, or --name for another one"


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (None, "interrupted; without --storage nothing is kept\n"),
        (
            "postgresql://ada:pw@host/x",
            "interrupted; what finished is stored in postgresql://ada:***@host/x; carry on with --resume\n",
        ),
    ],
    ids=["none", "server"],
)
def test_interrupted(storage: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert interrupted(storage).exit_code == 130
    assert capsys.readouterr().err == said
