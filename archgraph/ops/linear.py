"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Op, Shape, SizeRule, TensorSpec, require


def count(value: object, name: str) -> None:
    """Check a number of units, channels or groups.

    Raises:
        SettingError: when it is no positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError(f"{name} must be a positive integer", got=repr(value))


@dataclass(frozen=True, repr=False)
class Linear(Op):
    """Affine map of the last axis, ``y = W x + b`` with ``W [U, D]``.

    Args:
        out_features: number of output units.
        bias: whether there is a ``b``.
    """

    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        count(self.out_features, "out_features")

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            source.unit_axis == len(source.dims) - 1,
            "Linear reads its units from the last axis",
            expected="a vector (units,) or tokens (..., units); put Flatten or GlobalAvgPool before it",
            got=source,
        )
        return source.resized(self.out_features)

    def rule(self, *inputs: Shape) -> SizeRule:
        return Absorb()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        weight = TensorSpec((self.out_features, inputs[0].units), ("out", "in"))
        return {"weight": weight} | ({"bias": TensorSpec((self.out_features,), ("out",))} if self.bias else {})

    def macs(self, *inputs: Shape) -> int:
        return inputs[0].positions * inputs[0].units * self.out_features

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_features=units)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.Linear(inputs[0].units, self.out_features, bias=self.bias)
