"""The small network from which a search starts where no graph is given."""

from __future__ import annotations

from archgraph import ops
from archgraph.errors import DataError
from archgraph.graph import Graph, Op, chain
from archgraph.tasks.tabular import Tabular
from archgraph.tasks.task import Task

CHANNELS = 4
"""Units of each convolution."""

NEURONS = 3
"""Units of each hidden linear layer."""

WORDS = 16
"""Units of the hidden layer for nodes of a graph, whose features are many: as in Kipf and Welling, arXiv 1609.02907."""


def seed_graph(task: Task) -> Graph:
    """Return a small network that takes the task's inputs and gives its outputs.

    Images get two convolutions with batch norm and SiLU, the second of stride 2, and global average pooling; vectors
    get two hidden layers with SiLU. The toy of the splitting papers gets the papers' network, one Gaussian neuron
    without biases, as its input holds a constant already. Of a task that is answered from a table it is one that the
    table has.

    Raises:
        DataError: when inputs are neither images nor vectors, which only a graph of your own can take.
    """
    if isinstance(task, Tabular):
        return task.example
    shape, outputs = task.input_shape, task.outputs
    if task.name.partition(":")[0] == "toy-rbf":
        hidden: list[Op] = [ops.Linear(1, bias=False), ops.Gaussian(), ops.Linear(outputs, bias=False)]
    elif task.graph is not None:
        hidden = [ops.Linear(WORDS), ops.SiLU(), ops.Linear(outputs)]
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


def _convolution(*, stride: int) -> list[Op]:
    return [ops.Conv2d(CHANNELS, kernel_size=3, stride=stride, padding=1), ops.BatchNorm(), ops.SiLU()]
