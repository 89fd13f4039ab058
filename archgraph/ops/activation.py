"""Activations: functions of one unit at one position, with their curvature known by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule, TensorSpec, require


@dataclass(frozen=True, repr=False)
class Activation(Op):
    """Base of the activations; ``curve`` names the function whose second derivative the criteria know."""

    curve: ClassVar[str] = "identity"

    def infer(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def options(self) -> dict[str, Any]:
        """Return the parameters of the function."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return self.function(inputs[0])

    def function(self, z: Any) -> Any:
        """Compute the activation of a tensor of any shape."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class ReLU(Activation):
    """``max(z, 0)``."""

    curve: ClassVar[str] = "relu"

    def function(self, z: Any) -> Any:
        return functional.relu(z)


@dataclass(frozen=True, repr=False)
class LeakyReLU(Activation):
    """``max(z, 0) + negative_slope * min(z, 0)``."""

    negative_slope: float = 0.01
    curve: ClassVar[str] = "leaky-relu"

    def function(self, z: Any) -> Any:
        return functional.leaky_relu(z, self.negative_slope)


@dataclass(frozen=True, repr=False)
class GELU(Activation):
    """``z * Phi(z)`` with the normal distribution function, or its ``"tanh"`` approximation."""

    approximate: str = "none"
    curve: ClassVar[str] = "gelu"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise SettingError("unknown approximation", expected="'none' or 'tanh'", got=repr(self.approximate))

    def function(self, z: Any) -> Any:
        return functional.gelu(z, approximate=self.approximate)


@dataclass(frozen=True, repr=False)
class SiLU(Activation):
    """``z * sigmoid(z)``, also called swish."""

    curve: ClassVar[str] = "silu"

    def function(self, z: Any) -> Any:
        return functional.silu(z)


@dataclass(frozen=True, repr=False)
class Tanh(Activation):
    """Hyperbolic tangent."""

    curve: ClassVar[str] = "tanh"

    def function(self, z: Any) -> Any:
        return torch.tanh(z)


@dataclass(frozen=True, repr=False)
class Sigmoid(Activation):
    """``1 / (1 + exp(-z))``."""

    curve: ClassVar[str] = "sigmoid"

    def function(self, z: Any) -> Any:
        return torch.sigmoid(z)


@dataclass(frozen=True, repr=False)
class Softplus(Activation):
    """``log(1 + exp(beta z)) / beta``."""

    beta: float = 1.0
    curve: ClassVar[str] = "softplus"

    def __post_init__(self) -> None:
        if not self.beta > 0.0:
            raise SettingError("beta must be positive", got=self.beta)

    def function(self, z: Any) -> Any:
        return functional.softplus(z, beta=self.beta)


@dataclass(frozen=True, repr=False)
class Gaussian(Activation):
    """``exp(-z^2 / 2)``, the bump of the splitting papers' one-dimensional toy."""

    curve: ClassVar[str] = "gaussian"

    def function(self, z: Any) -> Any:
        return torch.exp(z * z * -0.5)


@dataclass(frozen=True, repr=False)
class ReLU6(Activation):
    """``min(max(z, 0), 6)``."""

    curve: ClassVar[str] = "relu6"

    def function(self, z: Any) -> Any:
        return functional.relu6(z)


@dataclass(frozen=True, repr=False)
class Hardsigmoid(Activation):
    """``min(max(z + 3, 0), 6) / 6``, three straight pieces like a sigmoid."""

    curve: ClassVar[str] = "hardsigmoid"

    def function(self, z: Any) -> Any:
        return functional.hardsigmoid(z)


@dataclass(frozen=True, repr=False)
class Hardswish(Activation):
    """``z * hardsigmoid(z)``."""

    curve: ClassVar[str] = "hardswish"

    def function(self, z: Any) -> Any:
        return functional.hardswish(z)


@dataclass(frozen=True, repr=False)
class ELU(Activation):
    """``z`` above zero and ``alpha (exp(z) - 1)`` below."""

    alpha: float = 1.0
    curve: ClassVar[str] = "elu"

    def function(self, z: Any) -> Any:
        return functional.elu(z, alpha=self.alpha)


@dataclass(frozen=True, repr=False)
class Mish(Activation):
    """``z * tanh(softplus(z))``."""

    curve: ClassVar[str] = "mish"

    def function(self, z: Any) -> Any:
        return functional.mish(z)


@dataclass(frozen=True, repr=False)
class Identity(Activation):
    """``z``; keeps a place in the graph."""

    def function(self, z: Any) -> Any:
        return z


@dataclass(frozen=True, repr=False)
class PReLU(Op):
    """``max(z, 0) + a min(z, 0)`` with a learned slope ``a``, one in all or one a unit.

    Its second derivative depends on a weight, so the criteria of splitting do not know it as an :class:`Activation`.

    Args:
        per_unit: whether every unit has a slope of its own; units must then come first.
        init: initial slope.
    """

    per_unit: bool = False
    init: float = 0.25

    def infer(self, *inputs: Shape) -> Shape:
        first = not self.per_unit or inputs[0].unit_axis == 0
        require(
            first, "PReLU with a slope a unit reads its units first", expected="a shape (units, ...)", got=inputs[0]
        )
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        units, role = (inputs[0].units, "out") if self.per_unit else (1, None)
        return {"weight": TensorSpec((units,), (role,))}

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.PReLU(inputs[0].units if self.per_unit else 1, init=self.init)
