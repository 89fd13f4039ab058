"""What a network on graphs is tried with: features of nodes, edges, their weights, memberships.

Letters: ``N`` nodes, ``E`` edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from archgraph.graph import GRAPHS, SAMPLES, Graph
from archgraph.graph.shape import EDGES, MEMBERSHIPS, SOME_EDGES, WEIGHTS
from archgraph.ops.edges import graph_input

NODES = 7
"""Nodes of a random graph; the last has no edges."""

_SHAPES = {EDGES: "[2, E]", SOME_EDGES: "[2, E]", WEIGHTS: "[E]", MEMBERSHIPS: "[N]"}


def on_graphs(graph: Graph) -> bool:
    """Whether a network reads graphs of nodes: edges, or which graph a node is of."""
    return any(not graph.shape(name).mixes for name in graph.inputs)


def shape_text(graph: Graph, name: str) -> str:
    """Return the shape of a node's output with its batch axis, such as ``[N, 3, 8, 8]`` or ``[2, E]``.

    The batch axis is ``N`` for samples, which are nodes in a network on graphs, and ``G`` for graphs.
    """
    shape = graph.shape(name)
    if shape.rows in (SAMPLES, GRAPHS):
        return f"[{', '.join(('N' if shape.rows == SAMPLES else 'G', *map(str, shape.dims)))}]"
    return _SHAPES[shape.rows]


def drawn(graph: Graph, name: str, dtype: torch.dtype, generator: torch.Generator) -> Tensor | None:
    """Return an example of an input that is no batch of samples: of a random graph; None for others."""
    found = graph_input(graph, name, NODES, generator)
    return found.to(dtype) if found is not None and found.is_floating_point() else found


def fits(graph: Graph, given: Sequence[Tensor]) -> bool:
    """Whether tensors are what a network on graphs takes, one an input: edges between nodes that are there."""
    if len(given) != len(graph.inputs):
        return False
    nodes = next((len(x) for x, name in zip(given, graph.inputs, strict=True) if graph.shape(name).mixes), 0)
    edges = {x.shape[-1] for x, name in _of(graph, given, EDGES, WEIGHTS) if x.ndim}
    right = len(edges) <= 1
    for x, name in zip(given, graph.inputs, strict=True):
        shape = graph.shape(name)
        if shape.mixes:
            right = right and tuple(x.shape) == (nodes, *shape.dims)
        elif shape.rows == EDGES:
            right = right and x.ndim == 2 and len(x) == 2 and x.dtype == torch.int64 and _within(x, nodes)
        elif shape.rows == WEIGHTS:
            right = right and x.ndim == 1 and x.is_floating_point()
        else:
            right = right and tuple(x.shape) == (nodes,) and x.dtype == torch.int64 and _within(x, nodes)
    return right


def twice(graph: Graph, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return two copies of a graph side by side, as the inputs of one; memberships of the second are others."""
    found = []
    for x, name in zip(given, graph.inputs, strict=True):
        if graph.shape(name).rows == EDGES:
            found.append(torch.cat([x, x + nodes_of(graph, given)], dim=1))
        elif graph.shape(name).rows == MEMBERSHIPS:
            found.append(torch.cat([x, x + (int(x.max()) + 1 if len(x) else 0)]))
        else:
            found.append(torch.cat([x, x]))
    return tuple(found)


def nodes_of(graph: Graph, given: Sequence[Tensor]) -> int:
    """Return how many nodes, or other samples, some inputs have."""
    sizes = (
        len(x) for x, name in zip(given, graph.inputs, strict=True) if graph.shape(name).rows not in (EDGES, WEIGHTS)
    )
    return next(sizes, NODES)


def free_axes(graph: Graph) -> tuple[dict[int, torch.export.Dim], ...]:
    """Return for every input the axes whose length is free: nodes (or other samples), and edges."""
    nodes, edges = torch.export.Dim("nodes" if on_graphs(graph) else "batch"), torch.export.Dim("edges")
    axes = {EDGES: {1: edges}, WEIGHTS: {0: edges}}
    return tuple(axes.get(graph.shape(name).rows, {0: nodes}) for name in graph.inputs)


def _of(graph: Graph, given: Sequence[Tensor], *rows: str) -> Iterator[tuple[Tensor, str]]:
    for x, name in zip(given, graph.inputs, strict=True):
        if graph.shape(name).rows in rows:
            yield x, name


def _within(indices: Tensor, nodes: int) -> bool:
    return not indices.numel() or (int(indices.min()) >= 0 and int(indices.max()) < nodes)
