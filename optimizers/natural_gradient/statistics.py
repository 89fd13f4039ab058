"""Rows whose second moments are the Kronecker factors of a site: what its weights read, and the gradients they get.

The block of a layer ``z_m = W x_m + b`` that is used at the rows ``m`` of all samples is approximated by ``A x G``,

    A = mean over rows of x_m x_m^T,    G = sum over rows of g_m g_m^T,                                (expand)

with ``x_m`` ending in a 1 where there is a bias and ``g_m`` the gradient, at row ``m``, of the loss of one sample times
the root of the sample's share. With several rows a sample (positions of a text or an image), the form

    A = mean over samples of xbar xbar^T,    G = sum over samples of (sum_m g_m)(sum_m g_m)^T,          (reduce)

with ``xbar`` the mean over a sample's rows, is the other way of K-FAC with weight sharing: Eschenhagen et al., arXiv
2311.00636. ``A`` is a mean over the rows of samples that carry the loss, by their shares, where rows are known to
belong to samples: exact for one linear graph layer, and what keeps wide inputs cheap.

Letters: ``N`` samples or nodes, ``K`` rows, ``D`` inputs (a bias's 1 among them), ``U`` outputs, ``P`` positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from optimizers.natural_gradient.propagation import Propagation
from optimizers.natural_gradient.recorder import Record
from optimizers.natural_gradient.shares import Shares


def input_rows(
    record: Record, shares: Shares, *, reduce: bool = False, every: bool = False, again: bool = False
) -> Tensor | None:  # [K, D]
    """Return what a call's weights read, a row each, times the root of the row's weight; the weights sum to 1.

    Args:
        record: of a linear, convolving or propagating site.
        shares: who carries the loss.
        reduce: whether to take the mean over the positions of a sample.
        every: whether to take the rows of all samples alike, with or without a share.
        again: whether known ones will do, and None is returned, as by :meth:`Propagation.factor`.
    """
    known = not every and record.inputs.shape[0] == shares.count
    if record.site.kind == "propagating":
        by = Propagation.reaching(shares.rows if known else None, record)
        return by.factor(record, shares.portions if known else None, again=again)
    else:
        x = record.inputs.detach()
        if known and x.layout == torch.sparse_csr:
            x = Propagation.starting(shares.rows, record, x).apply(x)
        elif known and shares.rows is not None:
            x = x.index_select(0, shares.rows)
        rows = _to_dense(x) if record.site.kind == "linear" else _patches(record.site.module, x)
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    samples = rows.shape[0]
    rows = rows.reshape(samples, -1, rows.shape[-1])  # [N, P, D]
    if reduce:
        rows = rows.mean(1, keepdim=True)
    positions = rows.shape[1]
    if known:
        weights = shares.portions.to(rows.dtype).repeat_interleave(positions) / positions
    else:
        weights = rows.new_full((samples * positions,), 1.0 / max(samples * positions, 1))
    return with_one(rows.flatten(0, 1), record) * weights.sqrt().unsqueeze(1)


def output_rows(grads: Tensor, record: Record, *, reduce: bool = False) -> Tensor:  # [K, U]
    """Return the gradients at a call's outputs, a row each.

    Args:
        grads: ``[N, ..., U]``, or ``[N, U, ...]`` of a convolution.
        record: the call.
        reduce: whether to sum over the positions of a sample.
    """
    rows = grads.movedim(1, -1) if record.site.kind == "convolution" else grads
    rows = rows.reshape(rows.shape[0], -1, rows.shape[-1])
    rows = rows.sum(1) if reduce else rows.flatten(0, 1)
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def normalised(record: Record) -> Tensor:
    """Return what a norm layer multiplies with its weight, the units on the last axis.

    Args:
        record: of a batch, layer, group or instance norm.
    """
    layer: Any = record.site.module
    x = record.inputs.detach()
    if isinstance(layer, nn.LayerNorm):
        return functional.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return functional.group_norm(x, layer.num_groups, eps=layer.eps).movedim(1, -1)
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        return functional.instance_norm(x, eps=layer.eps).movedim(1, -1)
    mean, variance = (None, None) if layer.training else (layer.running_mean, layer.running_var)
    return functional.batch_norm(x, mean, variance, training=mean is None, eps=layer.eps).movedim(1, -1)


def moment(rows: Tensor) -> Tensor:  # [K, D] -> [D, D]
    """Return the second moment of rows."""
    return rows.mT @ rows


def propagated(record: Record, shares: Shares | None) -> Tensor:  # [K, D]
    """Return what a graph layer's weights read after its propagation, or a linear layer's as it is.

    Args:
        record: of the call.
        shares: whose rows to return; all where there are none.
    """
    if record.site.kind != "propagating":
        return _to_dense(record.inputs.detach()).flatten(0, -2)
    return Propagation.reaching(None if shares is None else shares.rows, record).applied(record)


def _patches(layer: nn.Module, x: Tensor) -> Tensor:  # [N, C, ...] -> [N, P, C * kernel]
    """Return what a convolution reads at each position, in the order of its weight's axes."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    spread = functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    sizes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    axes = len(layer.kernel_size)
    for axis, (size, stride, dilation) in enumerate(sizes, start=2):
        spread = spread.unfold(axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
    spread = spread.movedim(1, 1 + axes)  # [N, positions..., C, kernel...]
    return spread.flatten(1 + axes).flatten(1, axes)


def with_one(rows: Tensor, record: Record) -> Tensor:
    """Return rows with the constant 1 that a site's bias reads, where it has one."""
    return rows if record.site.bias is None else torch.cat((rows, rows.new_ones(len(rows), 1)), dim=1)


def _to_dense(x: Tensor) -> Tensor:
    return x if x.layout == torch.strided else x.to_dense()
