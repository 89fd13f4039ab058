"""A graph of nodes: masks, samples, moving it, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph.errors import DataError
from archgraph.tasks import NodeGraph


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
