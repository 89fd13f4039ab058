"""A search from the command line: what it prints, what it writes, how it carries on, and how it is interrupted."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from archgraph.cli.drivers import driver_kind, ends
from archgraph.net import Network
from archgraph.search import load_study
from archgraph.tasks import find
from tests.cli.conftest import TINY, Demo
from tests.cli.running import run

PLAIN = """
import sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archgraph", "optimizers"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OutOfReach())
sys.path.insert(0, sys.argv[1])
import torch
from model import load

x, y = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    right = int((load()(x).argmax(dim=1) == y).sum())
try:
    import archgraph
except ModuleNotFoundError:
    print(right)
"""


def rows(demo: Demo, driver: str) -> list[dict[str, str]]:
    with open(demo.folder / "stages.csv", encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["driver"] == driver]


def test_the_exported_model_has_the_reported_test_accuracy_where_archgraph_is_not(demo: Demo, tmp_path: Path) -> None:
    best = load_study(demo.study, demo.storage).best
    reported = float(rows(demo, "splitting")[best.number]["test.accuracy"])
    test = find("digits", seed=0).splits["test"]
    torch.save((test.x, test.y), tmp_path / "test.pt")
    command = [sys.executable, "-I", "-B", "-c", PLAIN, str(demo.folder / "best"), str(tmp_path / "test.pt")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) / len(test) == reported
    assert f"test accuracy {reported:.4f}" in demo.ran.out
    assert 0.2 < reported < 1.0


def test_all_files_are_written_and_named(demo: Demo) -> None:
    for name in ("best/model.py", "best/graph.graph", "best/graph.svg", "stages.csv", "growth.png"):
        assert (demo.folder / name).stat().st_size > 100
        assert str(demo.folder / name) in demo.ran.out
    assert (demo.folder / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert (demo.folder / "best/graph.svg").read_text().startswith("<svg")
    assert Network.load(demo.folder / "best") == load_study(demo.study, demo.storage).best.network
    assert "from model import load" in demo.ran.out


def test_the_stages_are_those_of_the_study(demo: Demo) -> None:
    for driver, study in (("splitting", "demo"), ("random-splitting", "demo-control")):
        trials, written = load_study(study, demo.storage).trials, rows(demo, driver)
        assert len(written) == len(trials) == 2
        for trial, row in zip(trials, written, strict=True):
            assert int(row["params"]) == trial.metrics["params"]
            assert float(row["val.accuracy"]) == trial.metrics["val.accuracy"]
            assert row["predicted"] == ("" if trial.predicted is None else repr(trial.predicted))
    grown = rows(demo, "splitting")[1]
    assert float(grown["ratio"]) == float(grown["measured"]) / float(grown["predicted"])


def test_the_table_has_what_was_promised(demo: Demo) -> None:
    for word in (
        "stage",
        "units",
        "params",
        "MACs",
        "val",
        "test",
        "accuracy",
        "predicted",
        "measured",
        "gain",
        "ratio",
    ):
        assert word in demo.ran.out
    assert "stopped: all 1 stages are done" in demo.ran.out
    assert "random-splitting: study demo-control" in demo.ran.out


def test_a_line_is_printed_for_every_trial(demo: Demo) -> None:
    lines = [line for line in demo.ran.err.splitlines() if line.startswith("trial")]
    assert len(lines) == 4
    assert all("params" in line and "val error" in line for line in lines)
    assert "\x1b" not in demo.ran.err + demo.ran.out  # no colours where there is no terminal


def test_settings_reach_the_driver(demo: Demo) -> None:
    first, second = load_study(demo.study, demo.storage).trials
    assert (len(first.curve), len(second.curve)) == (2, 1)  # --recipe epochs=2, --tune epochs=1
    assert "lr=0.02" in second.facts["recipe"]  # what --tune does not name is as in --recipe
    assert second.metrics["units"] - first.metrics["units"] == round(0.3 * first.metrics["units"])
    assert first.parent is None
    assert second.parent == 0


def test_drivers_never_see_the_test_split(demo: Demo) -> None:
    for study in ("demo", "demo-control"):
        for trial in load_study(study, demo.storage).trials:
            assert not any(name.startswith("test") for name in trial.metrics)


@pytest.mark.parametrize(
    ("driver", "settings", "ended"),
    [
        ("random-search", {"candidates": "30"}, True),
        ("random-search", {"candidates": "None"}, False),
        ("successive-halving", {"inner": "random-search", "candidates": "30"}, True),
        ("splitting", {"stages": "9"}, True),
        ("splitting", {"growth": "0.5"}, False),
        ("grow-best", {"candidates": "30"}, False),  # and what it grows, as often as it helps
        ("grow-best", {"candidates": "30", "stages": "2"}, True),
        ("continual", {"rounds": "3"}, False),
    ],
)
def test_settings_that_end_a_search(driver: str, settings: dict[str, str], ended: bool) -> None:
    assert ends(driver_kind(driver), settings) == ended


def test_candidates_are_all_trained_where_no_budget_is_given() -> None:
    command = ("search", "toy-rbf", "--driver", "random-search", "--recipe", "epochs=0", "--set", "replicates=2")
    ran = run(*command, "candidates=10")
    assert ran.code == 0
    assert "stopped: all 10 candidates are trained" in ran.out
    ran = run(*command)
    assert "stopped: the budget is spent: 8 of 8 evaluations" in ran.out


def test_a_search_is_resumed_where_it_ended(tmp_path: Path) -> None:
    stored = (*TINY, "--storage", f"sqlite:///{tmp_path / 'r.db'}", "--name", "one", "--budget")
    cut = run(*stored, "evaluations=1")
    assert cut.code == 0
    assert "the budget is spent: 1 of 1 evaluations" in cut.out
    refused = run(*stored, "evaluations=2")
    assert refused.code == 2
    assert "--resume" in refused.err
    assert "--name" in refused.err
    resumed = run(*stored, "evaluations=2", "--resume")
    assert "1 trainings are known" in resumed.err
    assert len([line for line in resumed.err.splitlines() if line.startswith("trial")]) == 1
    through = run(*TINY, "--budget", "evaluations=2", "--name", "one")
    assert resumed.out == through.out


def test_resuming_another_search_is_refused(demo: Demo, tmp_path: Path) -> None:
    stored = ("--storage", demo.storage, "--name", demo.study, "--resume")
    (tmp_path / "other.graph").write_text(
        "image = Input((1, 8, 8))\nrow = Flatten()(image)\nout = Linear(10)(row)\nreturn out\n"
    )
    for changed, what in (
        (("--recipe", "epochs=3"), "recipe"),
        (("--seed", "1"), "seed"),
        (("--graph", tmp_path / "other.graph"), "graph"),
    ):
        arguments = [*TINY, *stored, *changed] if "--recipe" not in changed else [*TINY[:4], *stored, *changed]
        refused = run(*arguments)
        assert refused.code == 2
        assert f"begun with another {what}" in refused.err
    assert len(load_study(demo.study, demo.storage)) == 2


@pytest.mark.slow
def test_other_drivers_tasks_and_graphs(tmp_path: Path) -> None:
    (tmp_path / "own.graph").write_text(
        "pair = Input((2,))\nhidden = Linear(3, bias=False)(pair)\nbump = Gaussian()(hidden)\n"
        "sum = Linear(1, bias=False)(bump)\nreturn sum\n"
    )
    ran = run(
        *("search", "toy-rbf", "--driver", "random-search", "--graph", tmp_path / "own.graph", "--out", tmp_path / "o"),
        *("--recipe", "epochs=1", "--budget", "evaluations=3", "--seed", "5"),
    )
    assert ran.code == 0, ran.err
    assert "test loss" in ran.out
    assert "hidden = Linear(" in (tmp_path / "o/best/graph.graph").read_text()
    assert "random-search-toy-rbf-5" in ran.out


def test_a_search_without_success_is_an_error(tmp_path: Path) -> None:
    ran = run(*TINY, "--budget", "max_params=7", "--out", tmp_path / "o")
    assert ran.code == 2
    assert "max_params is 7 but the candidate has" in ran.err
    assert "no successful trial" in ran.err
    assert not (tmp_path / "o/best/model.py").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
def test_an_interruption_keeps_what_finished(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'i.db'}"
    arguments = ("search", "toy-rbf", "--driver", "splitting", "--recipe", "epochs=1", "--tune", "epochs=100000")
    command = [sys.executable, "-c", "from archgraph.cli.main import main; main()", *arguments]
    with subprocess.Popen(
        [*command, "--storage", storage, "--name", "cut"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial  0"):
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what finished is stored" in said
    assert "Traceback" not in said
    assert len(load_study("cut", storage)) == 1
