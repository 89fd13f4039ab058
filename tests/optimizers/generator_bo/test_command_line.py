"""Bayesian optimisation of the hierarchical generator from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.search import load_study
from tests.cli.running import run

SMALL = ("params=12000", "head=16", "N_t=(3,4)", "N_m=(1,2)", "N_b=(3,4)", "initial=3")
SEARCH = ("search", "digits", "--driver", "generator-bo", "--recipe", "epochs=1", "--device", "cpu", "--set")
SPACE = ("space=hierarchical", *SMALL)


@pytest.mark.slow
def test_several_objectives_and_constraints(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.db'}"
    aims = ("--objective", "error,macs", "--constraint", "macs<=120000", "params<=1e6")
    stored = ("--storage", url, "--name", "one", "--budget", "evaluations=5")
    ran = run(*SEARCH, *SPACE, "lookahead=2", *aims, *stored)
    assert ran.code == 0, ran.err
    study = load_study("one", url)
    assert len(study) == 5
    assert all(trial.feasible and trial.metrics["macs"] <= 120_000 for trial in study)
    said = " ".join(ran.out.split())
    assert "the budget is spent: 5 of 5 evaluations; best expectation of val.error, " in said
    assert "what mattered, by length: " in said
    assert f"best: trial {study.best.number}, lowest val error" in said
    again = run(*SEARCH, *SPACE, f"start={url}#one", "--budget", "evaluations=1", *stored[:2], "--name", "two")
    assert again.code == 0, again.err
    assert load_study("two", url).trials[0].values == study.best.values


def test_a_constraint_that_nothing_keeps_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimizers.proposing.session.PATIENCE", 5)
    ran = run(*SEARCH, *SPACE, "--constraint", "macs<=300", "--budget", "evaluations=5")
    assert ran.code == 2
    assert "no point of the space was found that may be trained" in ran.err
    assert "5 break macs<=300.0 (the nearest by " in " ".join(ran.err.split())
    assert "N_t=" in ran.err
