"""Layers on graphs against dense matrices, on a graph with loops, an edge twice, and a node without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from archgraph import ops
from archgraph.graph import GraphBuilder, Op
from archgraph.net import Network

N, D = 6, 4
EDGES = torch.tensor([[0, 1, 2, 2, 4, 1, 0], [1, 2, 2, 3, 0, 2, 0]])  # 1 -> 2 twice, loops at 0 and 2, none at 5
X = torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
WEIGHTS = torch.tensor([0.5, 2.0, 3.0, 0.25, 1.5, 0.75, 4.0], dtype=torch.float64)

Weights = dict[str, Tensor]


def adjacency(weights: Tensor | None = None) -> Tensor:
    """``A[i, j]``: the weight of edges from j to i."""
    found = torch.zeros(N, N, dtype=torch.float64)
    for number, (source, target) in enumerate(EDGES.T.tolist()):
        found[target, source] += 1.0 if weights is None else weights[number]
    return found


def loops(matrix: Tensor, weight: float = 1.0) -> Tensor:
    """Give those a loop that have none."""
    missing = (matrix.diagonal() == 0).double()
    return matrix + torch.diag(missing * weight)


def normalised(matrix: Tensor) -> Tensor:
    """``D^-1/2 A D^-1/2`` by the weights that come in; a node that gets none stays zero."""
    degree = matrix.sum(1)
    scale = torch.where(degree > 0, degree, torch.ones_like(degree)) ** -0.5 * (degree > 0)
    return scale[:, None] * matrix * scale[None, :]


def gcn(w: Weights) -> Tensor:
    return normalised(loops(adjacency())) @ X @ w["op.lin.weight"].T + w["op.bias"]


def improved(w: Weights) -> Tensor:
    return normalised(loops(adjacency(WEIGHTS), 2.0)) @ X @ w["op.lin.weight"].T + w["op.bias"]


def plain(w: Weights) -> Tensor:
    return adjacency() @ X @ w["op.lin.weight"].T + w["op.bias"]


def sgc(w: Weights) -> Tensor:
    spread = normalised(loops(adjacency()))
    return spread @ spread @ X @ w["op.lin.weight"].T + w["op.lin.bias"]


def tag(w: Weights) -> Tensor:
    spread = normalised(adjacency())
    return X @ w["op.lins.0.weight"].T + spread @ X @ w["op.lins.1.weight"].T + w["op.bias"]


def sage(w: Weights) -> Tensor:
    matrix = adjacency()
    mean = matrix @ X / matrix.sum(1, keepdim=True).clamp(min=1.0)
    return mean @ w["op.lin_l.weight"].T + w["op.lin_l.bias"] + X @ w["op.lin_r.weight"].T


def gin(w: Weights) -> Tensor:
    return adjacency() @ X + (1.0 + w["op.eps"]) * X


def appnp(w: Weights) -> Tensor:
    spread, found = normalised(loops(adjacency())), X
    for _ in range(3):
        found = 0.8 * spread @ found + 0.2 * X
    return found


def attention(w: Weights) -> Tensor:
    """Of one head: edges share by the softmax; a node attends to itself once, whatever loops it has."""
    values = X @ w["op.lin.weight"].T
    own = [(one, one) for one in range(N)]
    pairs = [(a, b) for a, b in EDGES.T.tolist() if a != b] + own
    by, to = (values @ w[f"op.att_{name}"].flatten() for name in ("src", "dst"))
    scores = [torch.nn.functional.leaky_relu(by[a] + to[b], 0.2).exp() for a, b in pairs]
    found = torch.zeros_like(values)
    for one in range(N):
        total = sum(score for score, (_, b) in zip(scores, pairs, strict=True) if b == one)
        for score, (a, b) in zip(scores, pairs, strict=True):
            if b == one:
                found[one] += score / total * values[a]
    return found + w["op.bias"]


CASES: dict[str, tuple[Op, bool, Callable[[Weights], Tensor]]] = {
    "gcn": (ops.GCNConv(3), False, gcn),
    "gcn improved, weighted": (ops.GCNConv(3, improved=True), True, improved),
    "gcn not normalised": (ops.GCNConv(3, normalize=False), False, plain),
    "sgc": (ops.SGConv(3, K=2), False, sgc),
    "tag": (ops.TAGConv(3, K=1), False, tag),
    "sage": (ops.SAGEConv(3), False, sage),
    "gin": (ops.GINConv(0.3), False, gin),
    "appnp": (ops.APPNP(K=3, alpha=0.2), False, appnp),
    "gat": (ops.GATConv(3), False, attention),
}


@pytest.mark.parametrize("name", CASES)
def test_loops_and_nodes_without_edges(name: str) -> None:
    op, weighted, formula = CASES[name]
    build = GraphBuilder()
    sources = [build(ops.Input((D,))), build(ops.Edges(1)), *([build(ops.EdgeWeights())] if weighted else [])]
    network = Network.init(build.graph(build(op, *sources, name="op")), seed=4, dtype=torch.float64)
    weights = {
        key: torch.randn_like(value) if value.is_floating_point() else value for key, value in network.weights.items()
    }
    if "op.eps" in weights:
        weights["op.eps"] = torch.tensor([0.3], dtype=torch.float64)
    network = Network(network.graph, weights)
    given: tuple[Any, ...] = (X, EDGES, WEIGHTS) if weighted else (X, EDGES)
    found = network.to_torch().eval()(*given)
    assert (found - formula(weights)).abs().max() < 1e-12
    assert found.isfinite().all()


@pytest.mark.parametrize("op", [case[0] for key, case in CASES.items() if "weighted" not in key], ids=repr)
def test_a_graph_without_edges(op: Op) -> None:
    build = GraphBuilder()
    network = Network.init(build.graph(build(op, build(ops.Input((D,))), build(ops.Edges(1)), name="op")), seed=4)
    outputs = network.to_torch().eval()(X.float(), torch.zeros(2, 0, dtype=torch.int64))
    assert outputs.isfinite().all() and len(outputs) == N
