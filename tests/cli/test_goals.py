"""Several objectives and constraints from the command line: options, tables, the best, the front, wrong input."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from archgraph.cli.goals import listed, read_conditions
from archgraph.errors import ArchGraphError
from archgraph.metrics import Conditions
from archgraph.search import load_study
from tests.cli.running import run

SHORT = ("search", "digits", "--driver", "random-search", "--recipe", "epochs=1", "--device", "cpu", "--budget")
AIMS = ("--objective", "error,memory", "--objective", "latency", "--metrics", "energy")
BOUNDS = ("--constraint", "params<=1000", "memory<=1e7", "--conditions", "batch_size=3", "repeats=2")


@pytest.mark.slow
def test_a_search_with_several_objectives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # how wide a latency is depends on the machine
    url = f"sqlite:///{tmp_path / 'r.db'}"
    stored = ("--storage", url, "--name", "one", "--out", tmp_path / "o")
    ran = run(*SHORT, "evaluations=4", *AIMS, *BOUNDS, *stored)
    assert ran.code == 0, ran.err
    study = load_study("one", url)
    goal = "min:val.error, min:memory, min:latency, params<=1000.0, memory<=10000000.0"
    assert str(study.goal) == goal
    assert study.facts["conditions"] == "batch_size=3, repeats=2"
    feasible = [trial.feasible for trial in study]
    assert any(feasible)
    best, front = study.best, study.pareto()
    said = ran.out.splitlines()
    (line,) = [one for one in said if one.startswith("best:")]
    first = f"trial {best.number}, lowest val error ({best.metrics['val.error']:.4g}), memory"
    assert first in line
    assert "test accuracy" in line
    (line,) = [one for one in said if one.startswith("front:")]
    assert f"trials {', '.join(str(trial.number) for trial in front)}, which no other beats" in line
    assert f"kept:    {sum(feasible)} of 4 networks keep params<=1000.0, memory<=10000000.0" in said
    for name in ("memory", "latency", "energy", "feasible"):
        assert name in ran.out
    with open(tmp_path / "o/stages.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, trial in zip(rows, study, strict=True):
        assert row["feasible"] == str(trial.feasible)
        assert all(float(row[name]) == trial.metrics[name] for name in ("memory", "energy", "latency-spread"))
    progress = [one for one in ran.err.splitlines() if one.startswith("trial")]
    for one, trial in zip(progress, study, strict=True):
        assert f"memory {trial.metrics['memory']:.4g}  latency {trial.metrics['latency']:.4g}" in one
        assert ("breaks params<=1000.0" in one) == (not trial.feasible)
    shown = run("show", "one", "--storage", url)
    assert shown.code == 0
    assert f"best:    trial {best.number} by val.error" in shown.out
    assert any(one.startswith("front:") for one in shown.out.splitlines())


def test_resuming_with_other_objectives_is_refused(tmp_path: Path) -> None:
    stored = (*SHORT, "evaluations=1", "--storage", f"sqlite:///{tmp_path / 'r.db'}", "--name", "one")
    assert run(*stored, "--objective", "error,memory", "--constraint", "memory<=1e7").code == 0
    for changed, message in (
        (("--objective", "error"), "another objective"),
        (("--objective", "error,memory"), "another constraint"),
        (("--objective", "error,memory", "--constraint", "memory<=1e7", "--metrics", "energy"), "other metrics"),
        (("--objective", "max:error,memory", "--constraint", "memory<=1e7"), "another objective"),
    ):
        refused = run(*stored, *changed, "--resume")
        assert (refused.code, message in refused.err) == (2, True), refused.err
    again = run(*stored, "--objective", "error,memory", "--constraint", "memory<=1e7", "--resume")
    assert again.code == 0, again.err
    assert "1 trainings are known" in again.err


def test_a_search_in_which_nothing_keeps_the_constraints(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.db'}"
    stored = ("--storage", url, "--name", "one", "--out", tmp_path / "o")
    ran = run(*SHORT, "evaluations=2", "--constraint", "params<=7", *stored)
    assert ran.code == 2  # nothing is trained that is known beforehand to break a constraint
    assert "refused" in ran.err and "params<=7.0" in ran.err
    assert "best:" not in ran.out
    assert "best so far" not in ran.err


def test_the_highest_is_the_best_where_more_is_better() -> None:
    ran = run(*SHORT, "evaluations=2", "--objective", "max:params")
    assert ran.code == 0, ran.err
    sizes = [int(line.split()[2].replace(",", "")) for line in ran.err.splitlines() if line.startswith("trial")]
    assert f"best:    trial {sizes.index(max(sizes))}, highest params ({max(sizes):.4g})" in ran.out
    assert "front:" not in ran.out


WRONG = {
    "an unknown objective": (("--objective", "erorr"), "did you mean 'error'"),
    "no objective": (("--objective", "error,"), "unknown metric ''"),
    "the same twice": (("--objective", "error,val.error"), "each once"),
    "a direction": (("--objective", "up:error"), "unknown direction"),
    "no bound": (("--constraint", "params"), "a constraint bounds a metric"),
    "a bound on nothing": (("--constraint", "parms<=5"), "did you mean 'params'"),
    "an unknown metric": (("--metrics", "memori"), "did you mean 'memory'"),
    "an unknown condition": (("--metrics", "memory", "--conditions", "batch=5"), "did you mean 'batch_size'"),
    "a condition": (("--metrics", "memory", "--conditions", "batch_size=0"), "at least 1"),
    "a device": (("--metrics", "latency", "--conditions", "device=cuda"), "--device cuda"),
    "the test split": (("--objective", "test.error"), r"unknown objective 'test.error'"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input(given: tuple[str, ...], message: str, tmp_path: Path) -> None:
    ran = run(*SHORT, "evaluations=1", *given, "--storage", f"sqlite:///{tmp_path / 'r.db'}")
    assert (ran.code, message in ran.err) == (2, True), ran.err
    assert "Traceback" not in ran.err
    assert not list(tmp_path.iterdir())


def test_options_as_values() -> None:
    assert listed(["a, b", "c"]) == ["a", "b", "c"]
    assert listed(None) == []
    assert read_conditions({"batch_size": "5", "dtype": "float64"}) == Conditions(batch_size=5, dtype="float64")
    with pytest.raises(ArchGraphError):
        read_conditions({"batch_size": "many"})
