"""The small network from which a search starts where no graph is given."""

from __future__ import annotations

from archgraph import ops
from archgraph.errors import DataError
from archgraph.graph import Graph, GraphBuilder, Op, chain
from archgraph.tasks.tabular import Tabular
from archgraph.tasks.task import Task

CHANNELS = 4
"""Units of each convolution."""

NEURONS = 3
"""Units of each hidden linear layer."""

WORDS, DROPPED = 16, 0.5
"""Hidden units, and dropout before both layers, for nodes of a graph: as in Kipf and Welling, arXiv 1609.02907."""


def seed_graph(task: Task) -> Graph:
    """Return a small network that takes the task's inputs and gives its outputs.

    Images get two convolutions with batch norm and SiLU, the second of stride 2, and global average pooling; vectors
    get two hidden layers with SiLU. Nodes of a graph get two graph convolutions with SiLU between them, and dropout;
    graphs get two layers that sum neighbours, each with two linear layers, and a sum over nodes (Xu et al., arXiv
    1810.00826). The toy of the splitting papers gets the papers' network, one Gaussian neuron without biases, as its
    input holds a constant already. Of a task that is answered from a table it is one that the table has.

    Raises:
        DataError: when inputs are neither images nor vectors, which only a graph of your own can take.
    """
    if isinstance(task, Tabular):
        return task.example
    if task.graph is not None:
        return _convolutions_on_graphs(task, task.graph.degree)
    if task.graphs is not None:
        return _isomorphism_network(task, task.graphs.degree)
    shape, outputs = task.input_shape, task.outputs
    if task.name.partition(":")[0] == "toy-rbf":
        hidden: list[Op] = [ops.Linear(1, bias=False), ops.Gaussian(), ops.Linear(outputs, bias=False)]
    elif len(shape) == 1:
        hidden = [ops.Linear(NEURONS), ops.SiLU(), ops.Linear(NEURONS), ops.SiLU(), ops.Linear(outputs)]
    elif len(shape) == 3:
        hidden = [*_convolution(stride=1), *_convolution(stride=2), ops.GlobalAvgPool(), ops.Linear(outputs)]
    else:
        raise DataError(
            f"there is no seed network for the inputs of task {task.name!r}",
            expected="images (C, H, W) or vectors (D,)",
            got=shape,
            hint="give a graph of your own",
        )
    return chain(ops.Input(shape), *hidden)


def _convolutions_on_graphs(task: Task, degree: int) -> Graph:
    build = GraphBuilder()
    x, edges = build(ops.Input(task.input_shape)), build(ops.Edges(degree))
    hidden = build(ops.SiLU(), build(ops.GCNConv(WORDS), build(ops.Dropout(DROPPED), x), edges))
    return build.graph(build(ops.GCNConv(task.outputs), build(ops.Dropout(DROPPED), hidden), edges))


def _isomorphism_network(task: Task, degree: int) -> Graph:
    build = GraphBuilder()
    x, edges, membership = build(ops.Input(task.input_shape)), build(ops.Edges(degree)), build(ops.Membership())
    for _ in range(2):
        x = build(ops.GINConv(), x, edges)
        for op in (ops.Linear(WORDS), ops.BatchNorm(), ops.ReLU(), ops.Linear(WORDS), ops.ReLU()):
            x = build(op, x)
    pooled = build(ops.Dropout(DROPPED), build(ops.GraphAddPool(), x, membership))
    return build.graph(build(ops.Linear(task.outputs), pooled))


def _convolution(*, stride: int) -> list[Op]:
    return [ops.Conv2d(CHANNELS, kernel_size=3, stride=stride, padding=1), ops.BatchNorm(), ops.SiLU()]
