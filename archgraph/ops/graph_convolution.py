"""Graph convolutions: a linear map of features that are propagated along normalised edges.

Letters: ``N`` nodes, ``D`` features of a node, ``U`` units, ``P = D^-1/2 (A + I) D^-1/2`` for the adjacency ``A``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Shape, TensorSpec
from archgraph.ops.graph_layer import _GraphConvolution, geometric, weights_of
from archgraph.ops.linear import count

Weights = tuple[tuple[str, ...], str | None]


def _matrix(units: int, source: Shape) -> TensorSpec:
    return TensorSpec((units, source.units), ("out", "in"))


def _normalised(x: Any, inputs: Any, *, improved: bool = False, loops: bool = True) -> tuple[Any, Any]:
    """Return edges and weights of ``P``."""
    gcn_norm = geometric().conv.gcn_conv.gcn_norm
    return gcn_norm(inputs[1], weights_of(inputs), len(x), improved, loops, "source_to_target", x.dtype)


@dataclass(frozen=True, repr=False)
class GCNConv(_GraphConvolution):
    """Graph convolution ``P X W + b`` (Kipf and Welling, 2017, https://arxiv.org/abs/1609.02907).

    It reads nodes, edges and perhaps weights of edges.

    Args:
        out_channels: ``U``.
        improved: whether a node counts twice for itself.
        add_self_loops: whether a node counts for itself.
        normalize: whether edges are normalised; else they are added up as they are, without the node itself.
        bias: whether there is a ``b``.
    """

    improved: bool = False
    add_self_loops: bool = True
    normalize: bool = True
    bias: bool = True
    arity: ClassVar[tuple[int, int | None]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.normalize:
            object.__setattr__(self, "add_self_loops", False)

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        bias = {"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {}
        return {**bias, "lin.weight": _matrix(self.out_channels, inputs[0])}

    def rows_of_unit(self, *inputs: Shape) -> Weights:
        return ("lin.weight",), "bias" if self.bias else None

    def seen(self, layer: Any, inputs: Any) -> Any:
        x, edges, weights = inputs[0], inputs[1], weights_of(inputs)
        if self.normalize:
            edges, weights = _normalised(x, inputs, improved=self.improved, loops=self.add_self_loops)
        return layer.propagate(edges, x=x, edge_weight=weights)

    def macs(self, *inputs: Shape) -> int:
        own = self.out_channels
        return inputs[0].units * own + self.propagated(own, *inputs, loops=self.add_self_loops)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().GCNConv(
            inputs[0].units,
            self.out_channels,
            improved=self.improved,
            add_self_loops=self.add_self_loops,
            normalize=self.normalize,
            bias=self.bias,
        )


@dataclass(frozen=True, repr=False)
class SGConv(_GraphConvolution):
    """Simple graph convolution ``P^K X W + b`` (Wu et al., 2019, https://arxiv.org/abs/1902.07153).

    Args:
        out_channels: ``U``.
        K: how often features are propagated.
        add_self_loops: whether a node counts for itself.
        bias: whether there is a ``b``.
    """

    K: int = 1
    add_self_loops: bool = True
    bias: bool = True
    arity: ClassVar[tuple[int, int | None]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.K, "K")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        bias = {"lin.bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {}
        return {"lin.weight": _matrix(self.out_channels, inputs[0]), **bias}

    def rows_of_unit(self, *inputs: Shape) -> Weights:
        return ("lin.weight",), "lin.bias" if self.bias else None

    def seen(self, layer: Any, inputs: Any) -> Any:
        x = inputs[0]
        edges, weights = _normalised(x, inputs, loops=self.add_self_loops)
        for _ in range(self.K):
            x = layer.propagate(edges, x=x, edge_weight=weights)
        return x

    def macs(self, *inputs: Shape) -> int:
        steps = self.K * self.propagated(inputs[0].units, *inputs, loops=self.add_self_loops)
        return inputs[0].units * self.out_channels + steps

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().SGConv(
            inputs[0].units, self.out_channels, K=self.K, add_self_loops=self.add_self_loops, bias=self.bias
        )


@dataclass(frozen=True, repr=False)
class TAGConv(_GraphConvolution):
    """Topology-adaptive convolution ``sum_k P^k X W_k + b``, k from 0 to K (Du et al., 2017, arXiv 1710.10370).

    ``P`` is without self-loops here.

    Args:
        out_channels: ``U``.
        K: how often features are propagated.
        bias: whether there is a ``b``.
        normalize: whether edges are normalised.
    """

    K: int = 3
    bias: bool = True
    normalize: bool = True
    arity: ClassVar[tuple[int, int | None]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.K, "K")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        bias = {"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {}
        return bias | {name: _matrix(self.out_channels, inputs[0]) for name in self._names}

    def rows_of_unit(self, *inputs: Shape) -> Weights:
        return self._names, "bias" if self.bias else None

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"lins.{k}.weight" for k in range(self.K + 1))

    def seen(self, layer: Any, inputs: Any) -> Any:
        x, edges, weights = inputs[0], inputs[1], weights_of(inputs)
        if self.normalize:
            edges, weights = _normalised(x, inputs, loops=False)
        found = [x]
        for _ in range(self.K):
            found.append(layer.propagate(edges, x=found[-1], edge_weight=weights))
        return torch.cat(found, dim=1)

    def macs(self, *inputs: Shape) -> int:
        own = inputs[0].units
        return (self.K + 1) * own * self.out_channels + self.K * self.propagated(own, *inputs)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().TAGConv(
            inputs[0].units, self.out_channels, K=self.K, bias=self.bias, normalize=self.normalize
        )


@dataclass(frozen=True, repr=False)
class ChebConv(_GraphConvolution):
    """Chebyshev convolution ``sum_k T_k(L) X W_k + b``, k below K (Defferrard et al., 2016, arXiv 1606.09375).

    ``L`` is the scaled Laplacian ``2 (I - D^-1/2 A D^-1/2) / l - I`` with the largest entry of the first for ``l / 2``.

    Args:
        out_channels: ``U``.
        K: number of polynomials.
        normalization: ``"sym"``, ``"rw"``, or None for the plain Laplacian.
        bias: whether there is a ``b``.
    """

    K: int = 2
    normalization: str | None = "sym"
    bias: bool = True
    arity: ClassVar[tuple[int, int | None]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.K, "K")
        if self.normalization not in ("sym", "rw", None):
            raise SettingError("unknown normalization", expected="'sym', 'rw' or None", got=repr(self.normalization))

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        bias = {"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {}
        return bias | {name: _matrix(self.out_channels, inputs[0]) for name in self._names}

    def rows_of_unit(self, *inputs: Shape) -> Weights:
        return self._names, "bias" if self.bias else None

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"lins.{k}.weight" for k in range(self.K))

    def seen(self, layer: Any, inputs: Any) -> Any:
        x = inputs[0]
        edges, norm = layer.__norm__(inputs[1], len(x), weights_of(inputs), self.normalization, dtype=x.dtype)
        found = [x]
        for k in range(1, self.K):
            moved = layer.propagate(edges, x=found[-1], norm=norm)
            found.append(moved if k == 1 else 2.0 * moved - found[-2])
        return torch.cat(found, dim=1)

    def macs(self, *inputs: Shape) -> int:
        own = inputs[0].units
        steps = (self.K - 1) * self.propagated(own, *inputs, loops=True)
        return self.K * own * self.out_channels + steps

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().ChebConv(
            inputs[0].units, self.out_channels, K=self.K, normalization=self.normalization, bias=self.bias
        )
