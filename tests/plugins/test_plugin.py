"""A plug-in package, installed by its metadata alone: its op, move, driver and task are found by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENTRY_POINTS = """
[archgraph.ops]
Snake = archgraph_snake:Snake

[archgraph.moves]
Charm = archgraph_snake:Charm

[archgraph.drivers]
train-charmed = archgraph_snake:TrainCharmed

[archgraph.tasks]
waves = archgraph_snake:waves
"""
COMMAND = ("-c", "from archgraph.cli.main import main; main()")
GRAPH = """
x = Input((7,))
a = Linear(5)(x)
s = SiLU()(a)
h = Snake(a=0.5)(s)
o = Linear(2)(h)
return o
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an installer leaves it: the module, and beside it the metadata with its entry points."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "archgraph_snake.py", folder)
    metadata = folder / "archgraph_snake-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: archgraph-snake\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "h.graph").write_text(GRAPH)
    return folder


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with the folder on its path."""
    path = os.pathsep.join([str(site), str(HERE.parents[1])])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, timeout=300)


def python(site: Path, code: str) -> str:
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_text_is_read_before_anyone_imports_the_plug_in(site: Path) -> None:
    code = """
import sys, archgraph as ag
from pathlib import Path
assert "archgraph_snake" not in sys.modules
text = Path("h.graph").read_text().strip()
graph = ag.Graph.parse(text)
assert str(graph).strip() == text and type(graph.op("h")).__module__ == "archgraph_snake"
net = ag.Network.init(graph)
net.save("saved")
assert ag.Network.load("saved") == net
print(repr(graph.op("h")))
"""
    assert python(site, code) == "Snake(a=0.5)\n"


@pytest.mark.slow
def test_a_move_is_read_before_anyone_imports_the_plug_in(site: Path) -> None:
    code = """
import sys, archgraph as ag
assert "archgraph_snake" not in sys.modules
move = ag.moves.parse("Charm('s')")
graph = ag.Graph.parse(open("h.graph").read())
print(move.apply(graph).node("s"), list(type(move).sites(graph)))
print(ag.moves.parse("SwapOp('s', op=Snake(a=2.0))").apply(graph).node("s"))
"""
    assert python(site, code) == "s = Snake()(a) [Charm('s')]\ns = Snake(a=2.0)(a)\n"


@pytest.mark.slow
def test_the_conformance_checks_pass(site: Path) -> None:
    code = """
import archgraph as ag
from archgraph.registry import MOVES, OPS
from archgraph.testing import check_move, check_op
check_op(OPS.get("Snake")(a=0.5), (5,))
check_op(OPS.get("Snake")(), (4, 7, 9))
network = ag.Network.init(ag.Graph.parse(open("h.graph").read()))
check_move(MOVES.get("Charm")("s"), network)
check_move(MOVES.get("Calm")("h"), network)
check_move(ag.moves.Widen("a", 3), network)
check_move(ag.moves.InsertLayer("s", activation=OPS.get("Snake")(2.0)), network)
"""
    assert python(site, code) == ""


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        pytest.param(
            *("ops", "Snake", "z + sin(a z)^2 / a of arXiv 2006.08195, for signals that repeat themselves."),
            marks=pytest.mark.slow,
        ),
        pytest.param("moves", "Charm", "Put a snake in the place of a swish.", marks=pytest.mark.slow),
        ("drivers", "train-charmed", "Train a graph as it is, then with its swishes charmed one after the other."),
        pytest.param(
            *("tasks", "waves", "Make the task: tell a sine from a cosine, sampled at seven points with noise."),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_command_line_lists_it(site: Path, kind: str, name: str, sentence: str) -> None:
    done = run(site, *COMMAND, "list", kind)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if name in line.split())
    assert sentence in line


def test_without_the_metadata_nothing_is_found(site: Path, tmp_path: Path) -> None:
    shutil.copy(site / "h.graph", tmp_path)
    done = run(tmp_path, "-c", "import archgraph as ag; ag.Graph.parse(open('h.graph').read())")
    assert done.returncode == 1 and "unknown op 'Snake'" in done.stderr


@pytest.mark.slow
def test_its_driver_searches_its_task_from_the_command_line(site: Path) -> None:
    options = ("--driver", "train-charmed", "--graph", "h.graph", "--recipe", "epochs=1", "--out", "out")
    done = run(site, *COMMAND, "search", "waves", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no swish is left" in done.stdout + done.stderr


@pytest.mark.slow
def test_its_driver_searches_its_task_from_python(site: Path) -> None:
    code = """
import archgraph as ag
from archgraph.registry import DRIVERS
driver = DRIVERS.get("train-charmed")(ag.Graph.parse(open("h.graph").read()))
study = ag.search(driver, task="waves", recipe=ag.Recipe(epochs=1), seed=0)
print([str(trial.graph.op("s")) if hasattr(trial, "graph") else "?" for trial in study.trials], study.best is not None)
"""
    assert python(site, code).endswith("True\n")
