"""What a training costs, counted and not measured: passes, samples and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence

from archgraph.evaluation.feed import EDGES, NODES, run_through
from archgraph.evaluation.fit import graph_of
from archgraph.evaluation.report import Epoch, Ledger
from archgraph.evaluation.request import Train
from archgraph.graph import Graph
from archgraph.metrics import macs
from archgraph.ops import Edges
from archgraph.scoring.samples import linked
from archgraph.tasks import Task
from archgraph.tasks.neighborhood import ALL
from archgraph.tasks.node_graph import NodeGraph

_DEGREE = 1000
"""Edges that end at a node, in a graph whose multiply-accumulates tell what an edge costs."""


def training_bill(
    request: Train,
    task: Task,
    epochs: int,
    validations: int,
    *,
    tested: bool = False,
    runs: int = 0,
    curve: Sequence[Epoch] = (),
) -> Ledger:
    """Return the bill of a training, times left out.

    Args:
        request: what was asked.
        task: the task, with all of its training data.
        epochs: passes over as much of them as the request gets.
        validations: passes over the validation split.
        tested: whether both splits are gone through once more, to measure the trained network.
        runs: samples that go through it besides, to find further metrics.
        curve: of the first of these epochs; where neighbours are drawn it tells how many nodes and edges there were. Of
            an epoch that it does not have, they are as many as there can be.
    """
    graph, whole, held = graph_of(request), len(task.splits["train"]), len(task.splits["val"])
    own = request.fidelity.samples(whole)
    a_pass, a_look = (run_through(graph, task, count) for count in (own, held))
    trained, work = epochs * a_pass, epochs * a_pass * macs(graph)
    links = linked(graph, task)
    if request.recipe.hops and isinstance(links, NodeGraph):
        trained, edges = _drawn(request, links, own, epochs, curve)
        work = _work(graph, trained, edges)
    seen = validations * a_look + (a_pass + a_look if tested else 0)
    return Ledger(
        epochs=epochs * own / whole,
        samples=trained + seen,
        train_macs=3 * work,
        eval_macs=macs(graph) * (seen + runs),
    )


def _drawn(request: Train, whole: NodeGraph, own: int, epochs: int, curve: Sequence[Epoch]) -> tuple[int, int]:
    """Return how many nodes and edges went through the network in training."""
    told = [point.metrics for point in curve[:epochs] if NODES in point.metrics]
    size, left = min(request.recipe.batch_size, own), epochs - len(told)
    batches = -(-own // size)
    nodes, edges = left * batches * len(whole), left * batches * whole.edge_index.shape[1]
    if ALL not in request.recipe.hops:
        asked, links = own, 0
        for number in request.recipe.hops:
            asked *= number
            links += asked
        nodes, edges = min(nodes, left * (own + links)), min(edges, left * links)
    return (
        nodes + sum(int(one[NODES]) for one in told),
        edges + sum(int(one[EDGES]) for one in told),
    )


def _work(graph: Graph, nodes: int, edges: int) -> int:
    """Return multiply-accumulates forward on so many nodes and edges: in both a network's are linear."""
    one, two = (macs(_with_degree(graph, times * _DEGREE)) for times in (1, 2))
    return (2 * one - two) * nodes + (two - one) * edges // _DEGREE


def _with_degree(graph: Graph, degree: int) -> Graph:
    with graph.edit() as edit:
        for name in graph.inputs:
            if isinstance(graph.op(name), Edges):
                edit.replace(name, Edges(degree))
    return edit.graph
