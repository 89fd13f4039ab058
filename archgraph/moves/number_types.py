"""Which nodes hold numbers of another type than the network's weights: words and classes, and what is made of them.

Whole numbers come from inputs alone, so the search starts there and ends at embeddings and other layers with weights;
it costs in proportion to what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from archgraph.graph import Graph

_OWN = torch.float64
"""Stands for the type of the weights: numbers of no other type become it by themselves."""


def other_types(graph: Graph) -> Mapping[str, torch.dtype]:
    """Return the type of every node whose numbers are not of the type of the network's weights.

    These are inputs of whole numbers, parts and arrangements of them, what is calculated from them with tensors that
    are not trained (which may be of any type), and conversions to a certain type.

    Args:
        graph: the graph.
    """
    found: dict[str, torch.dtype] = {}
    waiting = []
    for name in graph.inputs:
        stated = str(getattr(graph.op(name), "dtype", ""))
        if stated.startswith("int"):
            found[name] = getattr(torch, stated)
            waiting.append(name)
    while waiting:
        for user in graph.users(waiting.pop()):
            kind = _type(graph, user, found)
            if kind != found.get(user, _OWN):
                found[user] = kind
                waiting.append(user)
    return found


def _type(graph: Graph, name: str, known: Mapping[str, torch.dtype]) -> torch.dtype:
    """Return the type of what a node returns, computed without memory."""
    if any(spec.trainable for spec in graph.tensors(name).values()):
        return _OWN
    op, shapes = graph.op(name), graph.input_shapes(name)
    if not all(shape.mixes for shape in shapes):  # edges stay edges, and nodes that read them have numbers of their own
        first = graph.node(name).inputs[0]
        return _OWN if shapes[0].mixes else known.get(first, _OWN)
    sources = zip(graph.node(name).inputs, shapes, strict=True)
    with torch.device("meta"), torch.no_grad():
        layer = op.module(*shapes)
        inputs = tuple(torch.empty(2, *shape.dims, dtype=known.get(source, _OWN)) for source, shape in sources)
        try:
            result = op.forward(inputs, shapes) if layer is None else layer.eval()(*inputs)
        except (RuntimeError, TypeError, NotImplementedError):  # it takes no whole numbers
            return _OWN
    return result.dtype if isinstance(result, Tensor) else _OWN
