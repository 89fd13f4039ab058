"""Making use of the fact that all of a training is on one graph, in its lowered module.

What is the same in every pass need not be computed every time:

- normalised edges: a graph convolution that reads the task's own edges gets them from what the graph keeps, as if
  ``cached=True`` had been given to it (PyTorch Geometric's way; nothing of it is in the ``state_dict``);
- propagation along them is a product with a sparse matrix (:mod:`archgraph.evaluation.fixed_propagation`);
- features that are not zero are few: dropout draws numbers for these alone, and layers that begin with a linear map
  read these alone (:mod:`archgraph.evaluation.sparse_features`).

The last two on a CPU, in float32 or float64: there they were measured to be faster.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.weak import WeakTensorKeyDictionary

from archgraph import ops
from archgraph.evaluation.fixed_propagation import FixedPropagation, MapFirst, propagation_matrix
from archgraph.evaluation.quick_dropout import QuickDropout
from archgraph.evaluation.sparse_features import FeatureDropout, read_sparse
from archgraph.evaluation.sparse_matrix import FEW, SparseMatrix, version
from archgraph.graph import Graph
from archgraph.net import target
from archgraph.ops.graph_layer import geometric

LINEAR_FIRST = (ops.Linear, ops.GCNConv, ops.GATConv, ops.GATv2Conv, ops.TransformerConv)
"""What reads features by a linear map and by nothing else; other graph layers propagate them first."""
PLAIN_SUMS = (ops.SAGEConv, ops.GINConv)
"""What adds up, or averages, the features of neighbours as they are."""

_NORMALISED: MutableMapping[Tensor, dict[Any, Any]] = WeakTensorKeyDictionary()
_MATRICES: MutableMapping[Tensor, dict[Any, SparseMatrix]] = WeakTensorKeyDictionary()


def settle_on_graph(module: fx.GraphModule, graph: Graph, inputs: tuple[Tensor, ...], *, sparse: bool = True) -> None:
    """Let a module know the graph that it will be run on, and no other.

    Args:
        module: what ``Network.to_torch`` made; changed in place.
        graph: its architecture.
        inputs: what it will be given: the same tensors every time.
        sparse: whether sparse matrices may be used, which a compiler does not understand.
    """
    given = dict(zip(graph.inputs, inputs, strict=True))
    x = next(given[name] for name in graph.inputs if graph.shape(name).mixes)
    fast = sparse and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    for node in graph:
        layer: Any = getattr(module, target(node.owner), None)
        if fast and type(layer) is nn.Dropout:
            setattr(module, target(node.owner), QuickDropout(layer.p))
        read = [given[name] for name in node.inputs[1:] if name in given]
        alike = all(graph.node(other).inputs[1:] == node.inputs[1:] for other in graph.tied(node.name))
        if not read or len(read) < len(node.inputs) - 1 or not alike:
            continue  # a layer that is used along several edges keeps none
        if getattr(layer, "cached", None) is False and hasattr(layer, "_cached_edge_index") and layer.normalize:
            layer.cached = True
            layer._cached_edge_index = edges, weights = _normalised(layer, x, *read)
            if fast:
                layer.propagate = FixedPropagation(layer, edges, weights, _matrix(edges, weights, x))
        elif fast and isinstance(graph.op(node.name), PLAIN_SUMS) and layer.aggr in ("mean", "add", "sum"):
            matrix = _matrix(read[0], None, x, mean=layer.aggr == "mean")
            layer.propagate = FixedPropagation(layer, read[0], None, matrix)
            if isinstance(graph.op(node.name), ops.SAGEConv) and _narrows(graph, node.name):
                layer.forward = MapFirst(layer, read[0], matrix)
    _read_entries(module, graph, given, fast)


def _read_entries(module: fx.GraphModule, graph: Graph, given: Mapping[str, Tensor], fast: bool) -> None:
    """Let what reads features that are mostly zero read the others alone."""
    for name, x in given.items():
        op = graph.op(name)
        if not (isinstance(op, ops.Input) and op.dtype == "float32" and int(x.count_nonzero()) <= FEW * x.numel()):
            continue
        for user in graph.users(name):
            place = target(graph.node(user).owner)
            layer: Any = getattr(module, place, None)
            if type(layer) in (nn.Dropout, QuickDropout) and x.ndim == 2:
                compressed = fast and all(_maps(module, graph, after, user) for after in graph.users(user))
                setattr(module, place, FeatureDropout(layer.p, x, compressed=compressed and user not in graph.outputs))
                read = graph.users(user) if compressed else ()
            else:
                read = (user,) if fast and x.ndim == 2 and _maps(module, graph, user, name) else ()
            for after in read:
                read_sparse(getattr(module, target(graph.node(after).owner)), x)


def _maps(module: fx.GraphModule, graph: Graph, user: str, name: str) -> bool:
    """Whether a node reads another by linear maps alone."""
    layer: Any = getattr(module, target(graph.node(user).owner), None)
    first = type(graph.op(user)) in LINEAR_FIRST or isinstance(getattr(layer, "forward", None), MapFirst)
    inputs = graph.node(user).inputs
    return first and inputs.index(name) == 0 and inputs.count(name) == 1


def _narrows(graph: Graph, name: str) -> bool:
    return graph.shape(name).units <= graph.input_shapes(name)[0].units


def _normalised(layer: Any, x: Tensor, edges: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return edges and weights that are normalised as a layer does it; computed once for every graph."""
    settings = (
        getattr(layer, "improved", False),
        layer.add_self_loops,
        x.dtype,
        *_told(edges, weights),
    )
    known = _NORMALISED.setdefault(edges, {})
    if settings not in known:
        improved, loops, dtype = settings[:3]
        norm = geometric().conv.gcn_conv.gcn_norm
        links, shares = norm(edges, weights, len(x), improved, loops, "source_to_target", dtype)
        links = links.clone() if links is edges else links  # what is kept for edges must not keep them
        known[settings] = (links, shares, weights)
    return known[settings][:2]


def _matrix(edges: Tensor, weights: Tensor | None, x: Tensor, *, mean: bool = False) -> SparseMatrix:
    """Return the matrix of edges, which is made once."""
    known = _MATRICES.setdefault(edges, {})
    settings = (*_told(edges, weights), len(x), x.dtype, mean)
    if settings not in known:
        known[settings] = propagation_matrix(edges, weights, len(x), mean=mean, dtype=x.dtype)
    return known[settings]


def _told(edges: Tensor, weights: Tensor | None) -> tuple[int, ...]:
    """Return what tells edges and weights from what they were before they were changed in place."""
    return (version(edges),) if weights is None else (version(edges), id(weights), version(weights))
