"""Some nodes of a graph as samples: all of the graph goes through a network, and these nodes count.

Of a network that pools the nodes of several graphs, which lie side by side, graphs count instead of nodes.

Whatever takes samples ``[N, ...]`` and targets, to score on or to train gates on, takes :class:`Nodes` in their place.
A loss is then one of the outputs at the rows; what lies between sees every node, for a labelled node hears its
neighbours.

Letters: ``N`` nodes of the graph, ``K`` that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of one graph; indexing chooses among those that count.

    Args:
        given: what the network takes, in the order of ``graph.inputs``: features ``[N, D]``, edges, ...
        rows: ``[K]`` int64, the nodes that count, or graphs: rows of the network's output.

    >>> graph = Nodes((torch.eye(3), torch.tensor([[0, 1], [1, 2]])), torch.tensor([0, 2]))
    >>> len(graph), graph.total, graph[1:].rows
    (2, 3, tensor([2]))
    """

    given: tuple[Tensor, ...]
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Tensor | slice) -> Nodes:
        """Return the same graph with fewer nodes that count."""
        return replace(self, rows=self.rows[chosen])

    @property
    def total(self) -> int:
        """N."""
        return next(len(one) for one in self.given if one.is_floating_point() and one.ndim > 1)

    @property
    def device(self) -> torch.device:
        """Where the graph lies."""
        return self.rows.device

    @property
    def is_cuda(self) -> bool:
        """Whether that is a CUDA device."""
        return self.rows.is_cuda

    def is_inference(self) -> bool:
        """Whether it was made where no gradients are."""
        return any(one.is_inference() for one in (*self.given, self.rows))

    def clone(self) -> Nodes:
        """Return a copy."""
        return Nodes(tuple(one.clone() for one in self.given), self.rows.clone())

    def to(self, where: torch.dtype | torch.device) -> Nodes:
        """Return the graph with floating-point tensors of a type, or on a device."""
        if isinstance(where, torch.device):
            return Nodes(tuple(one.to(where) for one in self.given), self.rows.to(where))
        return replace(self, given=tuple(one.to(where) if one.is_floating_point() else one for one in self.given))


Samples = Tensor | Nodes
"""What goes into a network of one input, ``[N, ...]``, or into one that reads edges."""


def arguments(inputs: Tensor | tuple[Tensor, ...] | Nodes) -> tuple[Tensor, ...]:
    """Return the tensors that a network is called with."""
    if isinstance(inputs, Nodes):
        return inputs.given
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def counted(inputs: Tensor | tuple[Tensor, ...] | Nodes, outputs: Any) -> Any:
    """Return those outputs of a network that count: at the rows, of nodes; all others as they are."""
    return outputs[inputs.rows] if isinstance(inputs, Nodes) else outputs


def passed(inputs: Tensor | tuple[Tensor, ...] | Nodes) -> int:
    """Return how many samples a forward pass computes: all nodes of a graph, however few count."""
    return inputs.total if isinstance(inputs, Nodes) else len(arguments(inputs)[0])


def batches(
    x: Samples,
    y: Tensor,  # [N, ...]
    size: int,
) -> Iterator[tuple[Samples, Tensor]]:
    """Yield samples and targets, so many at once; of a graph all, which is one pass whatever counts."""
    if isinstance(x, Nodes):
        yield x, y
        return
    yield from zip(x.split(size), y.split(size), strict=True)
