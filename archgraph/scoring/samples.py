"""What a criterion scores a network on: the samples of a task, or its graphs, of which training nodes or all count."""

from __future__ import annotations

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.graph import Graph, Op
from archgraph.net import Nodes, Samples
from archgraph.ops import Edges, EdgeWeights, Input, Membership
from archgraph.tasks import Task
from archgraph.tasks.node_graph import NodeGraph


def samples(graph: Graph, task: Task, dtype: torch.dtype) -> tuple[Samples, Tensor]:
    """Return inputs and targets of the training split.

    Args:
        graph: of the network.
        task: the task.
        dtype: of the network.

    Raises:
        DataError: when the network reads edges, and the task has none.
    """
    own = task.splits["train"]
    if not any(isinstance(graph.op(name), Edges) for name in graph.inputs):
        return own.x, own.y
    if task.graphs is not None:
        every = task.graphs
        rows = every.rows["train"]
        x, edges, membership = every.batch(rows)
        beside: dict[type[Op], Tensor] = {Input: x.to(dtype), Edges: edges, Membership: membership}
        return Nodes(tuple(beside[type(graph.op(name))] for name in graph.inputs), torch.arange(len(rows))), every.y[
            rows
        ]
    if task.graph is None:
        raise DataError(f"task {task.name!r} has no edges", expected="a task whose samples are nodes of a graph")
    whole = task.graph
    return Nodes(tuple(given(graph, name, whole, dtype) for name in graph.inputs), whole.rows["train"]), own.y


def given(graph: Graph, name: str, whole: NodeGraph, dtype: torch.dtype) -> Tensor:
    """Return what an input of a network takes of a graph of nodes.

    Args:
        graph: of the network.
        name: of the input.
        whole: the graph of nodes.
        dtype: of the network.

    Raises:
        DataError: when there is no such thing.
    """
    op = graph.op(name)
    if isinstance(op, Edges):
        return whole.edge_index
    if isinstance(op, EdgeWeights) and whole.edge_weight is not None:
        return whole.edge_weight.to(dtype)
    if isinstance(op, Input):
        return whole.features(dtype)
    raise DataError(f"the task has nothing for input {name!r}", place=str(graph.node(name)))
