"""What a training makes of the fact that its graph stays the same: nothing else is computed than without it."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import Tensor, nn

from archgraph import Graph, Network
from archgraph.evaluation.fixed_propagation import FixedPropagation, MapFirst
from archgraph.evaluation.quick_dropout import QuickDropout
from archgraph.evaluation.transductive import settle_on_graph

NODES, WIDTH = 7, 5
EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 5, 1, 2, 2], [1, 2, 3, 4, 0, 1, 3, 1, 3, 3]])  # 6 alone, one loop, one twice
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25, 1.5, 1.0, 3.0, 1.0, 0.75, 1.25], dtype=torch.float64)
X = torch.randn(NODES, WIDTH, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
LAYERS = {
    "gcn": "c = GCNConv(4)(x, e)",
    "gcn improved": "c = GCNConv(4, improved=True)(x, e)",
    "gcn weighted": "w = EdgeWeights()\nc = GCNConv(4)(x, e, w)",
    "appnp": "f = Linear(3)(x)\nc = APPNP(K=3, alpha=0.2)(f, e)",
    "sage mean": "c = SAGEConv(4)(x, e)",
    "sage sum": "c = SAGEConv(4, aggr='sum')(x, e)",
    "gin": "a = GINConv(4)(x, e)\nc = Linear(3)(a)",
    "two": "a = GCNConv(4)(x, e)\nb = ReLU()(a)\nc = SAGEConv(3)(b, e)",
}


def _both(text: str) -> tuple[nn.Module, nn.Module, tuple[Tensor, ...]]:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\n{text}\nreturn c")
    given = {"x": X, "e": EDGES, "w": WEIGHTS}
    inputs = tuple(given[name] for name in graph.inputs)
    network = Network.init(graph, seed=1).to(torch.float64)
    module, plain = network.to_torch(), network.to_torch()
    settle_on_graph(module, graph, inputs)
    return module, plain, inputs


@pytest.mark.parametrize("name", LAYERS)
def test_propagation_is_what_the_layer_does(name: str) -> None:
    module, plain, inputs = _both(LAYERS[name])
    assert any(isinstance(part.__dict__.get("propagate"), FixedPropagation) for part in module.modules())
    found, expected = module(*inputs), plain(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one in (found, expected):
        one.square().sum().backward()
    for own, other in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-12, atol=1e-12)
    assert module.state_dict().keys() == plain.state_dict().keys()
    others = (inputs[0].flip(0), inputs[1].flip(1), *inputs[2:])  # a graph that it does not know
    if name != "gcn weighted" and "GCN" not in LAYERS[name] and "APPNP" not in LAYERS[name]:
        torch.testing.assert_close(module(*others), plain(*others), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("text", ["c = SAGEConv(4, aggr='max')(x, e)", "c = GATConv(4)(x, e)"])
def test_what_is_no_fixed_sum_is_left_to_the_layer(text: str) -> None:
    module, plain, inputs = _both(text)
    assert not any("propagate" in part.__dict__ for part in module.modules())
    torch.testing.assert_close(module(*inputs), plain(*inputs))


def test_dropped_edges_are_propagated_along_by_the_layer() -> None:
    module, _, inputs = _both("k = DropEdge(0.5)(e)\nc = SAGEConv(4)(x, k)")
    assert not any("propagate" in part.__dict__ for part in module.modules())
    module.train()(*inputs)


def test_copies_propagate_by_themselves() -> None:
    module, plain, inputs = _both(LAYERS["sage mean"])
    for made in (copy.deepcopy(module.c), pickle.loads(pickle.dumps(module.c))):
        assert not isinstance(made.propagate, FixedPropagation)
        torch.testing.assert_close(made(*inputs), plain(*inputs), rtol=1e-12, atol=1e-12)


def test_without_sparse_matrices_nothing_but_edges_is_kept() -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\nd = Dropout(0.5)(x)\nc = GCNConv(4)(d, e)\nreturn c")
    module = Network.init(graph).to(torch.float64).to_torch()
    settle_on_graph(module, graph, (X, EDGES), sparse=False)
    assert module.c.cached and "propagate" not in module.c.__dict__ and type(module.d) is nn.Dropout


@pytest.mark.parametrize("name", ["gcn", "gcn weighted", "sage mean"])
def test_what_was_changed_in_place_is_read_anew(name: str) -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\n{LAYERS[name]}\nreturn c")
    given = {"x": X * (X > 1.0), "e": EDGES.clone(), "w": WEIGHTS.clone()}
    inputs = tuple(given[one] for one in graph.inputs)
    network = Network.init(graph, seed=1).to(torch.float64)
    settle_on_graph(network.to_torch(), graph, inputs)
    given["x"].mul_(3.0)
    given["e"][:, 0] = torch.tensor([6, 2])
    given["w"].add_(1.0)
    module, plain = network.to_torch(), network.to_torch()
    settle_on_graph(module, graph, inputs)
    torch.testing.assert_close(module(*inputs), plain(*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_quick_dropout_is_dropout(p: float) -> None:
    layer, ones = QuickDropout(p), torch.ones(400, 500)
    assert layer.eval()(ones) is ones
    found = layer.train()(ones)
    kept = found[found != 0.0]
    assert torch.allclose(kept, torch.full_like(kept, 1.0 / max(1.0 - p, 0.1)))
    assert abs(len(kept) / ones.numel() - (1.0 - p)) < 5e-3  # five standard deviations


def test_who_watches_the_linear_map_sees_propagated_features() -> None:
    module, plain, inputs = _both(LAYERS["sage mean"])
    assert isinstance(module.c.forward, MapFirst)
    unwatched = module(*inputs)
    seen: list[Tensor] = []
    handle = module.c.lin_l.register_forward_hook(lambda *call: seen.append(call[1][0]))
    torch.testing.assert_close(module(*inputs), unwatched, rtol=1e-12, atol=1e-12)
    around = plain.c.propagate(EDGES, x=(X, X), size=None)
    torch.testing.assert_close(seen[0], around, rtol=1e-12, atol=1e-12)
    handle.remove()
    module(*inputs)
    assert len(seen) == 1


def test_a_sage_layer_that_widens_propagates_first() -> None:
    module, plain, inputs = _both("c = SAGEConv(6)(x, e)")
    assert not isinstance(module.c.forward, MapFirst)
    torch.testing.assert_close(module(*inputs), plain(*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "f = Edges(3)\na = GCNConv(4)(x, e)\nb = GCNConv(4)(x, f) @ a\nc = Add()(a, b)",
        "w = EdgeWeights()\na = GCNConv(4)(x, e, w)\nb = GCNConv(4)(x, e) @ a\nc = Add()(a, b)",
        "k = DropEdge(0.5)(e)\na = GCNConv(4)(x, e)\nb = GCNConv(4)(x, k) @ a\nc = Add()(a, b)",
    ],
    ids=["other edges", "no weights", "dropped edges"],
)
def test_a_layer_that_is_used_along_several_edges_keeps_none(text: str) -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\n{text}\nreturn c")
    given = {"x": X, "e": EDGES, "f": EDGES.flip(0)[:, :6], "w": WEIGHTS}
    inputs = tuple(given[name] for name in graph.inputs)
    network = Network.init(graph, seed=1).to(torch.float64)
    module, plain = network.to_torch(), network.to_torch()
    settle_on_graph(module, graph, inputs)
    found, expected = ((torch.manual_seed(5), one.train()(*inputs))[1] for one in (module, plain))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loops", [True, False])
def test_what_is_kept_for_a_graph_goes_with_it(loops: bool) -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\nc = GCNConv(4, add_self_loops={loops})(x, e)\nreturn c")
    module, edges = Network.init(graph).to(torch.float64).to_torch(), EDGES.clone()
    settle_on_graph(module, graph, (X, edges))
    module(X, edges)
    alive = weakref.ref(edges)
    del module, edges
    gc.collect()
    assert alive() is None


def test_a_sage_layer_in_mixed_precision() -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(2)\nc = SAGEConv(4)(x, e)\nreturn c")
    network = Network.init(graph, seed=1)
    module, plain = network.to_torch(), network.to_torch()
    settle_on_graph(module, graph, (x := X.float(), EDGES))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(x, EDGES), plain(x, EDGES))
