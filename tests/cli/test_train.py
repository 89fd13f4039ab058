"""``archgraph train``: one network on a task, what is told of it, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgraph.evaluation import measure
from archgraph.net import Network
from archgraph.tasks import find
from tests.cli.running import run

GCN = "x = Input((34,))\ne = Edges(5)\nh = GCNConv(4)(x, e)\na = ReLU()(h)\ny = GCNConv(2)(a, e)\nreturn y\n"
FINE = ("--recipe", "epochs=30", "lr=0.05", "keep=best", "--device", "cpu")


@pytest.fixture
def gcn(tmp_path: Path) -> Path:
    path = tmp_path / "gcn.graph"
    path.write_text(GCN)
    return path


def on_test(out: str) -> list[str]:
    """The row of the table that is about the test split."""
    return next(line.split() for line in out.splitlines() if line.split()[:1] == ["test"])


@pytest.mark.slow
def test_a_graph_network_is_trained_and_taken_away(gcn: Path, tmp_path: Path) -> None:
    ran = run("train", "karate", "--graph", gcn, "--optimizer", "adam", *FINE, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "karate: 2 train, 12 val, 20 test" in ran.out and "150 parameters" in ran.out  # 34*4 + 4 + 4*2 + 2
    assert "adam, 30 epochs" in ran.out and "equal bit for bit" in ran.out
    assert "epoch 30/30" in ran.err
    network = Network.load(tmp_path / "out")
    assert all(path.is_file() for path in (tmp_path / "out").iterdir())
    page = (tmp_path / "out" / "model.py").read_text()
    assert "import torch_geometric.nn as gnn" in page and "archgraph" not in page
    more = run("train", "karate", "--graph", tmp_path / "out", "--recipe", "epochs=0", "--device", "cpu")
    assert more.code == 0, more.err  # trained on from its weights, not at all
    assert on_test(more.out) == on_test(ran.out)
    task = find("karate")
    assert f"{measure(network, task, 'test')['accuracy']:.4f}" == on_test(ran.out)[-1]


def test_without_a_graph_the_seed_network_is_trained_by_the_natural_gradient() -> None:
    ran = run("train", "karate", "--optimizer", "natural-gradient", "--recipe", "epochs=5", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "natural-gradient, 5 epochs" in ran.out


WRONG = {
    "another task": (("mutag", "--data-root", "/nowhere"), ["no such folder"]),
    "an optimizer twice": (("karate", "--optimizer", "adam", "--recipe", "optimizer=sgd"), ["two optimizers"]),
    "an unknown optimizer": (("karate", "--optimizer", "adamm"), ["adamm", "adam"]),
    "an unknown task": (("karatee",), ["karatee", "karate"]),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_trained_is_a_sentence(arguments: tuple[str, ...], said: list[str]) -> None:
    ran = run("train", *arguments)
    assert ran.code == 2 and "Traceback" not in ran.err
    assert all(word in ran.err for word in said), ran.err


def test_a_graph_of_another_task_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.graph"
    path.write_text(GCN.replace("34", "35"))
    ran = run("train", "karate", "--graph", path)
    assert ran.code == 2 and "does not take the inputs of task 'karate'" in ran.err
