"""Metrics of networks on graphs: what they need of memory is what a run of them holds."""

from __future__ import annotations

import pytest
import torch

from archgraph.evaluation.measurement import batch, measure
from archgraph.graph import Graph, Shape
from archgraph.graph.shape import EDGES, MEMBERSHIPS, WEIGHTS
from archgraph.metrics import Conditions
from archgraph.metrics.graph_batch import degree, example, on_graphs, size
from archgraph.metrics.latency_table import LatencyTable
from archgraph.metrics.live import measured_memory
from archgraph.metrics.memory import peak_memory
from archgraph.net import Network

START = "x = Input((5,))\ne = Edges(3)\n"
NETWORKS = {
    "gcn": START + "h = GCNConv(4)(x, e)\na = ReLU()(h)\ny = GCNConv(2)(a, e)\nreturn y",
    "weighted": START + "w = EdgeWeights()\nh = GCNConv(4)(x, e, w)\ny = TAGConv(2, K=2)(h, e, w)\nreturn y",
    "attention": START + "h = GATConv(3, heads=2)(x, e)\na = ELU()(h)\ny = GATv2Conv(2)(a, e)\nreturn y",
    "dropped edges": START + "d = DropEdge(0.5)(e)\ny = SAGEConv(4)(x, d)\nreturn y",
    "pooled": START + "m = Membership()\nh = GINConv()(x, e)\nl = Linear(4)(h)\nn = GraphNorm()(l, m)\n"
    "p = GraphMaxPool()(n, m)\ny = Linear(2)(p)\nreturn y",
}


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("name", NETWORKS)
def test_memory_is_what_a_run_holds(name: str, samples: int) -> None:
    graph = Graph.parse(NETWORKS[name])
    module = Network.init(graph, seed=1).to_torch()
    inputs = batch(graph, Conditions(batch_size=samples))
    assert peak_memory(graph, samples) == measured_memory(module, inputs)
    before = torch.get_rng_state()
    assert peak_memory(graph, samples, training=True) >= peak_memory(graph, samples)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_other_metrics(name: str) -> None:
    graph = Graph.parse(NETWORKS[name])
    table = LatencyTable(batch_size=7).covering(graph, warmup=0, repeats=1)
    names = ("energy", "latency", "training-memory", "measured-memory", "table-latency")
    found = measure(graph, names, batch_size=7, warmup=0, repeats=1, latencies=table)
    assert all(found[one] > 0 for one in names)
    assert found["energy"] > measure(graph, "energy", batch_size=1)["energy"]


def test_examples_are_as_large_as_is_said_and_edges_are_between_nodes() -> None:
    edges, weights, members = Shape((3, 1), -1, EDGES), Shape((), rows=WEIGHTS), Shape((), rows=MEMBERSHIPS)
    assert degree([Shape((5,)), edges, weights]) == 3 and on_graphs([Shape((5,)), members]) and not on_graphs([])
    for shape in (edges, weights, members, Shape((5,))):
        for samples in (1, 2, 7):
            assert tuple(example(shape, samples, 3, torch.float64).shape) == size(shape, samples, 3)
    drawn = example(edges, 7, 3, torch.float32)
    assert drawn.unique(dim=1).shape == drawn.shape == (2, 21) and not (drawn[0] == drawn[1]).any()
    assert torch.bincount(drawn[1]).tolist() == [3] * 7
