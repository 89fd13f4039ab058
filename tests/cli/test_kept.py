"""What is said of a storage before and after a command; a password is never said."""

from __future__ import annotations

import pytest

from archgraph.cli.kept import check_storage, interrupted
from archgraph.errors import SettingError, StorageError


def test_resuming_needs_a_storage() -> None:
    check_storage(None, resume=False, holds="the study")
    check_storage("sqlite:///runs.db", resume=True, holds="the study")
    with pytest.raises(SettingError, match="--resume needs the --storage that holds the comparison"):
        check_storage(None, resume=True, holds="the comparison")


def test_a_storage_of_no_kind() -> None:
    with pytest.raises(StorageError, match="ftp://host/runs"):
        check_storage("ftp://host/runs", resume=False, holds="the study")


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
