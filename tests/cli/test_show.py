"""Graphs and studies are shown: every node, every trial, and drawings that are drawings."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.search import load_study
from tests.cli.conftest import Demo
from tests.cli.running import run


def test_a_graph_file_and_a_folder_are_shown_alike(demo: Demo) -> None:
    graph = load_study(demo.study, demo.storage).best.graph
    file, folder = run("show", demo.folder / "best/graph.graph"), run("show", demo.folder / "best")
    assert file.code == 0
    assert file.out == folder.out
    lines = file.out.splitlines()
    for node in graph:
        (line,) = (line for line in lines if line.startswith(f"{node.name} "))
        assert str(graph.shape(node.name)) in line
    assert f"{len(graph)} nodes" in file.out


def test_a_study_is_shown_as_its_trials(demo: Demo) -> None:
    ran = run("show", demo.study, "--storage", demo.storage)
    study = load_study(demo.study, demo.storage)
    assert ran.code == 0
    for trial in study.trials:
        assert f"{int(trial.metrics['params']):,}" in ran.out
        assert f"{int(trial.metrics['macs']):,}" in ran.out
    assert f"best:    trial {study.best.number} by val.error" in ran.out
    assert "stopped: all 1 stages are done" in ran.out


def test_one_trial_is_shown_and_drawn(demo: Demo, tmp_path: Path) -> None:
    trial = load_study(demo.study, demo.storage).trials[0]
    ran = run("show", demo.study, "--storage", demo.storage, "--trial", "0", "--svg", tmp_path / "zero.svg")
    assert ran.code == 0
    assert "trial 0 of demo" in ran.out
    assert f"{int(trial.metrics['params']):,}" in ran.out
    drawn = (tmp_path / "zero.svg").read_text()
    assert all(f">{node.name}<" in drawn for node in trial.graph)


def test_lines_fit_a_narrow_terminal(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for ran in (run("show", demo.study, "--storage", demo.storage), run("show", demo.folder / "best")):
        table = ran.out[ran.out.index("─") :]
        assert max(map(len, table.splitlines())) <= 80
        assert "…" not in ran.out
