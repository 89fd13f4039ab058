"""GraphSAGE (Hamilton et al., 2017, https://arxiv.org/abs/1706.02216)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Fixed, Shape, SizeRule, TensorSpec
from archgraph.ops.graph_layer import _GraphConvolution, geometric

AGGREGATIONS = ("mean", "max", "sum")


@dataclass(frozen=True, repr=False)
class SAGEConv(_GraphConvolution):
    """``W_l aggr_j x_j + W_r x_i + b``: what a node's neighbours say, and what it says itself.

    Args:
        out_channels: number of units.
        aggr: how neighbours are brought together: ``"mean"``, ``"max"`` or ``"sum"``.
        normalize: whether the result is divided by its length, over its units, which are fixed then.
        root_weight: whether there is a ``W_r``.
        bias: whether there is a ``b``.
    """

    aggr: str = "mean"
    normalize: bool = False
    root_weight: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "aggr", "sum" if self.aggr == "add" else self.aggr)
        if self.aggr not in AGGREGATIONS:
            raise SettingError("unknown aggregation", expected=", ".join(AGGREGATIONS), got=repr(self.aggr))

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("divides by its length, over its units") if self.normalize else Absorb()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        units, matrix = self.out_channels, TensorSpec((self.out_channels, inputs[0].units), ("out", "in"))
        bias = {"lin_l.bias": TensorSpec((units,), ("out",))} if self.bias else {}
        return {"lin_l.weight": matrix, **bias} | ({"lin_r.weight": matrix} if self.root_weight else {})

    def rows_of_unit(self, *inputs: Shape) -> tuple[tuple[str, ...], str | None]:
        if self.normalize:
            return (), None
        names = ("lin_l.weight", "lin_r.weight") if self.root_weight else ("lin_l.weight",)
        return names, "lin_l.bias" if self.bias else None

    def seen(self, layer: Any, inputs: Any) -> Any:
        x, edges = inputs
        around = layer.propagate(edges, x=(x, x), size=None)
        return torch.cat([around, x], dim=1) if self.root_weight else around

    def macs(self, *inputs: Shape) -> int:
        matrices = 1 + self.root_weight
        return matrices * inputs[0].units * self.out_channels + self.propagated(inputs[0].units, *inputs)

    def module(self, *inputs: Shape) -> nn.Module:
        return geometric().SAGEConv(
            inputs[0].units,
            self.out_channels,
            aggr=self.aggr,
            normalize=self.normalize,
            root_weight=self.root_weight,
            bias=self.bias,
        )
