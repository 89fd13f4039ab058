"""Natural gradient on a network that has settled on its graph: faster ways to compute the same are the same to it."""

from __future__ import annotations

import pytest
import torch

from archgraph import Graph, Network, Recipe
from archgraph.evaluation.curvature import tell, watched
from archgraph.evaluation.feed import feed
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.tasks import find
from tests.optimizers.natural_gradient.nets import error

LAYERS = ["GCNConv(5)", "SAGEConv(5)", "GATConv(5)", "TransformerConv(5)", "TAGConv(5)", "Linear(5)"]


def trained(layer: str, *, settled: bool, dropout: bool = False) -> list[torch.Tensor]:
    task = find("karate")
    edges, read = ("" if layer == "Linear(5)" else ", e"), "k" if dropout else "x"
    graph = Graph.parse(
        f"x = Input({task.input_shape})\ne = Edges(4)\n{'k = Dropout(0.5)(x)' if dropout else ''}\n"
        f"a = {layer}({read}{edges})\nb = Tanh()(a)\ny = GCNConv({task.outputs})(b, e)\nreturn y"
    )
    network = Network.init(graph, seed=0, dtype=torch.float64)
    module, data = network.to_torch().train(), feed(graph, task, "train", "cpu", torch.float64)
    if settled:
        settle_on_graph(module, graph, data.inputs(slice(None)))
    optimizer = Recipe(optimizer="natural-gradient", lr=0.1, options={"interval": 2}).build(module)
    rows = data.counted(torch.arange(len(data)))
    for _ in range(5):
        optimizer.zero_grad()
        with watched(optimizer):
            outputs = module(*data.inputs(slice(None)))
        loss = task.loss(outputs[rows], data.y)
        tell(optimizer, outputs, loss, task.loss.name, rows)
        loss.backward()
        optimizer.step()
    return [one.detach() for one in module.parameters()]


@pytest.mark.parametrize("layer", LAYERS)
def test_steps_are_the_same(layer: str):
    plain, fast = trained(layer, settled=False), trained(layer, settled=True)
    assert all(error(b, a) < 1e-10 for a, b in zip(plain, fast, strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_features_that_are_dropped_as_compressed_rows_train_too(layer: str):
    torch.manual_seed(0)
    assert all(bool(one.isfinite().all()) for one in trained(layer, settled=True, dropout=True))
