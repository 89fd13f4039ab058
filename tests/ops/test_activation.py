from __future__ import annotations

import math

import pytest
import torch

from archgraph.criteria import second_derivative
from archgraph.errors import SettingError
from archgraph.ops import GELU, Activation, Gaussian, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh

SMOOTH: list[Activation] = [
    GELU(),
    GELU(approximate="tanh"),
    Gaussian(),
    Identity(),
    Sigmoid(),
    SiLU(),
    Softplus(),
    Softplus(beta=2.5),
    Tanh(),
]
KINKED: list[tuple[Activation, float]] = [(ReLU(), 0.0), (LeakyReLU(), 0.01), (LeakyReLU(negative_slope=0.3), 0.3)]


@pytest.mark.parametrize("op", SMOOTH, ids=repr)
def test_the_curve_by_name_is_the_second_derivative_of_the_function(op: Activation) -> None:
    z = torch.linspace(-4.0, 4.0, 41, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(op.function(z).sum(), z, create_graph=True)
    wanted = torch.autograd.grad(slope.sum(), z)[0] if slope.requires_grad else torch.zeros_like(z)
    found = second_derivative(op.curve, z.detach(), **op.options())
    assert (found - wanted).abs().max() < 1e-12


@pytest.mark.parametrize(("op", "slope"), KINKED, ids=lambda case: repr(case))
def test_the_curve_of_a_kink_is_that_of_a_softplus_and_integrates_to_its_jump(op: Activation, slope: float) -> None:
    z = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64)
    found = second_derivative(op.curve, z, smoothing=5.0, **op.options())
    assert torch.trapezoid(found, z).item() == pytest.approx(1.0 - slope, abs=1e-9)
    assert found.max().item() == pytest.approx(5.0 / 4 * (1.0 - slope))


def test_every_activation_is_covered() -> None:
    covered = {type(op) for op in SMOOTH} | {type(op) for op, _ in KINKED}
    assert covered == {kind for kind in Activation.__subclasses__() if kind.__module__.startswith("archgraph.")}


VALUES = {  # by their definitions
    "relu": (ReLU(), lambda z: max(z, 0.0)),
    "leaky-relu": (LeakyReLU(negative_slope=0.3), lambda z: max(z, 0.0) + 0.3 * min(z, 0.0)),
    "gelu": (GELU(), lambda z: z * 0.5 * (1 + math.erf(z / math.sqrt(2)))),
    "silu": (SiLU(), lambda z: z / (1 + math.exp(-z))),
    "tanh": (Tanh(), math.tanh),
    "sigmoid": (Sigmoid(), lambda z: 1 / (1 + math.exp(-z))),
    "softplus": (Softplus(beta=2.5), lambda z: math.log1p(math.exp(2.5 * z)) / 2.5),
    "gaussian": (Gaussian(), lambda z: math.exp(-z * z / 2)),
    "identity": (Identity(), lambda z: z),
}


@pytest.mark.parametrize(("op", "function"), VALUES.values(), ids=VALUES)
def test_values(op: Activation, function) -> None:  # type: ignore[no-untyped-def]
    z = [-2.0, -0.3, 0.0, 0.7, 3.0]
    found = op.function(torch.tensor(z, dtype=torch.float64)).tolist()
    assert found == pytest.approx([function(one) for one in z], abs=1e-14)


def test_settings_that_cannot_be_used() -> None:
    with pytest.raises(SettingError, match="unknown approximation"):
        GELU(approximate="cubic")
    with pytest.raises(SettingError, match="beta must be positive"):
        Softplus(beta=0.0)
