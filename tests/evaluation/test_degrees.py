"""Weights of edges that cannot be normalised are refused before anything is trained, others are not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from archgraph import Graph, Task, Train
from archgraph.errors import DataError
from archgraph.evaluation import Evaluator, Recipe, check_fit
from archgraph.net import Network

EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 5, 2], [1, 2, 3, 4, 5, 6, 0, 1, 2]])  # node 2 has a loop
LAYERS = {
    "GCNConv(3)": [1, 4],  # a loop of weight 1 is added where there is none
    "GCNConv(3, improved=True)": [4],
    "GCNConv(3, normalize=False)": [],
    "SGConv(3)": [1, 4],
    "TAGConv(3)": [1, 4, 5],
    "ChebConv(3)": [3, 4, 5],  # over what goes out of a node, loops left out
    "ChebConv(3, normalization=None)": [],
}
WEIGHTS = torch.tensor([0.5, 0.5, 1.0, -3.0, -0.7, 1.0, 1.0, -2.0, 0.1])


def network(layer: str) -> Graph:
    text = f"x = Input((4,))\ne = Edges()\nw = EdgeWeights()\ny = {layer}(x, e, w)\nreturn y"
    return Graph.parse(text)


def task(weight: Tensor) -> Task:
    places = torch.arange(7)
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    masks = {f"{name}_mask": places // 2 == part for part, name in enumerate(("train", "val", "test"))}
    return Task.from_graph("own", SimpleNamespace(x=x, y=places % 3, edge_index=EDGES, edge_weight=weight, **masks))


def by_pyg(layer: str, weight: Tensor) -> bool:
    """Whether the layer itself makes numbers of them."""
    module = Network.init(network(layer), seed=0).to_torch()
    return bool(module(torch.ones(7, 4), EDGES, weight).isfinite().all())


@pytest.mark.parametrize("layer", LAYERS)
def test_only_what_is_no_number_is_refused(layer: str) -> None:
    assert by_pyg(layer, WEIGHTS) == (not LAYERS[layer])
    if not LAYERS[layer]:
        check_fit(network(layer), task(WEIGHTS))
        return
    with pytest.raises(DataError, match=f"node {LAYERS[layer][0]} sum to less than 0") as caught:
        check_fit(network(layer), task(WEIGHTS))
    assert f"{len(LAYERS[layer])} such nodes" in str(caught.value)
    with pytest.raises(DataError, match="normalised"):
        Evaluator(task(WEIGHTS)).evaluate(Train(network(layer), Recipe(epochs=1)))


@pytest.mark.parametrize("layer", LAYERS)
def test_weights_below_0_whose_sums_are_not_are_well(layer: str) -> None:
    weight = WEIGHTS.clone()
    weight[3:5], weight[7] = 0.3, -0.2
    check_fit(network(layer), task(weight))
    assert by_pyg(layer, weight)
