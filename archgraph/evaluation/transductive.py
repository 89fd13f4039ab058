"""Making use of the fact that all of a training is on one graph, in its lowered module.

Two things are the same in every pass, and so need not be computed every time:

- normalised edges: a graph convolution that reads the task's own edges gets them from what the graph keeps, as if
  ``cached=True`` had been given to it (PyTorch Geometric's way; nothing of it is in the ``state_dict``);
- which features are not zero: dropout of features draws numbers for these alone. Zeros stay zeros either way, so it is
  the same distribution; for bags of words, of which one feature in eighty is there, it is ten times faster.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.weak import WeakTensorKeyDictionary

from archgraph import ops
from archgraph.graph import Graph
from archgraph.net import target
from archgraph.ops.graph_layer import geometric

FEW = 0.25
"""Share of features that are not zero, up to which dropout is of these alone."""

_NORMALISED: MutableMapping[Tensor, dict[Any, Any]] = WeakTensorKeyDictionary()


class ValueDropout(nn.Dropout):
    """Dropout of a tensor that mostly holds zeros, and is the same every time: of what is not zero alone.

    Args:
        p: probability that an entry is zeroed.
        features: the tensor ``[N, D]``; any other is treated as by :class:`torch.nn.Dropout`.
    """

    def __init__(self, p: float, features: Tensor) -> None:
        super().__init__(p)
        self._features = weakref.ref(features)
        self._places = features.reshape(-1).nonzero().squeeze(1)  # [values]
        self._values = features.reshape(-1)[self._places]

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0 or input is not self._features():
            return super().forward(input)
        kept = torch.rand_like(self._values) >= self.p
        found = torch.zeros_like(input)
        found.view(-1)[self._places] = self._values * kept / (1.0 - self.p)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Dropout:
        return nn.Dropout(self.p).train(self.training)  # averages of weights are never trained

    def __reduce__(self) -> tuple[Any, ...]:
        return nn.Dropout, (self.p,)


def settle_on_graph(module: fx.GraphModule, graph: Graph, inputs: tuple[Tensor, ...]) -> None:
    """Let a module know the graph that it will be run on, and no other.

    Args:
        module: what ``Network.to_torch`` made; changed in place.
        graph: its architecture.
        inputs: what it will be given: the same tensors every time.
    """
    given = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph:
        layer: Any = getattr(module, target(node.owner), None)
        if type(layer) is nn.Dropout and isinstance(source := graph.op(node.inputs[0]), ops.Input):
            x = given[node.inputs[0]]
            if source.dtype == "float32" and int(x.count_nonzero()) <= FEW * x.numel():
                setattr(module, target(node.owner), ValueDropout(layer.p, x))
        elif getattr(layer, "cached", None) is False and hasattr(layer, "_cached_edge_index") and layer.normalize:
            read = [given[name] for name in node.inputs[1:] if name in given]
            if len(read) == len(node.inputs) - 1:
                layer.cached = True
                layer._cached_edge_index = _normalised(layer, _features(graph, given), *read)


def _features(graph: Graph, given: Mapping[str, Tensor]) -> Tensor:
    return next(given[name] for name in graph.inputs if graph.shape(name).mixes)


def _normalised(layer: Any, x: Tensor, edges: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return edges and weights that are normalised as a layer does it; computed once for every graph."""
    settings = (
        getattr(layer, "improved", False),
        layer.add_self_loops,
        x.dtype,
        None if weights is None else id(weights),
    )
    known = _NORMALISED.setdefault(edges, {})
    if settings not in known:
        improved, loops, dtype, _ = settings
        norm = geometric().conv.gcn_conv.gcn_norm
        known[settings] = (*norm(edges, weights, len(x), improved, loops, "source_to_target", dtype), weights)
    return known[settings][:2]
