"""Attention between neighbouring nodes of a graph.

Letters: ``D`` features of a node, ``H`` heads, ``C`` units of a head.

Heads stand one after the other (``concat``), or their mean is taken. Either way the units of a head may be resized, by
the name of the node, and so may heads, as its inner axis ``heads``. Where heads are concatenated, unit ``c`` stands in
every head, and a unit of the node is all of them; a head more is ``C`` output units more for whoever reads them.

A copy of a head with a share of it, in a mean, has values times the share, and attention must not see that: its weights
are divided by it. The share must be positive for that, but in :class:`GATConv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from archgraph.graph import Absorb, Along, Op, Parts, Role, Shape, SizeRule, TensorSpec
from archgraph.ops.attention import HEADS, check_dropout
from archgraph.ops.graph_layer import _GraphLayer, geometric
from archgraph.ops.linear import count

_UNITS, _READS = Along("out"), Along("out", reads=True)
_HEADS, _SHARES = Along(HEADS), Along(HEADS, reads=True)
_UNDONE = Along(HEADS, inverse=True)


@dataclass(frozen=True, repr=False)
class _GraphAttention(_GraphLayer):
    out_channels: int
    heads: int = 1
    concat: bool = True

    def __post_init__(self) -> None:
        count(self.out_channels, "out_channels")
        count(self.heads, "heads")
        check_dropout(getattr(self, "dropout", 0.0))

    @property
    def units(self) -> int:
        """Output units: ``H C``, or ``C`` of a mean."""
        return self.out_channels * (self.heads if self.concat else 1)

    def infer(self, *inputs: Shape) -> Shape:
        return super().infer(*inputs).resized(self.units)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Absorb(self.heads, HEADS) if self.concat else Absorb()

    def inner(self, *inputs: Shape) -> Mapping[str, int]:
        return {HEADS: self.heads}

    def inner_resized(self, axis: str, units: int, *inputs: Shape) -> Op:
        return self._with(heads=units)

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_channels=units // self.heads if self.concat else units)

    def module(self, *inputs: Shape) -> nn.Module:
        """Return the layer of PyTorch Geometric, which has the name of this class and its settings."""
        layer = getattr(geometric(), type(self).__name__)
        return layer(inputs[0].units, **{field.name: getattr(self, field.name) for field in fields(self)})

    # ------------------------------------------------------------------ tensors of PyTorch Geometric's layers
    @property
    def _wide(self) -> int:
        return self.heads * self.out_channels

    @property
    def _values(self) -> Role:
        """The role of rows that make values, of which a mean takes its share."""
        return Parts((((_HEADS if self.concat else _SHARES), _UNITS),))

    @property
    def _share(self) -> float:
        return 1.0 if self.concat else 1.0 / self.heads

    def _value_rows(self, source: Shape, name: str, *, bias: bool) -> dict[str, TensorSpec]:
        rows, gain = self._values, self._share
        found = {f"{name}.weight": TensorSpec((self._wide, source.units), (rows, "in"), gain=gain)}
        return found | ({f"{name}.bias": TensorSpec((self._wide,), (rows,), gain=gain)} if bias else {})

    @property
    def _attends(self) -> TensorSpec:
        """Weights of attention ``[1, H, C]``, which read values."""
        head, gain = (_HEADS, 1.0) if self.concat else (_UNDONE, float(self.heads))
        return TensorSpec((1, self.heads, self.out_channels), (None, head, _READS), gain=gain)

    @property
    def _out(self) -> Role:
        """The role of an axis along all output units."""
        return Parts(((_HEADS, _UNITS),)) if self.concat else "out"

    def _added(self, source: Shape, *, bias: bool, residual: bool) -> tuple[dict[str, TensorSpec], ...]:
        """Return the tensors of a bias and of a residual branch, where there are some."""
        last = {"bias": TensorSpec((self.units,), (self._out,))} if bias else {}
        branch = {"res.weight": TensorSpec((self.units, source.units), (self._out, "in"))} if residual else {}
        return last, branch


@dataclass(frozen=True, repr=False)
class _AdditiveAttention(_GraphAttention):
    """Base of layers that weigh edges by a vector a head and a leaky rectifier."""

    negative_slope: float = 0.2
    dropout: float = 0.0
    add_self_loops: bool = True
    bias: bool = True
    residual: bool = False


@dataclass(frozen=True, repr=False)
class GATConv(_AdditiveAttention):
    """Graph attention (Velickovic et al., 2018, https://arxiv.org/abs/1710.10903).

    Args:
        out_channels: ``C``.
        heads: ``H``.
        concat: whether heads stand one after the other; else their mean is taken.
        negative_slope: of the leaky rectifier.
        dropout: probability that an edge's share of attention is zeroed while training.
        add_self_loops: whether a node attends to itself.
        bias: whether a bias is added.
        residual: whether a linear map of the node's own features is added.
    """

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        last, branch = self._added(inputs[0], bias=self.bias, residual=self.residual)
        attends = {"att_src": self._attends, "att_dst": self._attends}
        return attends | last | self._value_rows(inputs[0], "lin", bias=False) | branch

    def rows_of_unit(self, *inputs: Shape) -> tuple[tuple[str, ...], str | None]:
        """Return the tensors whose rows are a unit's weights; none where units are means of heads.

        Copies whose rows move apart and balance, as they do in a split, attend as the unit did: weights of attention
        read rows, so a split moves what a unit sees by as little as in any other layer. Every head sees for itself.
        """
        if not self.concat and self.heads > 1:
            return (), None
        return ("lin.weight", "res.weight") if self.residual else ("lin.weight",), "bias" if self.bias else None

    def seen(self, layer: Any, inputs: Any) -> Any:
        x, edges = inputs
        _, (edges, shares) = layer(x, edges, return_attention_weights=True)  # [E, H]
        found = x.new_zeros(len(x), self.heads, x.shape[1])
        for head in range(self.heads):
            found[:, head].index_add_(0, edges[1], shares[:, head, None] * x[edges[0]])
        if self.residual:
            found = torch.cat([found, x[:, None].expand_as(found)], dim=2)
        return found.flatten(1)

    def macs(self, *inputs: Shape) -> int:
        matrices = inputs[0].units * (self._wide + self.units * self.residual)
        return matrices + 2 * self._wide + self.propagated(self._wide, *inputs, loops=self.add_self_loops)


@dataclass(frozen=True, repr=False)
class GATv2Conv(_AdditiveAttention):
    """Graph attention that bends before it weighs (Brody et al., 2022, https://arxiv.org/abs/2105.14491).

    Args:
        out_channels: ``C``.
        heads: ``H``.
        concat: whether heads stand one after the other; else their mean is taken.
        negative_slope: of the leaky rectifier.
        dropout: probability that an edge's share of attention is zeroed while training.
        add_self_loops: whether a node attends to itself.
        bias: whether biases are added.
        residual: whether a linear map of the node's own features is added.
    """

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        last, branch = self._added(inputs[0], bias=self.bias, residual=self.residual)
        rows: dict[str, TensorSpec] = {}
        for name in ("lin_l", "lin_r"):  # the rectifier lets a share pass that both have
            rows |= self._value_rows(inputs[0], name, bias=self.bias)
        return {"att": self._attends} | last | rows | branch

    def macs(self, *inputs: Shape) -> int:
        matrices = inputs[0].units * (2 * self._wide + self.units * self.residual)
        return matrices + 2 * self.propagated(self._wide, *inputs, loops=self.add_self_loops)


@dataclass(frozen=True, repr=False)
class TransformerConv(_GraphAttention):
    """Attention by products of queries and keys (Shi et al., 2021, https://arxiv.org/abs/2009.03509).

    ``W_s x_i + sum_j softmax_j(q_i k_j / sqrt(C)) v_j`` for every head; queries make up for another ``C``.

    Args:
        out_channels: ``C``.
        heads: ``H``.
        concat: whether heads stand one after the other; else their mean is taken.
        beta: whether a gate, instead of a sum, brings a node's own features and those of its neighbours together.
        dropout: probability that an edge's share of attention is zeroed while training.
        bias: whether biases are added.
        root_weight: whether the node's own features are added.
    """

    beta: bool = False
    dropout: float = 0.0
    bias: bool = True
    root_weight: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "beta", self.beta and self.root_weight)

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        (source, *_), wide = inputs, self._wide
        keys, queries = Parts(((_HEADS, _READS),)), Parts(((_HEADS, _UNITS),))
        specs = self._linear("lin_key", wide, source, keys)
        specs |= self._linear("lin_query", wide, source, queries, gain=self.out_channels**-0.5)
        specs |= self._value_rows(source, "lin_value", bias=self.bias)
        specs |= self._linear("lin_skip", self.units, source, self._out)
        if self.beta:
            read = (_SHARES, _READS) if self.concat else (_READS,)
            specs["lin_beta.weight"] = TensorSpec((1, 3 * self.units), (None, Parts((read, read, read))))
        return specs

    def _linear(self, name: str, rows: int, source: Shape, role: Role, gain: float = 1.0) -> dict[str, TensorSpec]:
        found = {f"{name}.weight": TensorSpec((rows, source.units), (role, "in"), gain=gain)}
        return found | ({f"{name}.bias": TensorSpec((rows,), (role,), gain=gain)} if self.bias else {})

    def macs(self, *inputs: Shape) -> int:
        matrices = inputs[0].units * (3 * self._wide + self.units * self.root_weight)
        return matrices + 3 * self.units * self.beta + 2 * self.propagated(self._wide, *inputs)
