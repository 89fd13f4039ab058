"""Graphs as samples: batches by indexing against a slow loop, means of nodes, and what is no set of graphs."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.tasks import GraphSet

SIZES = (3, 1, 4, 2)
EDGES = torch.tensor([[5, 0, 9, 1, 4, 4, 0], [7, 1, 8, 2, 4, 5, 0]])  # graph 1 has none, and they are in no order
ROWS = {"train": torch.tensor([2, 0]), "val": torch.tensor([3]), "test": torch.tensor([1])}


def some(**changes: Any) -> GraphSet:
    membership = torch.tensor([number for number, size in enumerate(SIZES) for _ in range(size)])
    parts: dict[str, Any] = {
        "x": torch.randn(10, 5, generator=torch.Generator().manual_seed(1)),
        "y": torch.tensor([0, 1, 1, 2]),
        "edge_index": EDGES,
        "membership": membership,
        "rows": ROWS,
    }
    return GraphSet(**(parts | changes))


def slowly(graphs: GraphSet, chosen: list[int]) -> tuple[Tensor, set[tuple[int, int]], Tensor]:
    """Put graphs side by side, node by node."""
    number: dict[int, int] = {}
    members, features = [], []
    for place, one in enumerate(chosen):
        for node in (graphs.membership == one).nonzero().flatten().tolist():
            number[node] = len(number)
            members.append(place)
            features.append(graphs.x[node])
    pairs = [(a, b) for a, b in graphs.edge_index.T.tolist() if a in number]
    return torch.stack(features), {(number[a], number[b]) for a, b in pairs}, torch.tensor(members)


@pytest.mark.parametrize("chosen", [[2, 0], [1], [3, 1, 2, 0], [0, 2]], ids=str)
def test_a_batch_is_graphs_side_by_side(chosen: list[int]) -> None:
    graphs = some()
    x, edges, membership = graphs.batch(torch.tensor(chosen))
    features, pairs, members = slowly(graphs, chosen)
    assert torch.equal(x, features) and torch.equal(membership, members)
    assert {(a, b) for a, b in edges.T.tolist()} == pairs and edges.shape[1] == len(pairs)


def test_samples_are_means_of_nodes() -> None:
    graphs = some()
    splits = graphs.splits()
    assert torch.allclose(splits["train"].x, torch.stack([graphs.x[4:8].mean(0), graphs.x[:3].mean(0)]))
    assert splits["train"].y.tolist() == [1, 0] and splits["test"].y.tolist() == [1]
    again = pickle.loads(pickle.dumps(graphs))
    assert all(torch.equal(one, other) for one, other in zip(graphs.tensors(), again.tensors(), strict=True))
    assert graphs.to("cpu") is graphs and graphs.degree == 1 and len(graphs) == 4
    assert repr(graphs) == "<GraphSet 4 graphs, 10 nodes, 7 edges, 5 features>"


WRONG = {
    "an edge between graphs": ({"edge_index": torch.tensor([[0], [4]])}, "nodes of one graph"),
    "an edge to nowhere": ({"edge_index": torch.tensor([[0], [10]])}, "nodes 0 to 9"),
    "a graph without nodes": ({"membership": torch.tensor([0, 0, 0, 2, 2, 2, 2, 3, 3, 3])}, "each with nodes"),
    "nodes in no order": ({"membership": torch.tensor([0, 0, 1, 0, 2, 2, 2, 2, 3, 3])}, "in order"),
    "a graph in two splits": ({"rows": ROWS | {"val": torch.tensor([0])}}, "one split at most"),
    "a split of other graphs": ({"rows": ROWS | {"val": torch.tensor([4])}}, "graphs 0 to 3"),
    "features in an array": ({"x": torch.rand(10, 5).numpy()}, "ndarray"),
    "one label for all": ({"y": torch.tensor(1)}, "labels"),
    "labels that are no numbers": ({"y": torch.rand(4)}, "int64"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_set_of_graphs(name: str) -> None:
    changes, expected = WRONG[name]
    with pytest.raises(DataError, match=expected):
        some(**changes)
