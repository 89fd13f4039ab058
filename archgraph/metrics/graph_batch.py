"""Tensors of a network on graphs as its ops read them: how large they are, and an example with numbers in it.

So many samples are so many nodes, in a ring where everyone is linked to those behind it, in two graphs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archgraph.graph import GRAPHS, Shape
from archgraph.graph.shape import EDGES, MEMBERSHIPS, SOME_EDGES, WEIGHTS


def on_graphs(shapes: Sequence[Shape]) -> bool:
    """Whether an op that reads these can only run on tensors with data: edges, or memberships, are among them."""
    return any(not shape.mixes for shape in shapes)


def degree(shapes: Sequence[Shape]) -> int:
    """Return how many edges a node has, by the edges among what is read."""
    return next((shape.positions for shape in shapes if shape.rows in (EDGES, SOME_EDGES)), 1)


def size(shape: Shape, samples: int, edges: int) -> tuple[int, ...]:
    """Return the size of a tensor.

    Args:
        shape: without the batch axis.
        samples: how many there are, or how many nodes.
        edges: of a node.

    >>> size(Shape((3, 1), -1, EDGES), 5, 3), size(Shape((7,), rows=GRAPHS), 5, 3), size(Shape((7,)), 5, 3)
    ((2, 15), (2, 7), (5, 7))
    """
    if shape.rows in (EDGES, SOME_EDGES):
        return 2, samples * shape.positions
    if shape.rows == WEIGHTS:
        return (samples * edges,)
    return min(2, samples) if shape.rows == GRAPHS else samples, *shape.dims


def example(shape: Shape, samples: int, edges: int, dtype: torch.dtype) -> Tensor:
    """Return a tensor with data; arguments are those of :func:`size`, and its type."""
    if shape.rows in (EDGES, SOME_EDGES):
        sources = torch.arange(samples).repeat(shape.positions)
        steps = torch.arange(1, shape.positions + 1).repeat_interleave(samples)
        return torch.stack([sources, (sources + steps) % samples])
    if shape.rows == MEMBERSHIPS:
        return torch.arange(samples) * min(2, samples) // samples
    return torch.ones(size(shape, samples, edges), dtype=dtype)
