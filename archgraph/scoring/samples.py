"""What goes into a network of a task: samples, a graph of which some nodes count, a part of it, or graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.graph import Graph, Op
from archgraph.net import Nodes, Samples
from archgraph.ops import Edges, EdgeWeights, Input, Membership
from archgraph.tasks import GraphSet, Task
from archgraph.tasks.neighborhood import Neighborhood
from archgraph.tasks.node_graph import NodeGraph


def linked(graph: Graph, task: Task) -> NodeGraph | GraphSet | None:
    """Return the graph of nodes, or the graphs, that a network reads of a task; None where it reads plain samples.

    Args:
        graph: of the network. One that tells graphs apart reads graphs, one that reads edges alone a graph of nodes.
        task: the task.
    """
    kinds = {type(graph.op(name)) for name in graph.inputs}
    if task.graphs is not None and Membership in kinds:
        return task.graphs
    return task.graph if Edges in kinds else None


def samples(graph: Graph, task: Task, dtype: torch.dtype, device: torch.device | str = "cpu") -> tuple[Samples, Tensor]:
    """Return inputs and targets of the training split.

    Args:
        graph: of the network.
        task: the task.
        dtype: of the network; samples stay in their own.
        device: where they are to be.

    Raises:
        DataError: when the network reads edges, and the task has none.
    """
    own, whole = task.splits["train"].to(device), linked(graph, task)
    if whole is None:
        if any(isinstance(graph.op(name), Edges) for name in graph.inputs):
            raise DataError(f"task {task.name!r} has no edges", expected="a task whose samples are nodes of a graph")
        return own.x, own.y
    whole = whole.to(device)
    rows = whole.rows["train"]
    if isinstance(whole, GraphSet):
        return Nodes(beside(graph, whole, rows, dtype), torch.arange(len(rows), device=rows.device)), whole.y[rows]
    return Nodes(given(graph, whole, dtype), rows), own.y


def beside(
    graph: Graph,
    whole: GraphSet,
    chosen: Tensor,  # [B]
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    """Return what a network takes of some graphs, which are put side by side: one tensor an input.

    Args:
        graph: of the network.
        whole: the graphs of the task.
        chosen: which of them.
        dtype: of the network.
    """
    x, edges, membership = whole.batch(chosen)
    kinds: dict[type[Op], Tensor] = {Input: x.to(dtype), Edges: edges, Membership: membership}
    return tuple(kinds[type(graph.op(name))] for name in graph.inputs)


def given(graph: Graph, whole: NodeGraph, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return what a network takes of a graph of nodes: one tensor an input.

    Args:
        graph: of the network.
        whole: the graph of nodes.
        dtype: of the network.

    Raises:
        DataError: when the graph of nodes has nothing for an input.
    """
    return tuple(_given(graph, name, whole, dtype) for name in graph.inputs)


def around(graph: Graph, whole: NodeGraph, part: Neighborhood, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return what a network takes of a part of a graph of nodes: one tensor an input.

    Args:
        graph: of the network.
        whole: the graph of nodes.
        part: which nodes and edges of it.
        dtype: of the network.
    """
    kinds: dict[type[Op], Tensor] = {Input: whole.x[part.nodes].to(dtype), Edges: part.edge_index}
    if whole.edge_weight is not None:
        kinds[EdgeWeights] = whole.edge_weight[part.edges].to(dtype)
    return tuple(kinds[type(graph.op(name))] for name in graph.inputs)


def _given(graph: Graph, name: str, whole: NodeGraph, dtype: torch.dtype) -> Tensor:
    op = graph.op(name)
    if isinstance(op, Edges):
        return whole.edge_index
    if isinstance(op, EdgeWeights) and whole.edge_weight is not None:
        return whole.edge_weight.to(dtype)
    if isinstance(op, Input):
        return whole.features(dtype)
    raise DataError(f"the task has nothing for input {name!r}", place=str(graph.node(name)))
