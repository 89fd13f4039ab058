"""Sparse products against dense ones; and what is kept of a layer's edges goes when they change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optimizers.natural_gradient import NaturalGradient, pairs, propagation
from optimizers.natural_gradient.propagation import Propagation
from tests.optimizers.natural_gradient.nets import EDGES, error, features, gcn

LIKE = torch.zeros(1, dtype=torch.float64)


def drawn(count: int, nodes: int, entries: int, seed: int) -> tuple[Propagation, Tensor]:
    """A matrix with several entries in some places, and the same one dense."""
    generator = torch.Generator().manual_seed(seed)
    row, node = (torch.randint(size, (entries,), generator=generator) for size in (count, nodes))
    weight = torch.randn(entries, generator=generator, dtype=torch.float64)
    dense = torch.zeros(count, nodes, dtype=torch.float64).index_put((row, node), weight, accumulate=True)
    return Propagation(row, node, weight, count), dense


def test_products_sums_and_values():
    (one, A), (other, B) = drawn(4, 7, 15, seed=0), drawn(7, 7, 20, seed=1)
    x = torch.randn(7, 3, dtype=torch.float64)
    both = one.times(other)
    assert error(both.apply(x), A @ B @ x) < 1e-12
    assert error(both.times(other).apply(x), A @ B @ B @ x) < 1e-12
    assert error(both.sums(), (A @ B).sum(1)) < 1e-12
    assert one.times(None) is one
    assert len(torch.unique(both.row * 7 + both.node)) == len(both.row)  # one entry a place


def test_selections():
    x = torch.randn(5, 2, dtype=torch.float64)
    rows = torch.tensor([3, 0, 3])
    assert torch.equal(Propagation.selecting(rows, 5, LIKE).apply(x), x[rows])
    assert torch.equal(Propagation.selecting(None, 5, LIKE).apply(x), x)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    ("most", "full"), [(2**20, 0), (2**20, 2**20), (3, 0)], ids=["pairs", "full", "too many pairs"]
)
def test_features_in_compressed_rows(most: int, full: int, monkeypatch: pytest.MonkeyPatch):
    """Their places are the same memory every time, as dropout leaves them; or they are others."""
    monkeypatch.setattr(propagation, "PAIRS", most)
    monkeypatch.setattr(pairs, "FULL", full)
    one, A = drawn(4, 7, 15, seed=0)
    generator = torch.Generator().manual_seed(2)
    for _ in range(2):
        x = torch.randn(7, 5, generator=generator, dtype=torch.float64) * (torch.rand(7, 5, generator=generator) < 0.4)
        whole = x.to_sparse_csr()
        assert error(one.apply(whole), A @ x) < 1e-12
        known = one.__dict__.get("_pairs")
        values = whole.values() * (torch.rand(len(whole.values()), generator=generator) < 0.5)
        dropped = torch.sparse_csr_tensor(whole.crow_indices(), whole.col_indices(), values, whole.shape)
        assert error(one.apply(dropped), A @ dropped.to_dense()) < 1e-12
        assert one.__dict__.get("_pairs") is known and (known is None) == (most == 3)
        assert error(one.apply(dropped.float()), A @ dropped.to_dense()) < 1e-6
        assert error(one.apply(x.to_sparse_coo()), A @ x) < 1e-12


def test_rows_without_edges_are_zero():
    empty = torch.tensor([], dtype=torch.int64)
    nothing = Propagation(empty, empty, torch.tensor([], dtype=torch.float64), 4)
    found = Propagation.selecting(torch.tensor([1, 2]), 4, LIKE).times(nothing).apply(torch.ones(4, 3))
    assert torch.equal(found, torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("mode", ["conv", "reduce"])
@pytest.mark.parametrize(
    "change", ["edges", "in place", "rows", "rows in place", "nodes", "features", "features in place"]
)
def test_what_is_kept_follows_what_is_read(change: str, mode: str):
    edges, rows, x = EDGES.clone(), torch.tensor([0, 2, 5]), features()
    model = gcn(4, 3) if mode == "conv" else gcn(4, 5, 3)

    def factor(optimizer: NaturalGradient) -> Tensor:
        optimizer.curvature(model(x, edges), rows=rows)
        state = optimizer.state[model.layers[0].lin.weight]
        return state["input_rows"].mT @ state["input_rows"] if "input_rows" in state else state["input_factor"]

    optimizer = NaturalGradient(model, interval=1, ema=0.0, mode=mode)
    before = factor(optimizer)
    assert torch.equal(factor(optimizer), before)
    assert torch.equal(factor(optimizer), before)  # from what is kept of features, too
    if change == "edges":
        edges = edges[:, 2:]
    elif change == "in place":
        edges[1, :2] = torch.tensor([5, 6])
    elif change == "rows":
        rows = torch.tensor([0, 2, 4])
    elif change == "rows in place":
        rows[2] = 4
    elif change == "features":
        x = features(seed=1)
    elif change == "features in place":
        x[2] *= 3.0
    else:
        x = torch.cat((x, torch.ones(1, 4, dtype=torch.float64)))
        edges = torch.cat((edges, torch.tensor([[9], [0]])), dim=1)
    after = factor(optimizer)
    assert error(after, before) > 1e-3
    assert torch.equal(after, factor(NaturalGradient(model, interval=1, mode=mode)))


def test_features_that_stay_the_same_are_propagated_twice(monkeypatch: pytest.MonkeyPatch):
    """The first time nobody knows that they will stay; of layers behind others features never do."""
    calls: list[int] = []
    plain = Propagation.apply
    monkeypatch.setattr(Propagation, "apply", lambda self, x: calls.append(x.shape[1]) or plain(self, x))
    x, model = features(), gcn(4, 5, 3)
    optimizer = NaturalGradient(model, interval=1)
    for _ in range(4):
        optimizer.curvature(model(x, EDGES), rows=torch.tensor([0, 2, 5]))
    # of the second layer: its inputs, the slopes before them, and once more to see that these are of one entry each
    assert (calls.count(4), calls.count(5)) == (2, 8)
