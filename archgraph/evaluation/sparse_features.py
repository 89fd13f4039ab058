"""Features of nodes that are mostly zero, and are the same in every pass: a linear map reads those alone that are not.

Bags of words have one entry in eighty. ``X W^T`` and the gradient ``G^T X`` of ``W`` are then products with a sparse
matrix: with 16 units a twentieth of the time on Cora, a fortieth on CiteSeer. Dropout of the features changes values
but no places, so what belongs to the places is found once.

Letters: ``N`` nodes, ``D`` features, ``M`` of them that are not zero.
"""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from archgraph.evaluation.sparse_matrix import SparseMatrix, version

_KNOWN: MutableMapping[Tensor, tuple[int, SparseMatrix]] = WeakTensorKeyDictionary()


def entries(features: Tensor) -> SparseMatrix:  # [N, D]
    """Return what is not zero of features; found once for every tensor, and anew after it was changed in place."""
    when, known = version(features), _KNOWN.get(features)
    if known is None or known[0] != when:
        known = _KNOWN[features] = (when, SparseMatrix.of_dense(features))
    return known[1]


class FeatureDropout(nn.Dropout):
    """Dropout of features of which most are zero: it draws numbers for the others alone.

    Zeros stay zeros either way, so it is the same distribution.

    Args:
        p: probability that an entry is zeroed.
        features: the tensor ``[N, D]``; any other is treated as by :class:`torch.nn.Dropout`.
        compressed: whether to return a compressed sparse row matrix, for layers that :func:`read_sparse` has changed.
    """

    def __init__(self, p: float, features: Tensor, *, compressed: bool = False) -> None:
        super().__init__(p)
        self._features = weakref.ref(features)
        self._entries = entries(features)
        self._compressed = compressed

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return input
        if input is not self._features():
            return super().forward(input)
        values = self._entries.values
        found = self._entries.compressed(values * (torch.rand_like(values) >= self.p) / (1.0 - self.p))
        return found if self._compressed else found.to_dense()

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Dropout:
        return nn.Dropout(self.p).train(self.training)  # averages of weights are never trained

    def __reduce__(self) -> tuple[Any, ...]:
        return nn.Dropout, (self.p,)


class _Reading:
    """What a linear layer does with the features that it knows, whole or as :class:`FeatureDropout` leaves them."""

    _entries: SparseMatrix
    _features: Any
    weight: Tensor

    def forward(self: Any, input: Tensor) -> Tensor:
        if not _by_entries(self, input):
            return super().forward(input.to_dense() if input.layout == torch.sparse_csr else input)  # type: ignore[misc]
        found = mapped(self, input)
        return found if self.bias is None else found + self.bias

    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # copies know nothing of the features
        held = {name: value for name, value in self.__dict__.items() if name not in ("_features", "_entries")}
        return _plain, (type(self).__mro__[2], held)


def mapped(layer: Any, x: Tensor) -> Tensor:  # [N, D] -> [N, U]
    """Return what a linear layer makes of features without its bias, by their entries where it knows them.

    Args:
        layer: with a ``weight`` ``[U, D]``.
        x: whole features, or compressed ones of :class:`FeatureDropout`, or others.
    """
    if _by_entries(layer, x):
        known: SparseMatrix = layer._entries
        return known.times(layer.weight.mT, None if x is layer._features() else x.values())
    return functional.linear(x.to_dense() if x.layout == torch.sparse_csr else x, layer.weight)


def _by_entries(layer: Any, x: Tensor) -> bool:
    """Whether a layer knows these features, and its weights are of a type that sparse products are there for."""
    if not isinstance(layer, _Reading) or not (x is layer._features() or _at_places(x, layer._entries)):
        return False
    return layer.weight.dtype == layer._entries.values.dtype and not torch.is_autocast_enabled(x.device.type)


def _at_places(x: Tensor, known: SparseMatrix) -> bool:
    """Whether it is a compressed matrix whose entries are where a known one has its own: a layer may read two."""
    return x.layout == torch.sparse_csr and x.col_indices().data_ptr() == known.columns.data_ptr()


def _plain(kind: type[nn.Module], held: dict[str, Any]) -> nn.Module:
    made = kind.__new__(kind)
    made.__dict__.update(held)
    return made


_READERS: dict[type[nn.Module], type[nn.Module]] = {}


def read_sparse(layer: nn.Module, features: Tensor) -> None:
    """Let the linear maps of a layer that can read these features do it by their entries; state_dict stays the same.

    Args:
        layer: a linear layer, or a graph layer that begins with linear maps; changed in place, copies of it are not.
        features: ``[N, D]``, on the CPU; must not change any more.
    """
    for part in layer.modules():
        kind, own = type(part), part._parameters.get("weight")
        if kind.__name__ != "Linear" or own is None or own.shape[1:] != features.shape[1:]:
            continue
        if not issubclass(kind, _Reading):
            if kind not in _READERS:
                _READERS[kind] = type(kind.__name__, (_Reading, kind), {"__module__": kind.__module__})
            part.__class__ = _READERS[kind]
        part.__dict__.update(_features=weakref.ref(features), _entries=entries(features))
