from __future__ import annotations

import math

import pytest
import torch

from archgraph.errors import SettingError
from archgraph.graph import Graph, Shape, TensorSpec
from archgraph.moves import Duplicate
from archgraph.ops import Gate
from tests.strategies import change, network_of

SUM = Graph.parse(
    "x = Input((2, 5, 4))\na = Conv2d(3, kernel_size=3, padding=1)(x)\nb = Conv2d(3, kernel_size=1)(x)\n"
    "g = Gate()(a)\nh = Gate(init=-0.5)(b)\ns = Add()(g, h)\nr = ReLU()(s)\np = GlobalAvgPool()(r)\n"
    "y = Linear(7)(p)\nreturn y"
)


@pytest.mark.parametrize("shape", [Shape(()), Shape((5,)), Shape((5, 2, 3)), Shape((3, 5), unit_axis=1)], ids=str)
def test_one_number_gates_all(shape: Shape) -> None:
    op = Gate(init=0.25)
    x = torch.randn(7, *shape.dims, dtype=torch.float64)
    found = op.module(shape).double()(x)
    assert op.tensors(shape) == {"weight": TensorSpec((1,), (None,))}
    assert torch.allclose(found, x / (1.0 + math.exp(-0.25)), rtol=1e-15)
    assert found.shape == x.shape


def test_by_default_it_lets_through_three_quarters() -> None:
    assert Gate().module(Shape((2,)))(torch.ones(3, 2)).mean().item() == pytest.approx(0.7310586, abs=1e-7)
    assert repr(Gate()) == "Gate()"
    assert Gate(1) == Gate(1.0)


def test_gated_branches_grow_together() -> None:
    net = network_of(SUM)
    wider = Duplicate("a", (0, 2)).apply(net)
    assert wider.graph.units("b") == 5
    assert change(net, wider) < 1e-12


@pytest.mark.parametrize("init", [math.inf, math.nan, True, "1"])
def test_wrong_init(init: object) -> None:
    with pytest.raises(SettingError, match="init must be a finite number"):
        Gate(init)  # type: ignore[arg-type]
