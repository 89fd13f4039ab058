"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Fixed, Invariant, Op, Shape, SizeRule, TensorSpec, require


def _check_eps(eps: float) -> None:
    if not eps > 0.0:
        raise SettingError("eps must be positive", got=eps)


@dataclass(frozen=True, repr=False)
class BatchNorm(Op):
    """Batch normalisation of every unit over the batch and all positions (``nn.BatchNorm1d`` or ``2d`` by shape).

    Args:
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: whether there are a scale and a shift per unit.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        if not 0.0 <= self.momentum <= 1.0:
            raise SettingError("momentum lies in [0, 1]", got=self.momentum)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) <= 3 and source.unit_axis == 0,
            "BatchNorm reads a vector, a sequence or an image with the units first",
            expected="a shape (units,), (units, length) or (units, height, width)",
            got=source,
        )
        return source

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        vector = TensorSpec((inputs[0].units,), ("out",))
        statistic = TensorSpec((inputs[0].units,), ("out",), trainable=False)
        affine = {"weight": vector, "bias": vector} if self.affine else {}
        counter = TensorSpec((), (), trainable=False)
        return affine | {"running_mean": statistic, "running_var": statistic, "num_batches_tracked": counter}

    def module(self, *inputs: Shape) -> nn.Module:
        kind = nn.BatchNorm2d if len(inputs[0].dims) == 3 else nn.BatchNorm1d
        return kind(inputs[0].units, eps=self.eps, momentum=self.momentum, affine=self.affine)


@dataclass(frozen=True, repr=False)
class LayerNorm(Op):
    """Normalisation of every sample (and position) over its units, which must lie on the last axis.

    Its statistics depend on how many units there are, so its units are fixed.

    Args:
        eps: added to the variance.
        affine: whether there are a scale and a shift per unit.
    """

    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            source.unit_axis == len(source.dims) - 1,
            "LayerNorm normalises over the last axis, which must hold the units",
            expected="a vector (units,) or tokens (..., units)",
            got=source,
        )
        return source

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over its units")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        vector = TensorSpec((inputs[0].units,), ("out",))
        return {"weight": vector, "bias": vector} if self.affine else {}

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.LayerNorm(inputs[0].units, eps=self.eps, elementwise_affine=self.affine)
