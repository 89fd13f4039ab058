"""Which networks are chains, for which ``auto`` is the reduced form; and that others get the other one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optimizers.natural_gradient import NaturalGradient, estimate
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, Layers, features, gcn, linear, pyg


class Skipping(Layers):
    """Three layers of one width, the second of which is passed by."""

    def forward(self, x: Tensor, *edges: Any) -> Tensor:
        first, second, third = self.layers
        hidden = first(x, *edges).relu()
        return third(second(hidden, *edges).relu() + hidden, *edges)


class Twice(Layers):
    def forward(self, x: Tensor, *edges: Any) -> Tensor:
        return super().forward(super().forward(x, *edges), *edges)


def convs(*widths: int) -> list[nn.Module]:
    torch.manual_seed(3)
    return [pyg.GCNConv(before, after) for before, after in pairwise(widths)]


CHAINS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: gcn(4, 5, 3),
    "nothing between": lambda: gcn(4, 5, 3, between=linear),
    "dropout": lambda: gcn(4, 5, 3, between=lambda x: nn.functional.dropout(x.tanh(), 0.5)),
    "linear head": lambda: Layers(*convs(4, 5, 6), nn.Linear(6, 3)),
    "linear stem": lambda: Layers(nn.Linear(4, 5), *convs(5, 3)),
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "a way past a layer": lambda: Skipping(*convs(4, 5, 5, 3)),
    "softmax between": lambda: gcn(4, 5, 3, between=lambda x: x.softmax(1)),
    "a norm of all nodes between": lambda: gcn(4, 5, 3, between=pyg.PairNorm()),
    "sorted units between": lambda: gcn(4, 5, 3, between=lambda x: x.sort(1).values),
    "called twice": lambda: Twice(*convs(4, 4)),
    "attention": lambda: Layers(pyg.GATConv(4, 5), *convs(5, 3)),
    "batch norm": lambda: Layers(*convs(4, 5), nn.BatchNorm1d(5), *convs(5, 3)),
}


def states(make: Callable[[], nn.Module], **settings: Any) -> list[dict[str, Tensor]]:
    torch.manual_seed(5)
    model = make()
    optimizer = NaturalGradient(model, fisher="exact", **settings)
    torch.manual_seed(6)
    optimizer.curvature(model(features(), EDGES), loss="mse", rows=ROWS)
    return [optimizer.state[one] for one in model.parameters() if one in optimizer.state]


def same(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    return len(one) == len(other) > 0 and all(
        set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", CHAINS)
def test_auto_reduces_a_chain(name: str):
    found = states(CHAINS[name])
    assert same(found, states(CHAINS[name], mode="reduce"))
    assert not same(found, states(CHAINS[name], mode="conv"))


@pytest.mark.parametrize("name", OTHERS)
def test_auto_leaves_other_networks_alone(name: str):
    assert same(states(OTHERS[name]), states(OTHERS[name], mode="conv"))


def test_auto_leaves_rows_of_all_nodes_and_large_neighbourhoods_alone(monkeypatch: pytest.MonkeyPatch):
    make = CHAINS["relu"]
    assert same(states(make, every_row=True), states(make, mode="conv", every_row=True))
    monkeypatch.setattr(estimate, "CHEAP", 0)
    assert same(states(make), states(make, mode="conv"))
    assert not same(states(make, mode="reduce"), states(make, mode="conv"))  # who insists on it gets it


def test_convolutions_are_expanded_unless_somebody_asks():
    def make() -> nn.Module:
        torch.manual_seed(2)
        return nn.Sequential(nn.Conv1d(1, 3, 2), nn.Flatten(), nn.Linear(9, 2)).double()

    found = []
    for mode in ("auto", "conv", "reduce"):
        model = make()
        optimizer = NaturalGradient(model, fisher="exact", mode=mode)
        optimizer.curvature(model(features().unsqueeze(1)), loss="mse")
        found.append([optimizer.state[model[0].weight]])
    assert same(found[0], found[1]) and not same(found[0], found[2])
