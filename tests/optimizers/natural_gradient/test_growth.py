"""Natural gradient through an edit of the network: factors, momentum and steps are carried over."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph.graph import Graph
from archgraph.moves import Duplicate, InsertIdentity, Move, Widen
from archgraph.net import Network, inherit_state, load_state, state_of
from optimizers.natural_gradient import NaturalGradient
from tests.optimizers.natural_gradient.nets import EDGES, error, features, labels

PLAIN = Graph.parse("""
a = Input((4,))
b = Linear(5)(a)
c = Tanh()(b)
d = Linear(3)(c)
return d
""")
PROPAGATING = Graph.parse("""
a = Input((4,))
e = Edges()
b = GCNConv(5)(a, e)
c = Tanh()(b)
d = GCNConv(3)(c, e)
return d
""")
GRAPHS = {"linear": (PLAIN, (features(),)), "GCN": (PROPAGATING, (features(), EDGES))}


def prepared(module: nn.Module, **settings: Any) -> NaturalGradient:
    optimizer = NaturalGradient(module.parameters(), **{"fisher": "exact", "interval": 4, **settings})
    optimizer.attach(module)
    return optimizer


def advance(module: nn.Module, optimizer: NaturalGradient, inputs: tuple[Tensor, ...], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        with optimizer.watching():
            outputs = module(*inputs)
        loss = functional.cross_entropy(outputs, labels())  # of all nodes: factors are regular
        optimizer.curvature(outputs, loss)
        loss.backward()
        optimizer.step()


def edited(network: Network, optimizer: NaturalGradient, module: nn.Module, move: Move, **settings: Any):
    edit = move.plan(network.graph)
    bigger = network.with_weights_of(module).after(edit).to_torch()
    other = prepared(bigger, **settings)
    load_state(bigger, other, inherit_state(edit, state_of(module, optimizer)))
    return bigger, other


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("units", [(1,), (0, 3, 4)])
def test_exact_copies_move_as_the_small_network_does(name: str, units: tuple[int, ...]):
    """Without damping the natural gradient knows no coordinates, and copies are but coordinates."""
    graph, inputs = GRAPHS[name]
    settings = {"damping": 0.0, "kl_clip": 0.0, "lr": 0.02}
    network = Network.init(graph, 1, dtype=torch.float64)
    module = network.to_torch()
    optimizer = prepared(module, **settings)
    advance(module, optimizer, inputs, 2)
    bigger, other = edited(network, optimizer, module, Duplicate("b", units), **settings)
    before = module(*inputs).detach()
    assert error(bigger(*inputs).detach(), before) < 1e-12
    assert not other.due
    for _ in range(2):  # with momentum from before the edit
        advance(module, optimizer, inputs, 1)
        advance(bigger, other, inputs, 1)
        assert error(module(*inputs).detach(), before) > 1e-3
        assert error(bigger(*inputs).detach(), module(*inputs).detach()) < 1e-6


@pytest.mark.parametrize("name", GRAPHS)
def test_fresh_units_begin_at_the_mean_trace_and_are_trained(name: str):
    graph, inputs = GRAPHS[name]
    network = Network.init(graph, 1, dtype=torch.float64)
    module = network.to_torch()
    optimizer = prepared(module)
    advance(module, optimizer, inputs, 2)
    bigger, other = edited(network, optimizer, module, Widen("b", units=2))
    layer = bigger.b.lin if name == "GCN" else bigger.b
    G = other.state[layer.weight]["output_factor"]
    assert torch.allclose(G.diagonal()[5:], G.diagonal()[:5].mean())
    assert other.steps == 2
    advance(bigger, other, inputs, 20)
    losses = [functional.cross_entropy(one(*inputs), labels()).item() for one in (module, bigger)]
    assert losses[1] < losses[0]


def test_a_new_layer_is_looked_at_at_once():
    graph, inputs = GRAPHS["linear"]
    network = Network.init(graph, 1, dtype=torch.float64)
    module = network.to_torch()
    optimizer = prepared(module)
    advance(module, optimizer, inputs, 1)
    move = InsertIdentity("d")
    bigger, other = edited(network, optimizer, module, move)
    assert other.due
    advance(bigger, other, inputs, 1)
    assert not other.due
