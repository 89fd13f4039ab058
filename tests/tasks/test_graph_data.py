"""Data sets of graphs: tiny ones written by hand through PyTorch Geometric's classes, damage, and the real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archgraph.errors import DataError, SettingError
from archgraph.tasks import NodeGraph, Task, find

real_data = pytest.mark.skipif("ARCHGRAPH_DATA" not in os.environ, reason="needs ARCHGRAPH_DATA, a folder of data sets")
LINKS = np.array([[0, 1], [1, 0], [1, 2], [3, 3], [5, 4], [2, 5]])  # one in both directions, one loop
BOTH = {(0, 1), (1, 0), (1, 2), (2, 1), (5, 4), (4, 5), (2, 5), (5, 2)}
NODES, WORDS = 6, 4
X = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1]], np.float32)
Y = np.array([0, 1, 2, 3, 4, 0])
MINES = np.array([1, 1, 0, 0, 0, 0])


def masks(index: int) -> dict[str, np.ndarray]:
    """The masks of a split: node ``index`` for training, two for validation, two for testing."""
    return {
        name: np.isin(np.arange(NODES), [(index + place) % NODES for place in places])
        for name, places in (("train", [0]), ("val", [1, 4]), ("test", [2, 3]))
    }


def lay_arrays(folder: Path, name: str, **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    split = [masks(number) for number in range(10)]
    arrays = {"node_features": X, "node_labels": Y, "edges": LINKS}
    arrays |= {f"{part}_masks": np.stack([one[part] for one in split]) for part in ("train", "val", "test")}
    np.savez(folder / f"{name}.npz", **(arrays | changes))


def lay_pages(folder: Path, stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if stem == "film":
        words = [",".join(map(str, np.flatnonzero(row))) or "0" for row in X]
    else:
        words = [",".join(f"{value:g}" for value in row) for row in X]
    lines = [f"{number}\t{text}\t{label}" for number, (text, label) in enumerate(zip(words, Y, strict=True))]
    (folder / "out1_node_feature_label.txt").write_text("node\tfeature\tlabel\n" + "\n".join(lines) + "\n")
    pairs = "\n".join(f"{one}\t{other}" for one, other in LINKS)
    (folder / "out1_graph_edges.txt").write_text(f"node\tnode\n{pairs}\n")
    for number in range(10):
        own = {f"{name}_mask": mask for name, mask in masks(number).items()}
        np.savez(folder / f"{stem}_split_0.6_0.2_{number}.npz", **own)


def lay_matrices(folder: Path, file: str) -> None:
    import scipy.sparse

    folder.mkdir(parents=True, exist_ok=True)
    adjacency = scipy.sparse.csr_matrix((np.ones(len(LINKS)), tuple(LINKS.T)), (NODES, NODES))
    parts = {"labels": Y}
    for name, matrix in (("adj", adjacency), ("attr", scipy.sparse.csr_matrix(X))):
        parts |= {f"{name}_{key}": getattr(matrix, key) for key in ("data", "indices", "indptr")}
        parts[f"{name}_shape"] = np.array(matrix.shape)
    np.savez(folder / file, **parts)


LAID = {
    "texas": lambda root: lay_pages(root / "webkb/texas/raw", "texas"),
    "actor": lambda root: lay_pages(root / "actor/raw", "film"),
    "cornell": lambda root: lay_arrays(root / "heterophilous", "cornell"),
    "chameleon-filtered": lambda root: lay_arrays(root / "heterophilous", "chameleon_filtered"),
    "squirrel-filtered": lambda root: lay_arrays(root / "heterophilous/data", "squirrel_filtered"),
    "minesweeper": lambda root: lay_arrays(root / "minesweeper/raw", "minesweeper", node_labels=MINES),
    "amazon-photo": lambda root: lay_matrices(root / "Amazon/Photo/raw", "amazon_electronics_photo.npz"),
    "amazon-computers": lambda root: lay_matrices(root / "Computers/raw", "amazon_electronics_computers.npz"),
    "coauthor-cs": lambda root: lay_matrices(root / "coauthor/CS/raw", "ms_academic_cs.npz"),
}


def contents(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.parametrize("name", LAID)
def test_nodes_links_and_splits(name: str, cache: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    LAID[name](root)
    before = contents(root)
    if name.startswith(("amazon", "coauthor")):
        with pytest.raises(DataError, match=r"split 'test' of task .* is empty"):  # one node of a class, or two
            find(name, data_root=root)
        assert contents(root) == before
        return
    task = find(f"{name}:split=3", data_root=root)
    graph = task.graph
    assert isinstance(graph, NodeGraph) and contents(root) == before  # nothing was written there
    assert {(a, b) for a, b in graph.edge_index.T.tolist()} == BOTH and graph.edge_index.shape[1] == len(BOTH)
    assert {part: rows.tolist() for part, rows in graph.rows.items()} == {"train": [3], "val": [1, 4], "test": [0, 5]}
    assert graph.y.tolist() == (MINES if name == "minesweeper" else Y).tolist()
    wanted = torch.from_numpy(X).clone()
    if name == "actor":
        wanted[2, 0] = 1.0  # its file has no empty row
    if name in ("texas", "actor"):
        wanted /= wanted.sum(1, keepdim=True).clamp(min=1e-9)
    assert torch.allclose(graph.x, wanted)
    with pytest.raises(SettingError, match="0 to 9"):
        find(f"{name}:split=10", data_root=root)


def test_drawn_splits_keep_their_test_nodes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archgraph.tasks.node_splits.TRAINED", 1)
    monkeypatch.setattr("archgraph.tasks.node_splits.VALIDATED", 1)
    monkeypatch.setitem(globals(), "Y", np.array([0, 0, 0, 1, 1, 1]))
    LAID["amazon-photo"](tmp_path)
    tasks = [find("amazon-photo", data_root=tmp_path, seed=seed) for seed in (0, 1, 2)]
    tests = [task.graph.rows["test"].tolist() for task in tasks if task.graph is not None]
    for node, words in enumerate(X):
        wanted = (words / max(1.0, float((words**2).sum()) ** 0.5)).tolist()
        assert all(task.graph is not None and task.graph.x[node].tolist() == pytest.approx(wanted) for task in tasks)
    assert len(tests) == 3 and tests[0] == tests[1] == tests[2] and [len(one) for one in tests] == [2, 2, 2]


DAMAGE = {
    "texas": ("webkb/texas/raw/out1_graph_edges.txt", b"node\tnode\n0\tsix\n"),
    "actor": ("actor/raw/film_split_0.6_0.2_4.npz", b"PK cut short"),
    "cornell": ("heterophilous/cornell.npz", b"no archive"),
    "minesweeper": ("minesweeper/raw/minesweeper.npz", b""),
    "coauthor-cs": ("coauthor/CS/raw/ms_academic_cs.npz", b"PK"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_named(name: str, cache: Path, tmp_path: Path) -> None:
    LAID[name](tmp_path)
    path, content = DAMAGE[name]
    (tmp_path / path).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as found:
        find(name, data_root=tmp_path)
    assert str((tmp_path / path).parent) in str(found.value)


def test_missing_files_are_told_with_where_they_are_published(cache: Path, tmp_path: Path) -> None:
    LAID["texas"](tmp_path)
    os.remove(tmp_path / "webkb/texas/raw/texas_split_0.6_0.2_7.npz")
    with pytest.raises(DataError, match=r"has no texas_split_0.6_0.2_7.npz"):
        find("texas", data_root=tmp_path, download=False)
    with pytest.raises(DataError, match=r"amazon_electronics_photo\.npz(.|\n)*published at https://github.com/shchur"):
        find("amazon-photo", data_root=tmp_path)


# ---------------------------------------------------------------------- graphs as samples
def lay_graphs(folder: Path, name: str, graphs: int = 20, measured: int = 0) -> None:
    """Rings of three and four nodes in turn, of one class each; nodes have two labels."""
    folder.mkdir(parents=True, exist_ok=True)
    edges, members, labels, attributes, first = [], [], [], [], 1
    for number in range(graphs):
        size = 3 + number % 2
        edges += [f"{first + k}, {first + (k + 1) % size}" for k in range(size)]
        members += [str(number + 1)] * size
        labels += [str(k % 2) for k in range(size)]
        attributes += [", ".join(str(float(number + k + column)) for column in range(measured)) for k in range(size)]
        first += size
    files = {"A": edges, "graph_indicator": members, "node_labels": labels}
    files["graph_labels"] = [str(1 if number % 2 else -1) for number in range(graphs)]
    files |= {"node_attributes": attributes} if measured else {}
    for part, lines in files.items():
        (folder / f"{name}_{part}.txt").write_text("\n".join(lines) + "\n")


def graph_of(task: Task, number: int) -> tuple[Any, ...]:
    assert task.graphs is not None
    return task.graphs.batch(torch.tensor([number]))


def test_graphs_and_folds(cache: Path, tmp_path: Path) -> None:
    lay_graphs(tmp_path / "tudataset/MUTAG/raw", "MUTAG")
    before = contents(tmp_path)
    tasks = [find(f"mutag:fold={fold}", data_root=tmp_path) for fold in range(10)]
    assert contents(tmp_path) == before
    tested = torch.cat([task.graphs.rows["test"] for task in tasks if task.graphs is not None])
    assert torch.equal(tested.sort().values, torch.arange(20))
    for task in tasks:
        assert [len(task.splits[name]) for name in ("train", "val", "test")] == [16, 2, 2]
        assert sorted(task.splits["test"].y.tolist()) == [0, 1]  # in proportion
    x, edges, membership = graph_of(tasks[0], 1)
    assert x.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]] and membership.tolist() == [0] * 4
    assert {(a, b) for a, b in edges.T.tolist()} == {(0, 1), (1, 2), (2, 3), (3, 0)}
    assert "graphs of 3.5 nodes" in tasks[0].describe()
    one, other = (find("mutag", data_root=tmp_path, seed=seed) for seed in (0, 1))
    assert one.graphs is not None and other.graphs is not None
    assert torch.equal(one.graphs.rows["test"], other.graphs.rows["test"])
    assert not torch.equal(one.graphs.rows["val"], other.graphs.rows["val"])
    with pytest.raises(SettingError, match="0 to 9"):
        find("mutag:fold=10", data_root=tmp_path)


def test_attributes_are_scaled_by_the_graphs_for_training(cache: Path, tmp_path: Path) -> None:
    lay_graphs(tmp_path / "TUDataset/ENZYMES/raw", "ENZYMES", measured=18)
    plain, task = (find(f"enzymes:{more}", data_root=tmp_path) for more in ("fold=2", "fold=2,attributes=True"))
    assert plain.input_shape == (2,) and task.input_shape == (20,) and task.graphs is not None
    known = torch.isin(task.graphs.membership, task.graphs.rows["train"])
    own = task.graphs.x[known][:, :18].double()
    assert own.mean(0).abs().max() < 1e-6 and (own.std(0) - 1).abs().max() < 1e-6


def test_the_club_needs_no_files(cache: Path) -> None:
    task = find("karate")
    graph = task.graph
    assert graph is not None and graph.edge_weight is not None
    assert (len(graph), graph.edge_index.shape[1], [len(task.splits[name]) for name in task.splits]) == (
        34,
        156,
        [2, 12, 20],
    )
    assert graph.y[[0, 33]].tolist() == [0, 1] and int(graph.y.sum()) == 17
    pairs = {(a, b): w for (a, b), w in zip(graph.edge_index.T.tolist(), graph.edge_weight.tolist(), strict=True)}
    assert pairs[0, 1] == pairs[1, 0] == 4.0 and all(pairs[b, a] == weight for (a, b), weight in pairs.items())


REAL = {
    "texas": (183, 1703, [87, 59, 37]),
    "cornell": (183, 1703, [87, 59, 37]),
    "actor": (7600, 932, [3648, 2432, 1520]),
    "minesweeper": (10000, 7, [5000, 2500, 2500]),
    "chameleon-filtered": (890, 2325, [409, 287, 194]),
    "amazon-photo": (7650, 745, [160, 240, 7250]),
    "mutag": (3371, 7, [150, 19, 19]),
    "proteins": (43471, 3, [891, 111, 111]),
}


@real_data
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_real_ones(name: str) -> None:
    task = find(name)
    whole = task.graph or task.graphs
    assert whole is not None
    assert (len(whole.x), whole.x.shape[1], [len(task.splits[part]) for part in task.splits]) == REAL[name]
