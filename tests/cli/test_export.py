"""A network is exported from a study and from a folder, to the same bits."""

from __future__ import annotations

from pathlib import Path

import torch

from archgraph.export import state_dict
from archgraph.search import Trial, load_study
from tests.cli.conftest import Demo
from tests.cli.running import run


def test_the_best_trial_by_default(demo: Demo, tmp_path: Path) -> None:
    ran = run("export", demo.study, "--storage", demo.storage, "--out", tmp_path / "o")
    assert ran.code == 0, ran.err
    assert f"wrote {tmp_path / 'o/model.py'}" in ran.out
    assert "bit for bit in a fresh process without archgraph" in ran.out
    assert (tmp_path / "o/model.py").read_text() == (demo.folder / "best/model.py").read_text()
    same(tmp_path / "o/weights.pt", load_study(demo.study, demo.storage).best)


def test_a_trial_by_number_as_a_state_dict(demo: Demo, tmp_path: Path) -> None:
    at = ("--storage", demo.storage, "--trial", "0", "--formats", "state-dict")
    assert run("export", demo.study, *at, "--out", tmp_path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]
    same(tmp_path / "weights.pt", load_study(demo.study, demo.storage).trials[0])


def test_a_folder(demo: Demo, tmp_path: Path) -> None:
    assert run("export", demo.folder / "best", "--out", tmp_path, "--formats", "state-dict").code == 0
    same(tmp_path / "weights.pt", load_study(demo.study, demo.storage).best)


def same(file: Path, trial: Trial) -> None:
    wanted, found = state_dict(trial.network), torch.load(file, weights_only=True)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
