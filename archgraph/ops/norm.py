"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Fixed, Invariant, Op, Shape, SizeRule, TensorSpec, require
from archgraph.ops.linear import count


def _check_eps(eps: float) -> None:
    if not eps > 0.0:
        raise SettingError("eps must be positive", got=eps)


def _check_momentum(momentum: float) -> None:
    if not 0.0 <= momentum <= 1.0:
        raise SettingError("momentum lies in [0, 1]", got=momentum)


@dataclass(frozen=True, repr=False)
class BatchNorm(Op):
    """Normalisation of every unit over the batch and all positions (``nn.BatchNorm1d``, ``2d`` or ``3d`` by shape).

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
        _check_momentum(self.momentum)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) <= 4 and source.unit_axis == 0,
            "BatchNorm reads a vector, a sequence, an image or a volume with the units first",
            expected="a shape (units,), (units, length), (units, height, width) or (units, depth, height, width)",
            got=source,
        )
        return source

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return _per_unit(inputs[0].units, affine=self.affine, statistics=True)

    def module(self, *inputs: Shape) -> nn.Module:
        kinds: dict[int, type[nn.Module]] = {3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
        return kinds.get(len(inputs[0].dims), nn.BatchNorm1d)(
            inputs[0].units, eps=self.eps, momentum=self.momentum, affine=self.affine
        )


@dataclass(frozen=True, repr=False)
class InstanceNorm2d(Op):
    """Normalisation of every unit of every image ``(C, H, W)`` over its pixels.

    Args:
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: whether there are a scale and a shift per unit.
        track_running_stats: whether there are running statistics, which then normalise in eval mode.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = False
    track_running_stats: bool = False

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        _check_momentum(self.momentum)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) == 3 and source.unit_axis == 0 and source.positions > 1,
            "InstanceNorm2d normalises over the pixels of an image",
            expected="a shape (channels, height, width) of more than one pixel",
            got=source,
        )
        return source

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return _per_unit(inputs[0].units, affine=self.affine, statistics=self.track_running_stats)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.InstanceNorm2d(
            inputs[0].units,
            eps=self.eps,
            momentum=self.momentum,
            affine=self.affine,
            track_running_stats=self.track_running_stats,
        )


@dataclass(frozen=True, repr=False)
class GroupNorm(Op):
    """Normalisation of every sample over each of ``num_groups`` groups of neighbouring units and all positions.

    Its statistics depend on how many units a group has, so its units are fixed.

    Args:
        num_groups: number of groups; it divides the number of units.
        eps: added to the variance.
        affine: whether there are a scale and a shift per unit.
    """

    num_groups: int
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        count(self.num_groups, "num_groups")
        _check_eps(self.eps)

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(source.unit_axis == 0, "GroupNorm reads its units first", expected="a shape (units, ...)", got=source)
        require(source.units % self.num_groups == 0, f"{self.num_groups} groups do not divide {source.units} units")
        return source

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over groups of its units")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return _per_unit(inputs[0].units, affine=self.affine)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.GroupNorm(self.num_groups, inputs[0].units, eps=self.eps, affine=self.affine)


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
        return _units_last(self, inputs[0])

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over its units")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return _per_unit(inputs[0].units, affine=self.affine)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.LayerNorm(inputs[0].units, eps=self.eps, elementwise_affine=self.affine)


@dataclass(frozen=True, repr=False)
class RMSNorm(Op):
    """Division of every sample (and position) by the root mean square of its units, which must lie on the last axis.

    It depends on how many units there are, so its units are fixed.

    Args:
        eps: added to the mean square; None for the spacing of numbers at 1.
        affine: whether there is a scale per unit.
    """

    eps: float | None = None
    affine: bool = True

    def __post_init__(self) -> None:
        if self.eps is not None:
            _check_eps(self.eps)

    def infer(self, *inputs: Shape) -> Shape:
        return _units_last(self, inputs[0])

    def rule(self, *inputs: Shape) -> SizeRule:
        return Fixed("normalises over its units")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        return {"weight": TensorSpec((inputs[0].units,), ("out",))} if self.affine else {}

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.RMSNorm(inputs[0].units, eps=self.eps, elementwise_affine=self.affine)


def _units_last(op: Op, source: Shape) -> Shape:
    require(
        source.unit_axis == len(source.dims) - 1,
        f"{type(op).__name__} normalises over the last axis, which must hold the units",
        expected="a vector (units,) or tokens (..., units)",
        got=source,
    )
    return source


def _per_unit(units: int, *, affine: bool, statistics: bool = False) -> dict[str, TensorSpec]:
    vector = TensorSpec((units,), ("out",))
    found = {"weight": vector, "bias": vector} if affine else {}
    if statistics:
        statistic = TensorSpec((units,), ("out",), trainable=False)
        found |= {"running_mean": statistic, "running_var": statistic}
        found |= {"num_batches_tracked": TensorSpec((), (), trainable=False)}
    return found
