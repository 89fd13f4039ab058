"""What the README says is true: its Python runs, its commands exist, its folders are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "curves.png").is_file()
    assert (tmp_path / "best" / "model.py").is_file()
    import archgraph as ag

    again = ag.load_study("readme", "sqlite:///runs.db")
    assert again.trials[0].network == names["study"].trials[0].network  # type: ignore[attr-defined]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_folders_exist() -> None:
    for row in re.findall(r"^\| (`.*?`) \|", README, flags=re.MULTILINE):
        names = re.findall(r"`([^`]+)`", row)
        stem = names[0].rpartition("/")[0]
        for name in names:
            path = ROOT / (name if "/" in name or not stem else f"{stem}/{name}")
            assert path.is_dir(), path


def test_commands_are_known() -> None:
    from archgraph.cli.main import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    used = set(re.findall(r"^ {4}archgraph ([a-z]+)", README, flags=re.MULTILINE))
    assert used and used <= known
