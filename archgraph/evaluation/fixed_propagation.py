"""Propagation along edges that are the same in every pass, as products with a sparse matrix.

PyTorch Geometric gathers a row for every edge, multiplies and scatters, and keeps a row for every edge for the
gradient; products of compressed rows take a quarter of the time and keep nothing.
"""

from __future__ import annotations

import weakref
from types import MethodType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph.evaluation.sparse_features import mapped
from archgraph.evaluation.sparse_matrix import SparseMatrix


class _StandIn:
    """Stands in for a method of a layer, which copies of the layer have as ever.

    Args:
        layer: the layer.
    """

    method: ClassVar[str]

    def __init__(self, layer: nn.Module) -> None:
        self._layer = weakref.ref(layer)

    def own(self, *args: Any, **told: Any) -> Tensor:
        """Call the layer's own method."""
        found: Tensor = _own(self._layer(), self.method)(*args, **told)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _own(memo[id(self._layer())], self.method)

    def __reduce__(self) -> tuple[Any, ...]:
        return _own, (self._layer(), self.method)


class FixedPropagation(_StandIn):
    """Stands in for the ``propagate`` of a layer that adds up, or averages, what neighbours send.

    Args:
        layer: of PyTorch Geometric, whose message is ``x_j``, or ``edge_weight * x_j``.
        edges: ``[2, E]`` from sources to targets; any other edges are treated by the layer itself.
        weights: ``[E]`` as the layer gives them; None when it gives none.
        matrix: ``[N, N]`` what this is a product with.
    """

    method = "propagate"

    def __init__(self, layer: nn.Module, edges: Tensor, weights: Tensor | None, matrix: SparseMatrix) -> None:
        super().__init__(layer)
        self._edges, self._weights, self._matrix = edges, weights, matrix

    def __call__(self, edge_index: Any, size: Any = None, **told: Any) -> Tensor:
        """Return what nodes receive; arguments are those of ``MessagePassing.propagate``."""
        known = edge_index is self._edges and size is None
        if known and told.keys() <= {"x", "edge_weight"} and told.get("edge_weight") is self._weights:
            x = told["x"]
            x = x[0] if isinstance(x, tuple) else x
            plain = isinstance(x, Tensor) and x.ndim == 2 and not torch.is_autocast_enabled(x.device.type)
            if plain and x.dtype == self._matrix.values.dtype:  # sparse products know no mixed precision
                return self._matrix.times(x)
        return self.own(edge_index, size=size, **told)


class MapFirst(_StandIn):
    """Stands in for the ``forward`` of a SAGE layer: ``P (X W^T)`` in place of ``(P X) W^T``, which is wider.

    Who watches the linear map, as curvature does, sees it read ``P X`` as ever: then the layer's own is called.

    Args:
        layer: :class:`torch_geometric.nn.SAGEConv` that adds up or averages.
        edges: ``[2, E]`` from sources to targets; any other edges are treated by the layer itself.
        matrix: ``[N, N]`` what this is a product with.
    """

    method = "forward"

    def __init__(self, layer: nn.Module, edges: Tensor, matrix: SparseMatrix) -> None:
        super().__init__(layer)
        self._edges, self._matrix = edges, matrix

    def __call__(self, x: Any, edge_index: Any, size: Any = None) -> Tensor:
        """Return what the layer does; arguments are those of its ``forward``."""
        layer: Any = self._layer()
        known = edge_index is self._edges and size is None and isinstance(x, Tensor)
        mixed = isinstance(x, Tensor) and torch.is_autocast_enabled(x.device.type)
        if not known or mixed or x.dtype != self._matrix.values.dtype or _watched(layer.lin_l):
            dense = x.to_dense() if isinstance(x, Tensor) and x.layout == torch.sparse_csr else x
            return self.own(dense, edge_index, size)
        found = self._matrix.times(mapped(layer.lin_l, x))
        found = found if layer.lin_l.bias is None else found + layer.lin_l.bias
        found = found + layer.lin_r(x) if layer.root_weight else found
        return functional.normalize(found, dim=-1) if layer.normalize else found


def propagation_matrix(
    edges: Tensor,  # [2, E]
    weights: Tensor | None,  # [E]
    nodes: int,
    *,
    mean: bool = False,
    dtype: torch.dtype = torch.float32,
) -> SparseMatrix:
    """Return the matrix ``[N, N]`` of edges and their weights, targets by sources.

    Args:
        edges: from sources to targets.
        weights: of the edges; ones by default.
        nodes: ``N``.
        mean: whether to divide by the number of edges into a node.
        dtype: of ones.
    """
    values = torch.ones(edges.shape[1], dtype=dtype) if weights is None else weights
    if mean:
        values = values / torch.bincount(edges[1], minlength=nodes)[edges[1]]
    return SparseMatrix.of(edges[1], edges[0], values, (nodes, nodes))


def _watched(layer: Any) -> bool:
    return bool(
        "forward" in layer.__dict__ or layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    )


def _own(layer: Any, method: str) -> Any:
    return MethodType(getattr(type(layer), method), layer)
