"""The outputs of a network for all nodes of a large graph: layer after layer, some nodes at a time.

A layer that reads edges makes a message for every edge, as long as the features that it sends: more than there is
memory for, on a graph that does not fit. Its outputs for some nodes need but the edges that end there, so such a layer
is computed for so many nodes at once as there is room for messages. All other layers see all nodes. It is what the
``inference`` methods of PyTorch Geometric's examples do by hand; outputs are the same but for rounding.

Letters: ``N`` nodes, ``E`` edges, ``D`` features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.ops.graph_layer import geometric
from archgraph.tasks.neighborhood import ALL, Arrivals

MOST = 2**25
"""Numbers in the messages of a layer, above which it is computed for some nodes at a time: 128 MiB in float32."""

AT_ONCE = 2**23
"""Numbers in the messages that are there at once then, unless those to a single node are more: about what caches hold,
so that it is faster too (five times, on 500,000 edges with 767 features)."""

_WIDEST = 2**11
"""Features of a message, more than which layers seldom have: a graph of so few edges is computed at once."""


def compute(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs of a network in eval mode, without gradients.

    Args:
        module: what ``Network.to_torch`` made; any other module is called as it is.
        inputs: what it takes of the whole graph.
    """
    edges = max((one.shape[1] for one in inputs if one.dtype == torch.int64 and one.ndim == 2), default=0)
    if not isinstance(module, fx.GraphModule) or edges * _WIDEST <= MOST:
        return module(*inputs)
    return _ByPieces(module).run(*inputs)


class _ByPieces(fx.Interpreter):
    """Runs a network node by node; of large layers, piece by piece."""

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = self.fetch_attr(target)
        if not kwargs and len(args) > 1 and (width := _width(layer, args)) is not None:
            x, edges, *weights = args
            if edges.shape[1] * width > MOST:
                return _pieces(layer, x, edges, weights[0] if weights else None, width)
        return super().call_module(target, args, kwargs)


def _width(layer: nn.Module, args: tuple[Any, ...]) -> int | None:
    """Return how long the messages of a layer are; None where outputs need more than the edges that end at a node."""
    convolutions = geometric()
    x, edges, *_ = args
    plain = all(isinstance(one, Tensor) and one.layout == torch.strided for one in (x, edges))
    if not plain or getattr(layer, "cached", False):
        return None
    own: dict[type[Any], Callable[[Any], int]] = {
        convolutions.SAGEConv: lambda layer: x.shape[1],
        convolutions.GINConv: lambda layer: x.shape[1],
        convolutions.GCNConv: lambda layer: layer.out_channels,
        convolutions.GATConv: lambda layer: layer.heads * layer.out_channels,
        convolutions.GATv2Conv: lambda layer: layer.heads * layer.out_channels,
        convolutions.TransformerConv: lambda layer: layer.heads * layer.out_channels,
    }
    size = own.get(type(layer))
    return None if size is None else size(layer)


def _pieces(layer: Any, x: Tensor, edges: Tensor, weights: Tensor | None, width: int) -> Tensor:  # [N, U]
    """Compute a layer for some nodes at a time; edges are normalised before, as that hears of both their ends."""
    if getattr(layer, "normalize", False) and isinstance(layer, geometric().GCNConv):
        norm = geometric().conv.gcn_conv.gcn_norm
        edges, weights = norm(edges, weights, len(x), layer.improved, layer.add_self_loops, layer.flow, x.dtype)
        layer = copy.copy(layer)
        layer.normalize = False
    arrivals = Arrivals.of(edges, len(x))
    outputs = []
    for first, last in _spans(arrivals.counts, AT_ONCE // width):
        if type(layer) in _plain_messages() and not getattr(layer, "project", False):
            links = arrivals.into(first, last)
            outputs.append(layer((x, x[first:last]), links, size=(len(x), last - first)))
            continue
        middle = torch.arange(first, last, device=x.device)
        part = arrivals.around(middle, (ALL,))
        own = () if weights is None else (weights[part.edges],)
        outputs.append(layer(x[part.nodes], part.edge_index, *own)[: len(middle)])
    return torch.cat(outputs)


def _plain_messages() -> tuple[type[Any], ...]:
    """Return the layers that send features as they come, so that nothing is to be computed of what is sent."""
    return geometric().SAGEConv, geometric().GINConv


def _spans(counts: Tensor, most: int) -> Iterator[tuple[int, int]]:
    """Cut nodes, in order, into spans at which so many edges end at most, or one node.

    >>> list(_spans(torch.tensor([3, 1, 0, 5, 9, 1]), 5))
    [(0, 3), (3, 4), (4, 5), (5, 6)]
    """
    ends, first, nodes = counts.cumsum(0), 0, len(counts)
    while first < nodes:
        before = int(ends[first]) - int(counts[first])
        last = int(torch.searchsorted(ends, torch.tensor(before + most, device=ends.device), right=True))
        yield first, max(last, first + 1)
        first = max(last, first + 1)
