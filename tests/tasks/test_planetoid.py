"""Citation graphs: a tiny one written by hand, its split and links by a slow rule, damage, and the real ones."""

from __future__ import annotations

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import archgraph as ag
from archgraph import ops
from archgraph.errors import DataError
from archgraph.evaluation import Evaluator
from archgraph.tasks import NodeGraph, find
from archgraph.tasks.citations import citeseer, cora
from archgraph.tasks.planetoid import published
from archgraph.tasks.seed import seed_graph
from tests.cli.running import run
from tests.tasks.tiny_files import Csr, Links, python2

KNOWN, TRAINED, TESTED, WORDS, CLASSES = 520, 12, 9, 11, 7
GAPS = (521, 526)
"""Numbers that the test index leaves out: nodes without features or label."""


def parts() -> dict[str, Any]:
    """What the files hold; test nodes come in another order than their numbers."""
    random = np.random.default_rng(3)
    last = [number for number in range(KNOWN, KNOWN + TESTED + len(GAPS)) if number not in GAPS]
    index = random.permutation(last).tolist()
    x = (random.random((KNOWN + TESTED, WORDS)) < 0.4).astype(np.float32)
    x[5] = 0
    y = np.eye(CLASSES, dtype=np.int32)[np.arange(KNOWN + TESTED) * 5 % CLASSES]
    nodes = KNOWN + TESTED + len(GAPS)
    links = {one: random.integers(0, nodes, 3).tolist() for one in range(nodes)}
    links[7] = [7, 8, 8, 9]  # a loop and a link twice
    return {
        "y": y[:TRAINED],
        "allx": x[:KNOWN],
        "ally": y[:KNOWN],
        "tx": x[KNOWN:],
        "ty": y[KNOWN:],
        "graph": links,
        "test.index": index,
    }


def lay(folder: Path, writer: str = "python2", name: str = "cora", **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in (parts() | {key.replace("_", "."): one for key, one in changes.items()}).items():
        path = folder / f"ind.{name}.{part}"
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif part == "test.index":
            path.write_text("".join(f"{number}\n" for number in value))
        elif writer == "python2":
            wrap: Any = {"allx": Csr, "tx": Csr, "graph": Links}.get(part, lambda one: one)
            path.write_bytes(python2(wrap(value)))
        else:
            wrap = {"allx": scipy.sparse.csr_matrix, "tx": scipy.sparse.csr_matrix}.get(part, lambda one: one)
            wrap = (lambda one: defaultdict(list, one)) if part == "graph" else wrap
            path.write_bytes(pickle.dumps(wrap(value), 4))
    return folder


def tiny(root: Path) -> NodeGraph:
    found = cora(data_root=root).graph
    assert found is not None
    return found


@pytest.mark.parametrize("writer", ["python2", "python3"])
def test_nodes_are_where_the_index_says(writer: str, cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "Cora/raw", writer)
    task, graph, data = cora(data_root=tmp_path), tiny(tmp_path), parts()
    nodes = KNOWN + TESTED + len(GAPS)
    assert graph.x.shape == (nodes, WORDS) and graph.x.dtype == torch.float32
    assert (
        task.describe()
        == f"cora: 12 train, 500 val, 9 test; input 11; 7 classes; cross-entropy; a graph of {nodes} nodes"
    )
    for node in range(nodes):
        if node in GAPS:
            words, label = np.zeros(WORDS), -1
        elif node < KNOWN:
            words, label = data["allx"][node], int(data["ally"][node].argmax())
        else:
            at = data["test.index"].index(node)
            words, label = data["tx"][at], int(data["ty"][at].argmax())
        expected = words / words.sum() if words.sum() else words
        assert graph.x[node].tolist() == pytest.approx(expected.tolist(), abs=1e-7)
        assert int(graph.y[node]) == label


def test_the_split_is_the_public_one(cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "Cora/raw")
    graph = tiny(tmp_path)
    assert graph.rows["train"].tolist() == list(range(12))
    assert graph.rows["val"].tolist() == list(range(12, 512))
    assert graph.rows["test"].tolist() == sorted(parts()["test.index"])
    task = cora(data_root=tmp_path)
    for name, split in task.splits.items():
        assert torch.equal(split.x, graph.x[graph.mask(name)]) and torch.equal(split.y, graph.y[graph.mask(name)])
    assert cora(data_root=tmp_path, seed=5) == task  # whatever the seed


def test_links_go_both_ways_once(cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "Cora/raw")
    expected = set()
    for one, others in parts()["graph"].items():
        for other in others:
            if one != other:
                expected |= {(one, other), (other, one)}
    found = tiny(tmp_path).edge_index
    assert found.dtype == torch.int64 and found.is_contiguous()
    assert list(map(tuple, found.T.tolist())) == sorted(expected)


@pytest.mark.parametrize(
    "folder", ["Cora/raw", "cora", "planetoid/Cora/raw", "Planetoid/Cora/raw", "planetoid/cora", "planetoid/data"]
)
def test_every_layout(folder: str, cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / folder)
    assert len(tiny(tmp_path)) == KNOWN + TESTED + len(GAPS)


def test_each_graph_has_files_of_its_own(cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "planetoid", name="citeseer")
    with pytest.raises(DataError, match=r"Cora is not here(.|\n)*ind.cora.allx"):
        cora(data_root=tmp_path, download=False)
    classes = np.eye(6, dtype=np.int32)[np.arange(KNOWN + TESTED) % 6]
    split = {"y": classes[:TRAINED], "ally": classes[:KNOWN], "ty": classes[KNOWN:]}
    lay(tmp_path / "planetoid", name="citeseer", **split)
    assert citeseer(data_root=tmp_path).outputs == 6


ONES = np.eye(CLASSES, dtype=np.int32)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "features": ({"allx": python2([1, 2])}, "ind.cora.allx cannot be read(.|\n)*a list"),
    "infinite": ({"allx": np.full((KNOWN, WORDS), np.inf, np.float32)}, "allx cannot be read(.|\n)*finite"),
    "sizes": ({"tx": np.ones((TESTED, WORDS + 1), np.float32)}, "ind.cora.tx cannot be read(.|\n)*one size"),
    "fewer": ({"ty": ONES[[1, 2]]}, "ind.cora.tx cannot be read"),
    "not one-hot": ({"ally": np.ones((KNOWN, CLASSES), np.int32)}, "ally cannot be read(.|\n)*a one in each row"),
    "other labels": ({"y": ONES[[6] * TRAINED]}, "ind.cora.y cannot be read"),
    "all labels": ({"y": ONES[np.arange(KNOWN) * 5 % CLASSES]}, "ind.cora.y cannot be read"),
    "index text": ({"test_index": b"520\nfive\n"}, "test.index cannot be read"),
    "index twice": ({"test_index": [520] * TESTED}, "test.index cannot be read"),
    "index low": ({"test_index": list(range(TESTED))}, "test.index cannot be read"),
    "index far": ({"test_index": [*range(520, 528), 10**9]}, "test.index cannot be read(.|\n)*node 1000000000"),
    "no index": ({"test_index": b""}, "test.index cannot be read"),
    "edges": ({"graph": {0: [9999]}}, "ind.cora.graph cannot be read(.|\n)*nodes 0 to 9999"),
    "edge type": ({"graph": python2([1])}, "ind.cora.graph cannot be read"),
    "code": ({"graph": b"cos\nsystem\n(S'true'\ntR."}, "ind.cora.graph cannot be read(.|\n)*os.system"),
    "cut": ({"allx": python2(Csr(parts()["allx"]))[:-99]}, "ind.cora.allx cannot be read"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_files_that_are_wrong_are_named(changes: dict[str, Any], message: str, cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "Cora/raw", **changes)
    with pytest.raises(DataError, match=message):
        cora(data_root=tmp_path)


def test_an_incomplete_folder_is_told(cache: Path, tmp_path: Path) -> None:
    (lay(tmp_path / "Cora/raw") / "ind.cora.tx").unlink()
    with pytest.raises(DataError, match=r"Cora/raw has no ind.cora.tx"):
        cora(data_root=tmp_path, download=False)


def test_a_search_from_the_seed_network(cache: Path, tmp_path: Path) -> None:
    lay(tmp_path / "Cora/raw")
    small = ("--recipe", "epochs=1", "--budget", "evaluations=2", "--device", "cpu", "--data-root", tmp_path)
    for driver in ("splitting", "random-search"):
        ran = run("search", "cora", "--driver", driver, *small)
        assert ran.code == 0, ran.err
    assert "gcnconv1 = GCNConv(16)(dropout1, edges1)" in str(seed_graph(cora(data_root=tmp_path)))


def test_hashes_are_known_for_every_file() -> None:
    for title in ("Cora", "CiteSeer", "PubMed"):
        one = published(title)
        assert {remote.file for remote in one.remotes} == {names[0] for names in one.forms[0].files.values()}
        assert all(remote.hash.startswith("sha256:") and len(remote.hash) == 71 for remote in one.remotes)
        assert one.home in one.forms[0].folders


# the real files

REAL = [("cora", 2708, 10556, 1433, 140, 7, 0), ("citeseer", 3327, 9104, 3703, 120, 6, 15)]


@pytest.mark.parametrize("real", REAL, ids=[real[0] for real in REAL])
def test_the_real_graphs(real: tuple[Any, ...], data_root: Path) -> None:
    name, nodes, edges, words, trained, classes, unknown = real
    task = find(name, data_root=data_root, download=False)
    graph = task.graph
    assert graph is not None
    assert (len(graph), graph.edge_index.shape[1], graph.x.shape[1]) == (nodes, edges, words)
    assert [len(split) for split in task.splits.values()] == [trained, 500, 1000]
    assert torch.bincount(task.splits["train"].y).tolist() == [20] * classes
    assert int((graph.y == -1).sum()) == unknown
    total = graph.x.sum(1)
    assert bool(((total - 1).abs() < 1e-5).logical_or(total == 0).all())


def test_linear_layers_learn_a_real_graph(data_root: Path) -> None:
    task = find("cora", data_root=data_root, download=False)
    graph = ag.chain(ops.Input(task.input_shape), ops.Linear(16), ops.ReLU(), ops.Linear(7))
    backend = Evaluator(task, device="cpu")
    report = backend.evaluate(ag.Train(graph, ag.Recipe(epochs=100, lr=0.02, batch_size=140, weight_decay=5e-3)))
    assert report.network is not None
    test = backend.evaluate(ag.Measure(report.network, "test")).metrics["test.accuracy"]
    assert 0.5 < test < 0.65  # 0.551 without links in arXiv 1609.02907
