"""``archgraph learn``: what it prints and writes, how it carries on, killed at any moment, and wrong input."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import archgraph as ag
from archgraph.continual import Course, Library
from archgraph.net import Network
from archgraph.tasks import find_sequence
from optimizers import Continual
from tests.cli.running import Ran, run

GRAPH = """
x = Input((1, 8, 8))
v = Flatten()(x)
a = Linear(2)(v)
f = SiLU()(a)
b = Linear(2)(f)
g = SiLU()(b)
y = Linear(2)(g)
return y
"""
SETTINGS = ("target=accuracy>=0.9", "rounds=2", "added=1")
LIFE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from archgraph.cli.main import main
main(sys.argv[1:])
"""
OWN: dict[str, Any] = {"target": "accuracy>=0.9", "rounds": 2, "added": 1}


class Learned(NamedTuple):
    """A run with everything written down."""

    ran: Ran
    folder: Path
    words: tuple[str, ...]


def words(place: Path) -> tuple[str, ...]:
    graph = place / "trunk.graph"
    graph.write_text(GRAPH)
    recipe = ("--recipe", "epochs=3", "lr=0.02", "--device", "cpu")
    return ("learn", "split-digits", "--graph", str(graph), "--set", *SETTINGS, *recipe)


def learned(**settings: Any) -> Course:
    recipe = ag.Recipe(epochs=3, lr=0.02)
    return ag.learn(Continual(ag.Graph.parse(GRAPH), **OWN), "split-digits", recipe=recipe, device="cpu", **settings)


@pytest.fixture(scope="module")
def course() -> Course:
    return learned()


def test_what_is_learned_is_printed(course: Course, tmp_path: Path) -> None:
    ran = run(*words(tmp_path))
    assert ran.code == 0, ran.err
    for number, study in enumerate(course.studies, start=1):
        assert f"task {number} of 5, split-digits#{number}: {study.stopped}" in ran.err
        assert f"{course.tests[-1][number - 1]['accuracy']:.4f}" in ran.out
    assert f"test accuracy {course.average():.4f}, {course.params:,} params, forgetting 0.0000" in ran.out
    assert "the same bits as when learned: yes" in ran.out
    for name, why in course.unmet.items():
        assert f"{name}: {why}" in ran.out


@pytest.mark.slow
def test_every_task_is_written(course: Course, tmp_path: Path) -> None:
    ran = run(*words(tmp_path), "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    library = Library.load(tmp_path / "out" / "library")
    for number, network in enumerate(course.networks):
        assert library.network(number) == network == Network.load(tmp_path / "out" / f"task-{number + 1}")
        assert (tmp_path / "out" / f"task-{number + 1}" / "model.py").stat().st_size > 100
    with (tmp_path / "out" / "tasks.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["task"] for row in rows] == [task.name for task in find_sequence("split-digits")]
    assert sum(int(row["added"]) for row in rows) == course.params
    assert [row["target"] == "missed" for row in rows] == [f"split-digits#{n}" in course.unmet for n in range(1, 6)]


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_where_it_would_have(course: Course, tmp_path: Path) -> None:
    """Two lives of a run are ended by SIGKILL and SIGINT soon after their first training; the third goes to the end."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    stored = (*words(tmp_path), "--storage", url, "--name", "killed", "--resume")
    draws, ended = random.Random(5), []
    for number in (signal.SIGKILL, signal.SIGINT):
        log = tmp_path / number.name
        with log.open("wb") as opened:
            life = subprocess.Popen(
                [sys.executable, "-u", "-c", LIFE, *stored],
                stderr=opened,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            while life.poll() is None and b"\ntrial" not in log.read_bytes():
                time.sleep(0.01)
            time.sleep(draws.uniform(0.0, 0.1))
            life.send_signal(number)
        finally:
            ended.append(life.wait(timeout=100))
        if ended[-1] == 130:
            assert b"carry on with --resume" in log.read_bytes()
    assert ended[0] == -signal.SIGKILL and ended[1] in (130, 0)  # through before the second signal came
    before = [line for line in (tmp_path / "SIGKILL").read_text().splitlines() if line.startswith("trial")]
    ran = run(*stored)
    assert ran.code == 0 and before, ran.err
    assert f"test accuracy {course.average():.4f}, {course.params:,} params, forgetting 0.0000" in ran.out
    assert not set(before) & {line for line in ran.err.splitlines() if line.startswith("trial")}  # nothing done twice
    found = learned(storage=url, name="killed", callbacks=[lambda study, trial: pytest.fail("trained again")])
    assert found.networks == course.networks and found.library is not None and found.unchanged


def without_growth(place: Path) -> tuple[str, ...]:
    return tuple("rounds=0" if one == "rounds=2" else one for one in words(place))


def test_networks_apart(tmp_path: Path) -> None:
    ran = run(*without_growth(tmp_path), "--apart", "--budget", "evaluations=3")
    assert ran.code == 0, ran.err
    assert f"{5 * (64 * 2 + 2 + 2 * 2 + 2 + 2 * 2 + 2)} params" in ran.out  # nothing is shared


@pytest.mark.slow
def test_a_run_is_known_by_its_name(tmp_path: Path) -> None:
    stored = (*without_growth(tmp_path), "--storage", f"sqlite:///{tmp_path / 'r.db'}", "--name", "one")
    first = run(*stored)
    assert first.code == 0, first.err
    refused = run(*stored)
    assert refused.code == 2 and "study 'one-1-of-5' is in" in refused.err and "--resume" in refused.err
    again = run(*stored, "--resume")
    assert again.code == 0 and again.out == first.out
    assert not [line for line in again.err.splitlines() if line.startswith("trial")]  # nothing is trained again


CASES = [
    pytest.param(("learn", "split-digit"), ["unknown task sequence", "did you mean 'split-digits'"], id="sequence"),
    pytest.param(("learn", "split-digits:classes=3"), ["cannot be parted so", "2, 5, 10"], id="classes"),
    pytest.param(("learn", "split-digits", "--driver", "splitting"), ["does not learn one task after"], id="driver"),
    pytest.param(("learn", "split-digits", "--driver", "contnual"), ["did you mean 'continual'"], id="driver's name"),
    pytest.param(("learn", "split-digits", "--set", "rouds=3"), ["did you mean 'rounds'"], id="setting"),
    pytest.param(("learn", "split-digits", "--set", "target=good"), ["a constraint bounds a metric"], id="target"),
    pytest.param(("learn", "split-digits", "--set", "target=accuracy>=2"), ["never be missed or never"], id="bound"),
    pytest.param(("learn", "split-digits", "--set", "grower=fire"), ["unknown grower", "firefly"], id="grower"),
    pytest.param(("learn", "split-digits", "--budget", "evaluations=0"), ["evaluations", "positive"], id="budget"),
    pytest.param(("learn", "split-digits", "--budget", "max_params=3"), ["could be trained", "params"], id="no room"),
    pytest.param(("learn", "split-digits", "--recipe", "epoch=3"), ["did you mean 'epochs'"], id="recipe"),
    pytest.param(("learn", "split-digits", "--resume"), ["--resume needs the --storage"], id="resume"),
    pytest.param(("learn", "split-digits", "--device", "gpu"), ["unknown device 'gpu'"], id="device"),
    pytest.param(("learn", "split-digits", "--graph", "{tmp}/none.graph"), ["cannot read a graph"], id="no graph"),
    pytest.param(("learn", "split-digits", "--graph", "{tmp}/wide.graph"), ["Input((1, 8, 8))", "(9,)"], id="graph"),
    pytest.param(("learn", "split-digits", "--out", "{tmp}/wide.graph"), ["cannot write to the output"], id="out"),
    pytest.param(("learn", "split-mnist", "--data-root", "{tmp}/none"), ["{tmp}/none"], id="data"),
    pytest.param(("learn",), ["Missing argument", "SEQUENCE"], id="nothing"),
]


@pytest.mark.parametrize(("arguments", "said"), CASES)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], said: list[str], tmp_path: Path) -> None:
    (tmp_path / "wide.graph").write_text("x = Input((9,))\ny = Linear(2)(x)\nreturn y")
    ran = run(*(one.replace("{tmp}", str(tmp_path)) for one in arguments))
    assert ran.code == 2 and "Traceback" not in ran.err
    told = " ".join(ran.err.replace("│", " ").split())
    assert all(one.replace("{tmp}", str(tmp_path)) in told for one in said), ran.err
