"""The linear map from a layer's weight rows to its pre-activations on one batch, and its transpose.

A linear or convolution layer is linear in its weight: ``z = A(W) + b``. ``A`` is one convolution with other weights and
its transpose one weight gradient, so nothing is unfolded. A graph convolution is the linear layer of what its units
see, features that were propagated along edges, and its nodes are the samples. Letters: ``B`` samples, ``U`` units,
``D`` entries of a unit's row (the bias last, where it is displaced too), ``C`` input channels, ``G`` groups.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archgraph import ops
from archgraph.errors import SettingError
from archgraph.graph import Graph, Op
from archgraph.net import Captured, Network
from archgraph.ops.layout import each

GRAPH_LAYERS = (ops.GCNConv, ops.SGConv, ops.TAGConv, ops.ChebConv, ops.SAGEConv)
"""Layers on graphs that are a linear map of propagated features."""

_CONVOLUTION = (ops.Conv1d, ops.Conv2d, ops.Conv3d)
_TRANSPOSED = (ops.ConvTranspose1d, ops.ConvTranspose2d, ops.ConvTranspose3d)


class Layer:
    """One linear or convolution op on one batch, as a linear map of its weight.

    Rows are those of ``weight.reshape(U, -1)``; of a transposed convolution, whose weight has its inputs first, those
    of ``weight.transpose(0, 1).reshape(U, -1)`` (within a group). The inputs are kept as they come, not copied; only
    those that an even kernel pads unevenly (``padding="same"``) are padded once.

    Args:
        op: the op; grouped convolutions too.
        inputs: ``[B, ...]`` what it reads.
        weight: its weight; the values do not matter.
        bias: whether the bias is displaced too.
        heads: parts of a linear layer's inputs, each of which makes as many units, as in grouped convolutions.

    Raises:
        SettingError: when the op is no linear or convolution layer, or has no bias to displace.
    """

    def __init__(self, op: Op, inputs: Tensor, weight: Tensor, *, bias: bool = False, heads: int = 1) -> None:
        self.op, self.inputs, self.weight, self.bias = op, inputs, weight, bias
        if not isinstance(op, (ops.Linear, *_CONVOLUTION, *_TRANSPOSED)):
            raise SettingError(f"{type(op).__name__} is no linear map of weight rows", expected="a linear layer")
        if bias and not op.bias:
            raise SettingError(f"{op!r} has no bias to displace")
        self.linear = isinstance(op, ops.Linear)
        self.transposed = isinstance(op, _TRANSPOSED)
        self.groups = heads if isinstance(op, ops.Linear) else op.groups
        if self.transposed:
            self.units, self.entries = weight.shape[1] * self.groups, weight[:, 0].numel() // self.groups
        else:
            self.units, self.entries = len(weight), weight[0].numel()
        if not isinstance(op, ops.Linear):
            self._settings = self._read(op)

    @property
    def shape(self) -> tuple[int, int]:
        """``(U, D)``."""
        return self.units, self.entries + self.bias

    @property
    def unit_axis(self) -> int:
        """The axis of the units in what :meth:`apply` returns."""
        return self.inputs.ndim - 1 if self.linear else 1

    @torch.no_grad()
    def apply(
        self,
        rows: Tensor,  # [U, D]  V
    ) -> Tensor:  # [B, U, ...], or [B, ..., U] of a linear layer: A V
        """Return how the pre-activations move when the weight rows move along ``V``."""
        rows = rows.to(self.inputs.dtype)
        shift = rows[:, -1].contiguous() if self.bias else None
        weight = self._weight(rows[:, : self.entries])
        if self.linear and self.groups > 1:
            parts, rows = self._heads(self.inputs), weight.unflatten(0, (self.groups, -1))
            moved = torch.einsum("nhd,hud->nhu", parts, rows).flatten(1)
            return moved if shift is None else moved + shift
        if self.linear:
            return functional.linear(self.inputs, weight, shift)
        stride, padding, dilation, output_padding = self._settings
        given = (stride, padding, dilation, self.transposed, output_padding, self.groups)
        result: Tensor = torch.ops.aten.convolution(self.inputs, weight, shift, *given)
        return result

    @torch.no_grad()
    def adjoint(
        self,
        cotangent: Tensor,  # [B, U, ...], or [B, ..., U] of a linear layer
    ) -> Tensor:  # [U, D]  A^T
        """Return the weight gradient: the transpose of :meth:`apply`."""
        if self.linear:
            flat = cotangent.reshape(-1, self.units)
            if self.groups > 1:
                found = torch.einsum("nhu,nhd->hud", self._heads(flat), self._heads(self.inputs)).flatten(0, 1)
            else:
                found = flat.mT @ self.inputs.reshape(-1, self.inputs.shape[-1])
            return torch.cat([found, flat.sum(dim=0)[:, None]], dim=1) if self.bias else found
        stride, padding, dilation, output_padding = self._settings
        given = ([self.units], stride, padding, dilation, self.transposed, output_padding, self.groups)
        weight = self.weight.detach().to(self.inputs.dtype)
        _, grad, shift = torch.ops.aten.convolution_backward(
            cotangent, self.inputs, weight, *given, [False, True, self.bias]
        )
        rows = self._rows(grad)
        return torch.cat([rows, shift[:, None]], dim=1) if self.bias else rows

    def narrowed(
        self,
        units: Tensor,  # [u]  indices
    ) -> Layer:
        """Return the map of some units' rows; not of a grouped or transposed convolution.

        Args:
            units: which.
        """
        part = copy(self)
        part.weight, part.units = self.weight[units], len(units)
        return part

    def _heads(self, tensor: Tensor) -> Tensor:  # [N, heads, D]
        return tensor.unflatten(1, (self.groups, -1))

    def _weight(self, rows: Tensor) -> Tensor:
        """Return rows in the layout of the weight."""
        if not self.transposed:
            return rows.reshape(self.weight.shape)
        inner = self.weight.shape[2:]
        split = rows.reshape(self.groups, self.units // self.groups, -1, *inner)  # [G, U / G, C / G, ...]
        return split.transpose(1, 2).reshape(self.weight.shape)

    def _rows(self, weight: Tensor) -> Tensor:
        """Return a tensor in the layout of the weight as rows ``[U, D]``."""
        if not self.transposed:
            return weight.reshape(self.units, -1)
        split = weight.reshape(self.groups, -1, *weight.shape[1:])  # [G, C / G, U / G, ...]
        return split.transpose(1, 2).reshape(self.units, -1)

    def _read(self, op: Any) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return stride, padding, dilation and output padding, one number a side."""
        stride, dilation, kernel = (list(each(value, op.axes)) for value in (op.stride, op.dilation, op.kernel_size))
        if op.padding == "same":
            spans = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
            if any(span % 2 for span in spans):  # one zero more behind than before, as torch does it
                sides = [(span // 2, span - span // 2) for span in spans]
                self.inputs = functional.pad(self.inputs, [side for pair in reversed(sides) for side in pair])
                padding = [0] * op.axes
            else:
                padding = [span // 2 for span in spans]
        else:
            padding = list(each(op.padding, op.axes))
        extra = list(each(op.output_padding, op.axes)) if self.transposed else [0] * op.axes
        return stride, padding, dilation, extra

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros that a convolution adds on both sides of :attr:`inputs`."""
        return tuple(self._settings[1])

    @property
    def output(self) -> tuple[int, ...]:
        """Sizes of what :meth:`apply` returns."""
        if self.linear:
            return (*self.inputs.shape[:-1], self.units)
        window = zip(self.inputs.shape[2:], self.weight.shape[2:], *self._settings, strict=True)
        if self.transposed:
            sizes = [
                (size - 1) * jump - 2 * pad + step * (taps - 1) + more + 1
                for size, taps, jump, pad, step, more in window
            ]
        else:
            sizes = [(size + 2 * pad - step * (taps - 1) - 1) // jump + 1 for size, taps, jump, pad, step, _ in window]
        return (len(self.inputs), self.units, *sizes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one :meth:`apply`, or of one :meth:`adjoint`."""
        if self.transposed:  # every input paints a kernel a unit
            return self.inputs.numel() // self.inputs.shape[1] * self.units * self.entries
        return math.prod(self.output) * self.entries


def sees_along_edges(graph: Graph, name: str) -> bool:
    """Whether the units of a layer are linear maps of what reaches them over edges, attended to or not."""
    op = graph.op(name)
    return isinstance(op, GRAPH_LAYERS) or (isinstance(op, ops.GATConv) and bool(_parts(graph, name)[0]))


def rows_of(network: Network, name: str) -> Tensor:  # the weight as torch has it; [U, D] of a graph convolution
    """Return the tensor whose rows make the units of a layer: of a graph convolution several ones side by side."""
    tensors = network.tensors(name)
    if not sees_along_edges(network.graph, name):
        return tensors["weight"]
    names, _ = _parts(network.graph, name)
    return tensors[names[0]] if len(names) == 1 else torch.cat([tensors[key] for key in names], dim=1)


def has_bias(graph: Graph, name: str) -> bool:
    """Whether a layer has a bias."""
    return _parts(graph, name)[1] is not None


def row_entries(graph: Graph, name: str) -> int:
    """Return D without a bias."""
    specs, units = graph.tensors(name), graph.shape(name).units
    return sum(specs[key].size for key in _parts(graph, name)[0]) // units


def copies_of_columns(graph: Graph, name: str) -> int:
    """Return how many weights a unit of a layer has for each input unit, positions of a kernel apart."""
    return len(_parts(graph, name)[0]) if isinstance(graph.op(name), GRAPH_LAYERS) else 1


def layer_at(
    network: Network,
    name: str,
    captured: Captured,
    *,
    bias: bool = False,
) -> Layer:
    """Return the linear map of one use of a layer's weights on a captured batch.

    Args:
        network: the network.
        name: the layer, or a node that uses its weights.
        captured: with what the node reads, or of a graph convolution what its units see.
        bias: whether the bias is displaced too.
    """
    graph, op = network.graph, network.graph.op(name)
    if sees_along_edges(graph, name):
        like, heads = ops.Linear(graph.shape(name).units, bias=has_bias(graph, name)), getattr(op, "heads", 1)
        return Layer(like, captured.seen[name], rows_of(network, name), bias=bias, heads=heads)
    return Layer(op, captured.values[graph.node(name).inputs[0]], rows_of(network, name), bias=bias)


def _parts(graph: Graph, name: str) -> tuple[tuple[str, ...], str | None]:
    return graph.op(name).rows_of_unit(*graph.input_shapes(name))
