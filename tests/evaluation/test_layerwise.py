"""Networks on large graphs, layer after layer and some nodes at a time: outputs are those of the whole graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archgraph.evaluation import layerwise
from archgraph.evaluation.layerwise import compute
from archgraph.evaluation.trainer import measure
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.tasks import NodeGraph, Task

NODES, WORDS = 37, 5
DRAW = torch.Generator().manual_seed(2)
EDGES = torch.randint(NODES - 1, (2, 150), generator=DRAW)  # loops, some twice; node 36 has none
EDGES[1, :30] = 3  # one node hears of many
X = torch.randn(NODES, WORDS, generator=DRAW, dtype=torch.float64)
WEIGHTS = torch.rand(150, generator=DRAW, dtype=torch.float64) + 0.5

LAYERS = {
    "GCN": "GCNConv(4)(x, e)",
    "GCN improved": "GCNConv(4, improved=True)(x, e)",
    "weighted": "GCNConv(4)(x, e, w)",
    "SAGE": "SAGEConv(4)(x, e)",
    "SAGE max": 'SAGEConv(4, aggr="max")(x, e)',
    "GIN": "GINConv()(x, e)",
    "GAT": "GATConv(4, heads=2)(x, e)",
    "GATv2": "GATv2Conv(4, heads=2)(x, e)",
    "transformer": "TransformerConv(4, heads=2, beta=True)(x, e)",
    "Cheb, which is computed at once": "ChebConv(4, K=3)(x, e)",
}


def network(layer: str) -> Graph:
    weights = "w = EdgeWeights()\n" if ", w)" in layer else ""
    return Graph.parse(
        f"x = Input(({WORDS},))\ne = Edges(4)\n{weights}d = DropEdge(0.3)(e)\na = {layer}\nb = BatchNorm()(a)\n"
        f"t = Tanh()(b)\nc = SAGEConv(3)(t, d)\nl = Linear(2)(x)\nj = Concat()(c, l)\nreturn j"
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerwise, "MOST", 0)
    monkeypatch.setattr(layerwise, "AT_ONCE", 90)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_outputs_are_those_of_the_whole_graph(layer: str, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network(layer)
    module = Network.init(graph, seed=1).to(torch.float64).to_torch().eval()
    given = {"x": X, "e": EDGES, "w": WEIGHTS}
    inputs = tuple(given[name] for name in graph.inputs)
    sizes: list[int] = []
    own = module.get_submodule("a")
    own.register_forward_hook(lambda layer, args, outputs: sizes.append(args[1].shape[1]))
    with torch.no_grad():
        found = compute(module, inputs)
        pieces = list(sizes)
        wanted = module(*inputs)
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12)
    if "Cheb" in layer:
        assert pieces == [150]
    else:
        assert len(pieces) > 3 and sum(pieces) >= 150 and min(pieces) >= 0


def test_small_layers_and_other_modules_are_called_as_they_are() -> None:
    module = Network.init(network("GCNConv(4)(x, e)"), seed=1).to(torch.float64).to_torch().eval()
    calls: list[Tensor] = []
    module.get_submodule("a").register_forward_hook(lambda layer, args, outputs: calls.append(args[1]))
    with torch.no_grad():
        assert torch.equal(compute(module, (X, EDGES)), module(X, EDGES))
    assert len(calls) == 2 and calls[0] is EDGES
    assert torch.equal(compute(nn.Identity(), (X,)), X)


def test_metrics_are_measured_so(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = dict(zip(("train", "val", "test"), torch.arange(NODES).split([20, 10, 7]), strict=True))
    y = torch.arange(NODES) % 5
    task = Task.from_graph("large", NodeGraph(X, y, EDGES, rows))
    network_ = Network.init(network("SAGEConv(4)(x, e)"), seed=1).to(torch.float64)
    pieces = measure(network_, task, "val")
    monkeypatch.setattr(layerwise, "MOST", 2**25)
    assert pieces == pytest.approx(measure(network_, task, "val"), abs=1e-12)
