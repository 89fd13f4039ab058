"""Attention between the positions of a sequence (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

With ``T`` tokens, ``H`` heads of width ``d`` and ``D`` units, ``softmax(q k^T / sqrt(d)) v`` for every head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Fixed, Op, Shape, SizeRule, TensorSpec, require
from archgraph.ops.linear import count


def _check_dropout(dropout: float) -> None:
    if not 0.0 <= dropout < 1.0:
        raise SettingError("a dropout probability lies in [0, 1)", got=dropout)


def _read_tokens(op: Op, source: Shape) -> None:
    fits = len(source.dims) == 2 and source.unit_axis == 1
    require(fits, f"{type(op).__name__} reads tokens", expected="a shape (tokens, units), units last", got=source)


@dataclass(frozen=True, repr=False)
class MultiheadAttention(Op):
    """Self-attention of tokens ``(T, D)`` with its projections, as ``nn.MultiheadAttention`` with ``batch_first``.

    Units read and units made (``embed_dim``) may be resized, apart from each other; the width of a head is an option of
    its own so that it stays when they are. Tensors are named as in torch.

    Args:
        embed_dim: number of output units.
        num_heads: ``H``.
        head_dim: ``d``; ``embed_dim / num_heads`` by default.
        bias: whether the projections add a bias.
        dropout: probability that an attention weight is zeroed while training.
        causal: whether a token attends only to itself and those before it.
    """

    embed_dim: int
    num_heads: int
    head_dim: int | None = None
    bias: bool = True
    dropout: float = 0.0
    causal: bool = False

    def __post_init__(self) -> None:
        count(self.embed_dim, "embed_dim")
        count(self.num_heads, "num_heads")
        _check_dropout(self.dropout)
        if self.head_dim is not None:
            count(self.head_dim, "head_dim")
        elif self.embed_dim % self.num_heads:
            raise SettingError(
                f"{self.num_heads} heads do not divide embed_dim", expected="head_dim, or another", got=self.embed_dim
            )

    @property
    def width(self) -> int:
        """Entries of a query of one head: ``d``."""
        return self.head_dim or self.embed_dim // self.num_heads

    def infer(self, *inputs: Shape) -> Shape:
        _read_tokens(self, inputs[0])
        return inputs[0].resized(self.embed_dim)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Absorb()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        inner = self.num_heads * self.width
        specs = {
            "in_proj_weight": TensorSpec((3 * inner, inputs[0].units), (None, "in")),
            "in_proj_bias": TensorSpec((3 * inner,), (None,)),
            "out_proj.weight": TensorSpec((self.embed_dim, inner), ("out", None)),
            "out_proj.bias": TensorSpec((self.embed_dim,), ("out",)),
        }
        return {key: spec for key, spec in specs.items() if self.bias or "bias" not in key}

    def macs(self, *inputs: Shape) -> int:
        tokens, units = inputs[0].dims
        inner = self.num_heads * self.width
        return tokens * inner * (3 * units + self.embed_dim) + 2 * tokens**2 * inner

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self if units == self.embed_dim else self._with(embed_dim=units, head_dim=self.width)

    def module(self, *inputs: Shape) -> nn.Module:
        return SelfAttention(
            inputs[0].units, self.embed_dim, self.num_heads, self.width, self.bias, self.dropout, self.causal
        )


class SelfAttention(nn.Module):
    """Layer of :class:`MultiheadAttention`."""

    def __init__(
        self,
        in_features: int,
        embed_dim: int,
        num_heads: int,
        head_dim: int,
        bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.in_features, self.embed_dim, self.num_heads, self.head_dim = in_features, embed_dim, num_heads, head_dim
        self.bias, self.dropout, self.causal = bias, dropout, causal
        inner = num_heads * head_dim
        self.in_proj_weight = nn.Parameter(torch.empty(3 * inner, in_features))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * inner)) if bias else None
        self.out_proj = nn.Linear(inner, embed_dim, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # [N, T, D]
        batch, tokens, _ = x.shape
        qkv = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.reshape(batch, tokens, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=self.causal
        )
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, self.num_heads * self.head_dim))

    def extra_repr(self) -> str:
        return (
            f"{self.in_features}, {self.embed_dim}, num_heads={self.num_heads}, head_dim={self.head_dim}, "
            f"bias={self.bias}, dropout={self.dropout}, causal={self.causal}"
        )


@dataclass(frozen=True, repr=False)
class Attention(Op):
    """Attention alone: queries ``(T, H d)``, keys ``(S, H d)`` and values ``(S, H e)`` to ``(T, H e)``.

    Args:
        num_heads: ``H``: neighbouring units make a head.
        causal: whether a token attends only to itself and those before it.
    """

    num_heads: int = 1
    causal: bool = False
    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    def __post_init__(self) -> None:
        count(self.num_heads, "num_heads")

    def infer(self, *inputs: Shape) -> Shape:
        query, key, value = inputs
        for source in inputs:
            _read_tokens(self, source)
            require(source.units % self.num_heads == 0, f"{self.num_heads} heads do not divide units", got=source)
        require(query.units == key.units, "queries and keys differ in width", expected=query, got=key)
        require(key.dims[0] == value.dims[0], "there is not one value a key", expected=key, got=value)
        return query.resized(value.units)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed(f"splits its units into {self.num_heads} heads")

    def macs(self, *inputs: Shape) -> int:
        query, key, value = inputs
        return query.dims[0] * key.dims[0] * (query.units + value.units)

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        query, key, value = (
            part.reshape(-1, shape.dims[0], self.num_heads, shape.units // self.num_heads).transpose(1, 2)
            for part, shape in zip(inputs, shapes, strict=True)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return mixed.transpose(1, 2).reshape(-1, shapes[0].dims[0], shapes[2].units)
