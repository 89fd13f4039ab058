"""Models of PyTorch Geometric are read: the network computes what they do, and its units can be resized."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archgraph import from_torch, ops
from archgraph.errors import DataError
from archgraph.moves import Duplicate
from archgraph.ops.graph_layer import geometric

layers: Any = geometric()
global_mean_pool = layers.global_mean_pool
EDGES = torch.randint(6, (2, 17), generator=torch.Generator().manual_seed(1))  # node 6 has none
MEMBERS = torch.tensor([0, 0, 0, 1, 1, 1, 1])


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        inner = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4))
        self.conv = layers.GINConv(inner, train_eps=True)
        self.norm, self.head = layers.GraphNorm(4), layers.MLP([4, 3, 2], norm=None)
        self.pool = layers.AttentionalAggregation(nn.Linear(4, 1))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        x = self.norm(self.conv(x, edge_index).relu(), batch)
        return self.head(self.pool(x, batch) + global_mean_pool(x, batch) - layers.global_max_pool(x, batch=batch))


def model(kind: str, **options: Any) -> nn.Module:
    return getattr(layers, kind)(5, 6, 2, out_channels=3, **options)


CASES = {
    "gcn": (lambda: model("GCN", dropout=0.5), (EDGES,)),
    "gcn weighted": (lambda: layers.GCNConv(5, 3, improved=True), (EDGES, torch.linspace(0.1, 1.0, 17))),
    "gat": (lambda: model("GAT", heads=2), (EDGES,)),
    "sage": (lambda: model("GraphSAGE", jk="max"), (EDGES,)),
    "gin": (lambda: model("GIN", norm="batch"), (EDGES,)),
    "jumping knowledge": (lambda: model("GCN", jk="cat", norm="graph"), (EDGES,)),
    "transformer": (lambda: layers.TransformerConv(5, 3, heads=2, concat=False, beta=True), (EDGES,)),
    "pooled": (Pooled, (EDGES, MEMBERS)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_the_model_does_and_can_be_widened(name: str) -> None:
    make, more = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = make().double().eval()
    x = torch.randn(7, 5, dtype=torch.float64)
    given = (x, *(one.double() if one.is_floating_point() else one for one in more))
    network = from_torch(own, given)
    wanted = own(*given)
    assert (network.to_torch().eval()(*given) - wanted).abs().max() < 1e-12
    assert not any(isinstance(node.op, ops.Opaque) for node in network.graph)
    for move in list(Duplicate.sites(network.graph))[:4]:
        assert (move.apply(network).to_torch().eval()(*given) - wanted).abs().max() < 1e-10


def test_edges_between_nodes_that_are_not_there_are_refused() -> None:
    with pytest.raises(DataError, match="edge_index"):
        from_torch(layers.GCNConv(5, 3), (torch.randn(7, 5), EDGES + 2))


def test_pools_are_what_they_were_after_a_model_was_read() -> None:
    before = [getattr(room, "global_add_pool") for room in (layers, layers.pool)]  # noqa: B009
    given = (torch.randn(7, 5), EDGES, MEMBERS)
    from_torch(Pooled().eval(), given)
    assert [getattr(room, "global_add_pool") for room in (layers, layers.pool)] == before  # noqa: B009
