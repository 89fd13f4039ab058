"""What goes into a network on a split of a task: its samples, a graph of which some nodes count, or graphs.

A network that reads edges computes all nodes of the task's graph at once, or, in batches, some nodes with neighbours
that are drawn; the loss and the metrics are those of the nodes of the split. A network that does not is fed with nodes
as with any other samples. Where samples are graphs, those of a batch go side by side through a network that reads edges
or memberships; another gets one vector a graph.

Letters: ``N`` samples, or nodes, ``D`` their features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archgraph.errors import SettingError
from archgraph.evaluation.layerwise import compute
from archgraph.evaluation.report import Metrics
from archgraph.graph import Graph
from archgraph.ops import Edges, Input
from archgraph.scoring.samples import around, beside, given, linked
from archgraph.tasks import GraphSet, NodeGraph, Split, Task

NODES, EDGES = "train.nodes", "train.edges"
"""How many nodes and edges went through a network in an epoch, in the learning curve where neighbours are drawn."""


class Feed(ABC):
    """A split as a network reads it.

    Attributes:
        y: targets ``[N, ...]``, one a sample of the split.
    """

    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    @abstractmethod
    def batches(self, order: Tensor, size: int) -> list[Tensor]:
        """Cut the samples of the split, in an order ``[N]``, into those that go through the network at once."""

    @abstractmethod
    def inputs(self, batch: Tensor | slice, seed: int = 0) -> tuple[Tensor, ...]:
        """Return what the network is given for a batch, one tensor an input; the seed is of what is drawn for it."""

    @abstractmethod
    def read(self, outputs: Tensor, batch: Tensor | slice) -> Tensor:
        """Return those of the network's outputs that are of a batch."""

    def outputs(self, module: nn.Module, batch: slice) -> Tensor:
        """Return the outputs of a network in eval mode for samples of the split, without gradients."""
        return self.read(module(*self.inputs(batch)), batch)

    def counted(self, batch: Tensor) -> Tensor | None:
        """Return the rows of the network's outputs that are of a batch, where others are there too."""
        return None

    def drawn(self, inputs: tuple[Tensor, ...]) -> Metrics:
        """Return how much of a graph was drawn for a batch, given its inputs; nothing where nothing is drawn."""
        return {}

    def pieces(self, size: int) -> Iterator[slice]:
        """Yield the samples in order, so many at once."""
        for start in range(0, len(self), size):
            yield slice(start, start + size)


class Samples(Feed):
    """Samples, to be batched by indexing.

    Args:
        x: inputs ``[N, ...]``.
        y: targets ``[N, ...]``.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def batches(self, order: Tensor, size: int) -> list[Tensor]:
        return _cut(order.to(self.x.device), size)

    def inputs(self, batch: Tensor | slice, seed: int = 0) -> tuple[Tensor, ...]:
        return (self.x[batch],)

    def read(self, outputs: Tensor, batch: Tensor | slice) -> Tensor:
        return outputs


@dataclass(frozen=True, eq=False)
class WholeGraph(Feed):
    """The nodes of one graph, all of which go through the network at once.

    Args:
        given: the tensors that the network takes, in the order of its inputs.
        y: targets of the nodes that count.
        rows: these nodes, ``[count]`` int64.
    """

    given: tuple[Tensor, ...]
    y: Tensor
    rows: Tensor

    def batches(self, order: Tensor, size: int) -> list[Tensor]:
        return [torch.arange(len(self.rows), device=self.rows.device)]  # one step an epoch, whatever the order

    def inputs(self, batch: Tensor | slice, seed: int = 0) -> tuple[Tensor, ...]:
        return self.given

    def read(self, outputs: Tensor, batch: Tensor | slice) -> Tensor:
        return outputs[self.rows[batch]]

    def outputs(self, module: nn.Module, batch: slice) -> Tensor:
        return self.read(compute(module, self.given), batch)

    def counted(self, batch: Tensor) -> Tensor | None:
        return self.rows[batch]

    def pieces(self, size: int) -> Iterator[slice]:
        yield slice(0, len(self))


class Neighborhoods(Feed):
    """Nodes of one graph, those of a batch with neighbours that are drawn, and theirs: to train on.

    Args:
        graph: of the network.
        whole: the graph of the task.
        split: name of the split.
        dtype: of the network.
        neighbors: how many are drawn for a node, hop after hop.
    """

    def __init__(
        self, graph: Graph, whole: NodeGraph, split: str, dtype: torch.dtype, neighbors: tuple[int, ...]
    ) -> None:
        self.graph, self.whole, self.dtype, self.neighbors = graph, whole, dtype, neighbors
        self.rows = whole.rows[split]
        self.y = whole.y[self.rows]

    def batches(self, order: Tensor, size: int) -> list[Tensor]:
        return _cut(order.to(self.rows.device), size)

    def inputs(self, batch: Tensor | slice, seed: int = 0) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        part = self.whole.arrivals.around(self.rows[batch], self.neighbors, generator)
        return around(self.graph, self.whole, part, self.dtype)

    def read(self, outputs: Tensor, batch: Tensor | slice) -> Tensor:
        return outputs[: len(self.rows[batch])]

    def counted(self, batch: Tensor) -> Tensor | None:
        return torch.arange(len(batch), device=self.rows.device)

    def drawn(self, inputs: tuple[Tensor, ...]) -> Metrics:
        kinds = {type(self.graph.op(name)): one for name, one in zip(self.graph.inputs, inputs, strict=True)}
        return {NODES: len(kinds[Input]), EDGES: kinds[Edges].shape[1]}


class Graphs(Feed):
    """Graphs, those of a batch side by side.

    Pieces that stay the same from epoch to epoch, as those of the validation split do, are put together once.

    Args:
        graph: of the network.
        whole: the graphs of the task.
        split: name of the split.
        dtype: of the network.
    """

    def __init__(self, graph: Graph, whole: GraphSet, split: str, dtype: torch.dtype) -> None:
        self.graph, self.whole, self.dtype, self.rows = graph, whole, dtype, whole.rows[split]
        self.y = whole.y[self.rows]
        self._known: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def batches(self, order: Tensor, size: int) -> list[Tensor]:
        return _cut(order.to(self.rows.device), size)

    def inputs(self, batch: Tensor | slice, seed: int = 0) -> tuple[Tensor, ...]:
        if isinstance(batch, Tensor):
            return beside(self.graph, self.whole, self.rows[batch], self.dtype)
        piece = (batch.start or 0, len(self) if batch.stop is None else batch.stop)
        if piece not in self._known:
            self._known[piece] = beside(self.graph, self.whole, self.rows[batch], self.dtype)
        return self._known[piece]

    def read(self, outputs: Tensor, batch: Tensor | slice) -> Tensor:
        return outputs


def _cut(order: Tensor, size: int) -> list[Tensor]:
    parts = list(order.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:  # a single one left over: batch norm needs two
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def feed(
    graph: Graph,
    task: Task,
    split: str,
    device: torch.device | str,
    dtype: torch.dtype,
    neighbors: tuple[int, ...] = (),
) -> Feed:
    """Return what goes into a network on a split of a task.

    Args:
        graph: of the network, which fits the task (:func:`~archgraph.evaluation.fit.check_fit`).
        task: the task.
        split: its name.
        device: where the network is.
        dtype: its floating-point type.
        neighbors: how many are drawn for a node of a graph, hop after hop; none to have the whole graph at once.
    """
    own, whole = task.splits[split].to(device), linked(graph, task)
    if isinstance(whole, GraphSet):
        return Graphs(graph, whole.to(device), split, dtype)
    y = own.y.to(dtype) if own.y.is_floating_point() else own.y
    if whole is None:
        assert not any(isinstance(graph.op(name), Edges) for name in graph.inputs)
        return Samples(own.x.to(dtype), y)
    whole = whole.to(device)
    if neighbors:
        return Neighborhoods(graph, whole, split, dtype, neighbors)
    return WholeGraph(given(graph, whole, dtype), y, whole.rows[split])


def check_neighbors(neighbors: tuple[int, ...], task: Task) -> None:
    """Raise a ``SettingError`` when neighbours are to be drawn, and a task's samples have none."""
    if neighbors and task.graph is None:
        raise SettingError(
            "only nodes of one graph have neighbours to draw",
            expected="a recipe without neighbors",
            got=f"task {task.name!r}",
        )


def samples_of(data: Split) -> Samples:
    """Return a split as plain samples."""
    return Samples(data.x, data.y)


def run_through(graph: Graph, task: Task, samples: int) -> int:
    """Return how many samples go through a network when so many count: all nodes, if it computes a whole graph.

    Of a task whose samples are graphs, they are as many nodes as these have on the average.
    """
    whole = linked(graph, task)
    if isinstance(whole, GraphSet):
        return round(samples * len(whole.x) / len(whole))
    return samples if whole is None else len(whole)
