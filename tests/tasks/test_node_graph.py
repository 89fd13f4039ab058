"""A graph of nodes: masks, samples, moving it, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph.errors import DataError, UnknownName
from archgraph.evaluation.measurement import measure
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.ops.graph_layer import geometric
from archgraph.search.wanted import wanted
from archgraph.tasks import NodeGraph, Task


def parts(**changes: Any) -> NodeGraph:
    """Seven nodes with three features; node 6 has no label."""
    given = {
        "x": torch.arange(21.0).reshape(7, 3),
        "y": torch.tensor([0, 1, 1, 0, 2, 2, -1]),
        "edge_index": torch.tensor([[0, 1, 5, 6], [1, 0, 6, 5]]),
        "rows": {"train": torch.tensor([1, 0]), "val": torch.tensor([4]), "test": torch.tensor([5, 2, 3])},
    }
    return NodeGraph(**{**given, **changes})


def rows(**changes: Any) -> dict[str, Any]:
    return {**parts().rows, **changes}


def test_masks_and_samples_tell_the_same() -> None:
    graph = parts()
    assert repr(graph) == "<NodeGraph 7 nodes, 4 edges, 3 features>"
    assert graph.mask("test").tolist() == [False, False, True, True, False, True, False]
    for name, split in graph.splits().items():
        assert sorted(split.x[:, 0].tolist()) == graph.x[graph.mask(name)][:, 0].tolist()
    assert graph.splits()["train"].y.tolist() == [1, 0]  # in the order of the rows
    assert graph.splits()["test"].x[0].tolist() == [15, 16, 17]


def test_it_moves_as_a_whole() -> None:
    here = parts()
    there = here.to("cpu")
    assert len(list(there.tensors())) == 6
    assert all(one is other for one, other in zip(here.tensors(), there.tensors(), strict=True))  # shared


@pytest.mark.gpu
def test_it_moves_to_a_gpu_as_a_whole() -> None:
    here = parts()
    there = here.to("cuda")
    assert all(tensor.is_cuda for tensor in there.tensors())
    assert there.mask("val").is_cuda and torch.equal(there.mask("val").cpu(), here.mask("val"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.tensor(1.0)}, "features"),
        ({"x": torch.zeros(7, 3).numpy()}, r"features(.|\n)*a tensor(.|\n)*ndarray"),
        ({"x": torch.zeros(7)}, "features"),
        ({"x": torch.zeros(7, 3, dtype=torch.int64)}, "features"),
        ({"y": torch.zeros(6).long()}, r"labels(.|\n)*\[7\] int64(.|\n)*\[6\] int64"),
        ({"y": torch.zeros(7)}, "labels"),
        ({"edge_index": torch.zeros(4, 2).long()}, r"edges(.|\n)*\[2, E\]"),
        ({"edge_index": torch.tensor([[0, 7], [1, 1]])}, "edges(.|\n)*0 to 6(.|\n)*0 to 7"),
        ({"edge_index": torch.tensor([[0, -1], [1, 1]])}, "edges(.|\n)*-1 to 1"),
        ({"rows": {"train": torch.tensor([0])}}, "splits(.|\n)*train, val, test"),
        ({"rows": rows(val=torch.tensor([9]))}, "rows of split 'val'"),
        ({"rows": rows(val=torch.tensor([True]))}, "rows of split 'val'(.|\n)*int64"),
        ({"rows": rows(val=torch.tensor([6]))}, "rows of split 'val'(.|\n)*1 without"),
        ({"rows": rows(val=torch.tensor([5]))}, "in one split at most"),
    ],
    ids=[
        "number",
        "array",
        "x",
        "x type",
        "y",
        "y type",
        "edges",
        "edge",
        "negative",
        "splits",
        "row",
        "mask",
        "unlabelled",
        "twice",
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parts(**changes)


NONE = {f"{name}_mask": torch.zeros(0, dtype=torch.bool) for name in ("train", "val", "test")} | {
    "edge_index": torch.zeros(2, 0, dtype=torch.int64)
}


def data(**changed: Any) -> Any:
    geometric()  # imports it without its warnings
    from torch_geometric.data import Data

    masks = {f"{name}_mask": torch.arange(7) % 3 == place for place, name in enumerate(("train", "val", "test"))}
    x, y = torch.linspace(0, 1, 35).reshape(7, 5), torch.arange(7) % 2
    return Data(**({"x": x, "y": y, "edge_index": torch.tensor([[0, 1, 2], [3, 4, 6]])} | masks | changed))


def test_a_graph_of_pytorch_geometric_becomes_a_task() -> None:
    task = Task.from_graph("mine", data(edge_weight=torch.tensor([1.0, 2.0, 0.5])))
    assert task.graph is not None and (task.outputs, task.input_shape) == (2, (5,))
    assert {name: rows.tolist() for name, rows in task.graph.rows.items()} == {
        "train": [0, 3, 6],
        "val": [1, 4],
        "test": [2, 5],
    }
    assert task.graph.edge_weight is not None and task.graph.edge_weight.tolist() == [1.0, 2.0, 0.5]
    two = torch.stack([torch.arange(7) % 3 == 0, torch.arange(7) == 6], dim=1)
    assert Task.from_graph("second", data(train_mask=two), split=1).graph.rows["train"].tolist() == [6]  # type: ignore[union-attr]
    assert torch.equal(
        Task.from_graph("column", data(y=torch.arange(7)[:, None] % 2)).splits["val"].y, task.splits["val"].y
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": None, "val_mask": None}, "no y, val_mask"),
        ({"test_mask": torch.arange(7)}, r"test_mask(.|\n)*\[7\] or \[7, splits\] bool(.|\n)*int64"),
        ({"test_mask": [True] * 7}, "test_mask(.|\n)*list"),
        ({"val_mask": torch.tensor([False, True])}, r"val_mask(.|\n)*\[7\](.|\n)*\[2\] bool"),
        ({"val_mask": torch.arange(9) == 1}, r"val_mask(.|\n)*\[9\] bool"),
        ({"train_mask": torch.zeros(7, dtype=torch.bool)}, "'train' .* is empty"),
        ({"val_mask": torch.zeros(7, dtype=torch.bool)}, "'val' .* is empty"),
        ({"test_mask": torch.zeros(7, dtype=torch.bool)}, "'test' .* is empty"),
        ({"train_mask": torch.ones(7, dtype=torch.bool)}, "twice"),
        ({"edge_index": torch.tensor([[0], [7]])}, "nodes 0 to 6"),
        ({"edge_index": torch.tensor([[0, -1], [3, 2]])}, "nodes 0 to 6(.|\n)*-1 to 3"),
        ({"edge_index": torch.tensor([[0.0], [1.0]])}, r"edges(.|\n)*\[2, E\] int64(.|\n)*float32"),
        ({"edge_index": torch.tensor([[0], [1]], dtype=torch.int32)}, "edges(.|\n)*int64(.|\n)*int32"),
        ({"edge_index": torch.tensor([[0, 1], [3, 4], [5, 6]])}, r"edges(.|\n)*\[3, 2\]"),
        ({"x": torch.full((7, 5), float("nan"))}, "NaN"),
        ({"x": torch.zeros(7, 0)}, r"features(.|\n)*\[7, 0\]"),
        ({"x": torch.zeros(7, 5, dtype=torch.int64)}, "features(.|\n)*floating point"),
        ({"x": torch.eye(7).to_sparse()}, r"features(.|\n)*to_dense\(\)(.|\n)*sparse_coo"),
        ({"y": torch.arange(5) % 2}, r"labels(.|\n)*\[7\] int64(.|\n)*\[5\]"),
        ({"y": torch.rand(7)}, r"labels(.|\n)*int64(.|\n)*float32"),
        ({"y": torch.eye(7)}, r"labels(.|\n)*\[7, 7\]"),
        ({"y": torch.tensor([0, -2, 1, 0, 1, 0, 1])}, "labels of split 'val'(.|\n)*-2 to 1"),
        ({"edge_weight": torch.ones(2)}, r"weights of edges(.|\n)*\[3\](.|\n)*\[2\]"),
        ({"edge_weight": torch.tensor([1.0, float("nan"), 1.0])}, "weights of edges(.|\n)*NaN"),
        ({"edge_weight": [1.0, 2.0, 0.5]}, "weights of edges(.|\n)*a tensor(.|\n)*list"),
        ({"x": torch.zeros(0, 5), "y": torch.zeros(0).long()} | NONE, r"features(.|\n)*\[0, 5\]"),
    ],
)
def test_a_graph_that_cannot_be_used(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Task.from_graph("mine", data(**changed))


def test_a_second_split_that_is_not_there() -> None:
    with pytest.raises(DataError, match="split 2"):
        Task.from_graph("mine", data(train_mask=torch.ones(7, 2, dtype=torch.bool)), split=2)


def test_the_area_under_the_curve_can_be_an_objective() -> None:
    task = Task.from_graph("mine", data(), metrics=["roc-auc"])
    assert task.loss.metrics[-1] == "roc-auc" and task.key != Task.from_graph("mine", data()).key
    goal, measured = wanted(task, "roc-auc")
    assert [(one.name, one.direction) for one in goal.objectives] == [("val.roc-auc", "max")] and measured == ()
    with pytest.raises(UnknownName):
        wanted(Task.from_graph("mine", data()), "roc-auc")
    network = Network.init(Graph.parse("x = Input((5,))\nl = Linear(2)(x)\nreturn l"))
    assert measure(network, "roc-auc", task=task)["roc-auc"] in (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": torch.arange(7) % 3}, "two classes(.|\n)*3"),
        ({"y": torch.tensor([0, 1, 0, 1, 1, 1, 0])}, "roc-auc of split 'val'(.|\n)*both classes"),
    ],
)
def test_there_is_no_area_under_the_curve_of_one_class_or_three(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Task.from_graph("mine", data(**changed), metrics=["roc-auc"])
