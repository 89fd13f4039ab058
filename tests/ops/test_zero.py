from __future__ import annotations

import pytest
import torch

from archgraph.graph import Graph, Shape
from archgraph.moves import Duplicate
from archgraph.net import Network
from archgraph.ops import Zero
from tests.strategies import change, network_of

SUM = Graph.parse(
    "x = Input((2, 5, 4))\na = Conv2d(3, kernel_size=3, padding=1)(x)\nz = Zero()(a)\nb = Conv2d(3, kernel_size=1)(x)\n"
    "s = Add()(z, b)\np = GlobalAvgPool()(s)\ny = Linear(7)(p)\nreturn y"
)


@pytest.mark.parametrize("shape", [Shape(()), Shape((5,)), Shape((5, 2, 3)), Shape((3, 5), unit_axis=1)], ids=str)
def test_zeros_in_the_shape_of_the_input(shape: Shape) -> None:
    found = Zero().forward((torch.randn(7, *shape.dims),), (shape,))
    assert Zero().infer(shape) == shape
    assert found.shape == (7, *shape.dims)
    assert not found.any()


def test_what_it_silences_is_trained_by_nothing() -> None:
    module = Network.init(SUM, seed=0).to_torch()
    module(torch.randn(3, 2, 5, 4)).square().sum().backward()
    gradients = {name: value.grad for name, value in module.named_parameters()}
    assert not gradients["a.weight"].any()
    assert gradients["b.weight"].any()


def test_units_on_both_sides_of_it_are_coupled() -> None:
    net = network_of(SUM)
    wider = Duplicate("b", (0, 2)).apply(net)
    assert wider.graph.units("a") == 5
    assert change(net, wider) < 1e-12
