"""A network that reads edges is trained on the whole graph, or on graphs side by side, and judged by those of a split.

Odd graphs: nodes without edges, loops, splits that are empty or of one class, edges and features that are no such.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from archgraph import Graph, Network, ops
from archgraph.errors import DataError
from archgraph.evaluation import Evaluator, Fidelity, Recipe, Score, Train, check_fit, measure, train
from archgraph.evaluation.feed import Graphs, Samples, feed
from archgraph.evaluation.sparse_features import FeatureDropout
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.graph import GraphBuilder
from archgraph.tasks import GraphSet, Loss, Task, find
from archgraph.tasks.node_graph import NodeGraph

X = functional.one_hot(torch.arange(11) % 5, 5).float()
Y = (torch.arange(11) // 4).long()
EDGES = torch.stack([torch.arange(11), (torch.arange(11) + 1) % 11])
ROWS = {"train": torch.arange(6), "val": torch.arange(6, 9), "test": torch.arange(9, 11)}
NODES = NodeGraph(X, Y, EDGES, ROWS)
TASK = Task("ring", NODES.splits(), Loss("cross-entropy"), (5,), 3, graph=NODES)
GCN = Graph.parse("x = Input((5,))\ne = Edges(1)\nd = Dropout(0.4)(x)\nc = GCNConv(3)(d, e)\nreturn c")


def test_measures_are_those_of_the_rows_of_a_split() -> None:
    network = Network.init(GCN)
    outputs = network.to_torch().eval()(X, EDGES).detach()
    wanted = float(functional.cross_entropy(outputs[ROWS["val"]], Y[ROWS["val"]]))
    assert measure(network, TASK, "val")["loss"] == pytest.approx(wanted, rel=1e-6)


def test_an_epoch_is_one_step_of_the_whole_graph_and_all_nodes_are_paid_for() -> None:
    graph = Graph.parse("x = Input((5,))\ne = Edges(1)\nc = GCNConv(3)(x, e)\nreturn c")
    network, recipe = Network.init(graph), Recipe(optimizer="sgd", lr=0.5, epochs=1, schedule="constant", batch_size=2)
    module = network.to_torch()
    functional.cross_entropy(module(X, EDGES)[:6], Y[:6]).backward()
    done = train(network, TASK, recipe, seed=0)
    for name, value in module.named_parameters():
        assert torch.allclose(done.network.weights[name], value.detach() - 0.5 * value.grad, atol=1e-6)
    report = Evaluator(TASK).evaluate(Train(graph, recipe))
    assert report.ledger.train_macs == 3 * 11 * int(report.metrics["macs"])


def test_what_is_kept_of_the_graph_changes_nothing_in_eval_mode_and_drops_values_alone() -> None:
    network = Network.init(GCN)
    module, plain = network.to_torch(), network.to_torch().eval()
    settle_on_graph(module, GCN, (X, EDGES))
    assert isinstance(module.d, FeatureDropout) and module.c.cached
    assert torch.allclose(module.eval()(X, EDGES), plain(X, EDGES), atol=1e-7)
    dropped = module.d.train()(X).to_dense()
    assert set(dropped[X == 0].tolist()) == {0.0}
    kept = dropped[X != 0]
    assert torch.where(kept == 0, 1 / 0.6, kept).allclose(torch.full((11,), 1 / 0.6))
    many = torch.stack([module.d(X).to_dense() for _ in range(3000)]).mean(0)
    assert (many - X).abs().max() < 0.1


def test_edges_need_a_task_with_a_graph() -> None:
    plain = Task("plain", NODES.splits(), Loss("cross-entropy"), (5,), 3)
    with pytest.raises(DataError, match="has no edges"):
        check_fit(GCN, plain)


# ---------------------------------------------------------------------- graphs as samples
SIZES = torch.tensor([3, 2, 4, 3, 5, 2, 3])  # rings, the last of them alone in a batch of three
STARTS = SIZES.cumsum(0) - SIZES
RINGS = torch.cat(
    [
        torch.stack([torch.arange(n), (torch.arange(n) + 1) % n]) + s
        for n, s in zip(SIZES.tolist(), STARTS, strict=True)
    ],
    dim=1,
)
MEMBERS = torch.arange(7).repeat_interleave(SIZES)
PARTS = {"train": torch.tensor([6, 0, 3, 1]), "val": torch.tensor([2, 5]), "test": torch.tensor([4])}
SET = GraphSet(torch.randn(22, 5, generator=torch.Generator().manual_seed(3)), SIZES % 2, RINGS, MEMBERS, PARTS)
MANY = Task("rings", SET.splits(), Loss("cross-entropy"), (5,), 2, graphs=SET)
POOLED = Graph.parse(
    "e = Edges(1)\nx = Input((5,))\nm = Membership()\nc = GCNConv(3)(x, e)\nr = Tanh()(c)\n"
    "p = GraphMeanPool()(r, m)\nl = Linear(2)(p)\nreturn l"
)
BAG = Graph.parse("x = Input((5,))\nl = Linear(2)(x)\nreturn l")


def alone(network: Network, graphs: torch.Tensor) -> torch.Tensor:
    """Outputs of a network for graphs, one by one."""
    module = network.to_torch().eval()
    found = []
    for one in graphs.tolist():
        rows = torch.eq(MEMBERS, one)
        edges = RINGS[:, rows[RINGS[0]]] - int(STARTS[one])
        found.append(module(edges, SET.x[rows], torch.zeros(int(rows.sum()), dtype=torch.int64)))
    return torch.cat(found).detach()


def test_graphs_of_a_split_are_measured_as_if_each_were_alone() -> None:
    network = Network.init(POOLED, seed=2)
    wanted = functional.cross_entropy(alone(network, PARTS["val"]), SET.y[PARTS["val"]])
    assert measure(network, MANY, "val")["loss"] == pytest.approx(float(wanted), rel=1e-6)
    given = feed(POOLED, MANY, "train", "cpu", torch.float32)
    assert isinstance(given, Graphs) and isinstance(feed(BAG, MANY, "train", "cpu", torch.float32), Samples)
    assert given.inputs(slice(0, 2)) is given.inputs(slice(0, 2))  # put together once
    assert [part.tolist() for part in given.batches(torch.tensor([2, 0, 1, 3]), 3)] == [[2, 0, 1, 3]]


def test_a_step_is_that_of_the_graphs_of_a_batch() -> None:
    network = Network.init(POOLED, seed=2)
    recipe = Recipe(optimizer="sgd", lr=0.5, epochs=1, schedule="constant", batch_size=4)
    module = network.to_torch()
    edges, x, members = feed(POOLED, MANY, "train", "cpu", torch.float32).inputs(slice(None))
    functional.cross_entropy(module(edges, x, members), SET.y[PARTS["train"]]).backward()
    done = train(network, MANY, recipe, seed=0)
    for name, value in module.named_parameters():
        assert torch.allclose(done.network.weights[name], value.detach() - 0.5 * value.grad, atol=1e-6)
    report = Evaluator(MANY).evaluate(Train(POOLED, recipe))
    nodes = round(4 * 22 / 7)  # of four graphs, on the average
    assert report.ledger.train_macs == 3 * nodes * int(report.metrics["macs"])


def test_less_data_is_fewer_graphs_and_scores_see_all_of_them() -> None:
    half = Fidelity(data=0.5).task(MANY)
    assert half.graphs is not None and len(half.graphs.rows["train"]) == len(half.splits["train"]) < 4
    assert half.graphs.rows["test"].tolist() == [4] and half.key != MANY.key
    report = Evaluator(MANY).evaluate(Score(Network.init(POOLED, seed=2), "splitting"))
    assert set(report.scores) == {"c"} and not report.failure


UNFIT = {
    "nodes are not graphs": ("x = Input((5,))\ne = Edges(1)\nc = GCNConv(2)(x, e)\nreturn c", MANY, "every graph"),
    "weights of edges": (
        "x = Input((5,))\ne = Edges(1)\nw = EdgeWeights()\nm = Membership()\nc = GCNConv(2)(x, e, w)\n"
        "p = GraphMaxPool()(c, m)\nreturn p",
        MANY,
        "has no edge weights",
    ),
    "memberships of one graph": (str(POOLED).replace("Linear(2)", "Linear(3)"), TASK, "has no memberships"),
}


@pytest.mark.parametrize(("text", "task", "message"), UNFIT.values(), ids=UNFIT)
def test_networks_that_do_not_fit_graphs(text: str, task: Task, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_fit(Graph.parse(text), task)


def isomorphism_network(task: Task) -> Graph:
    """Three layers that sum neighbours, each with two linear layers; sums over nodes are concatenated."""
    build = GraphBuilder()
    x, edges, members = build(ops.Input(task.input_shape)), build(ops.Edges(2)), build(ops.Membership())
    pooled = []
    for _ in range(3):
        x = build(ops.GINConv(), x, edges)
        for _ in range(2):
            x = build(ops.ReLU(), build(ops.BatchNorm(), build(ops.Linear(32), x)))
        pooled.append(build(ops.GraphAddPool(), x, members))
    last = build(ops.Dropout(0.5), build(ops.Concat(), *pooled))
    return build.graph(build(ops.Linear(task.outputs), last))


@pytest.mark.slow
@pytest.mark.skipif("ARCHGRAPH_DATA" not in os.environ, reason="needs ARCHGRAPH_DATA, a folder of data sets")
def test_molecules_are_told_apart() -> None:
    right = []
    for fold in range(10):
        task = find(f"mutag:fold={fold}", seed=fold)
        recipe = Recipe(optimizer="adam", lr=0.01, epochs=100, batch_size=32, keep="best")
        report = Evaluator(task, device="cpu").evaluate(Train(isomorphism_network(task), recipe, fold))
        assert report.network is not None
        right.append(measure(report.network, task, "test")["accuracy"])
    assert sum(right) / 10 >= 0.83  # 0.866 when it was written; the larger class has 0.665


# ---------------------------------------------------------------------- odd graphs
def odd(**changes: Any) -> Task:
    graph = replace(NODES, **changes)
    return Task("odd", graph.splits(), Loss("cross-entropy"), (5,), 3, graph=graph)


ODD = {
    "loops and links twice": {"edge_index": torch.cat([EDGES, EDGES[:, :3], torch.tensor([[4, 4], [4, 4]])], 1)},
    "no edges at all": {"edge_index": torch.zeros(2, 0, dtype=torch.int64)},
    "training nodes without edges": {"edge_index": torch.tensor([[7, 8], [8, 9]])},
    "one class": {"y": torch.where(torch.arange(11) < 6, 1, Y)},
    "features that are all zero": {"x": torch.zeros(11, 5)},
}


@pytest.mark.parametrize("layer", ["GCNConv(3)", "SAGEConv(3)", "GATConv(3)"])
@pytest.mark.parametrize("name", ODD)
def test_odd_graphs_are_trained_on(name: str, layer: str) -> None:
    task = odd(**ODD[name])
    graph = Graph.parse(f"x = Input((5,))\ne = Edges(1)\nc = {layer}(x, e)\nreturn c")
    report = Evaluator(task).evaluate(Train(graph, Recipe(optimizer="adam", lr=0.3, epochs=30)))
    assert not report.failure and report.network is not None
    if name == "one class":
        assert report.metrics["train.accuracy"] == 1.0
    if name == "features that are all zero":  # all nodes are told alike, by the bias
        outputs = report.network.to_torch().eval()(torch.zeros(11, 5), EDGES)
        assert torch.allclose(outputs, outputs[:1].expand(11, 3))


WRONG = {
    "an edge to a node that is not there": ({"edge_index": torch.tensor([[0], [11]])}, "nodes 0 to 10"),
    "a negative node": ({"edge_index": torch.tensor([[-1], [3]])}, "nodes 0 to 10"),
    "NaN in a node of no split": (
        {"rows": {**ROWS, "test": torch.tensor([9])}, "x": X.index_fill(0, torch.tensor(10), float("nan"))},
        "NaN or inf",
    ),
    "no nodes for training": ({"rows": {**ROWS, "train": torch.zeros(0, dtype=torch.int64)}}, "'train' .* is empty"),
    "no nodes for validation": ({"rows": {**ROWS, "val": torch.zeros(0, dtype=torch.int64)}}, "'val' .* is empty"),
    "a node without a class": ({"y": torch.where(torch.arange(11) == 2, -1, Y)}, "1 without"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_graph_is_refused(name: str) -> None:
    changes, message = WRONG[name]
    with pytest.raises(DataError, match=message):
        odd(**changes)
