"""What is shipped: found by name, declared, and the sum of its nodes where it says so."""

from __future__ import annotations

import math

import pytest
import torch

from archgraph import Graph, Network, metrics
from archgraph.metrics import SHIPPED, Conditions, Latency, LatencyTable, find_metric
from archgraph.registry import METRICS
from tests.moves.graphs import GRAPHS

AT = Conditions(batch_size=3, warmup=0, repeats=2)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_registered_and_documented(name: str) -> None:
    assert METRICS.get(name) is find_metric(name) is SHIPPED[name]
    assert (SHIPPED[name].__doc__ or "").split()
    assert SHIPPED[name].direction == ("max" if name in ("accuracy", "roc-auc") else "min")


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_nodes_add_up(graph: Graph) -> None:
    table = LatencyTable(batch_size=3).covering(graph, warmup=0, repeats=1)
    at = Conditions(batch_size=3, latencies=table)
    for name, metric in SHIPPED.items():
        if metric.of == "graph" and metric.by_node is not None:
            shares = metric.shares(graph, at)
            assert list(shares) == list(graph.nodes)
            assert metric.value(graph, at) == pytest.approx(math.fsum(shares.values()), rel=1e-12), name


def test_graph_metrics_are_the_functions_of_that_name() -> None:
    graph = GRAPHS["residual"]
    for name in ("params", "macs", "units", "depth"):
        assert SHIPPED[name].value(graph, AT) == getattr(metrics, name)(graph)
    assert SHIPPED["memory"].value(graph, AT) == metrics.peak_memory(graph, 3)
    assert SHIPPED["training-memory"].value(graph, AT) == metrics.peak_memory(graph, 3, training=True)
    assert SHIPPED["energy"].value(graph, AT) == pytest.approx(metrics.energy(graph, batch_size=3), rel=1e-12)


def test_metrics_of_modules() -> None:
    graph = GRAPHS["residual"]
    module, inputs = Network.init(graph).to_torch(), [torch.zeros(3, *graph.shape("x").dims)]
    found = SHIPPED["latency"].value(module, inputs, AT)
    assert list(found) == ["latency", "latency-spread"]
    assert found["latency"] > 0
    assert SHIPPED["measured-memory"].value(module, inputs, AT) == {"measured-memory": metrics.peak_memory(graph, 3)}


def test_latency_by_node_measures_every_op() -> None:
    shares = SHIPPED["latency"].shares(GRAPHS["residual"], AT)
    assert [name for name, seconds in shares.items() if seconds == 0.0] == ["x"]


def test_table_latency_looks_up() -> None:
    graph = Graph.parse("x = Input((3,))\ny = Tanh()(x)\nreturn y")
    table = LatencyTable(entries={"Tanh() on Shape((3,))": Latency(0.125, 0.0, 1)})
    assert SHIPPED["table-latency"].value(graph, Conditions(latencies=table)) == 0.125
