"""A network that reads edges is trained on the whole graph, and judged by the nodes of a split."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from archgraph import Graph, Network
from archgraph.errors import DataError
from archgraph.evaluation import Evaluator, Recipe, Train, check_fit, measure, train
from archgraph.evaluation.transductive import ValueDropout, settle_on_graph
from archgraph.tasks import Loss, Task
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
    assert isinstance(module.d, ValueDropout) and module.c.cached
    assert torch.allclose(module.eval()(X, EDGES), plain(X, EDGES), atol=1e-7)
    dropped = module.d.train()(X)
    assert set(dropped[X == 0].tolist()) == {0.0}
    kept = dropped[X != 0]
    assert torch.where(kept == 0, 1 / 0.6, kept).allclose(torch.full((11,), 1 / 0.6))
    many = torch.stack([module.d(X) for _ in range(3000)]).mean(0)
    assert (many - X).abs().max() < 0.1


def test_edges_need_a_task_with_a_graph() -> None:
    plain = Task("plain", NODES.splits(), Loss("cross-entropy"), (5,), 3)
    with pytest.raises(DataError, match="has no edges"):
        check_fit(GCN, plain)
