"""Leaves against layers of torch put together by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from archgraph import Network, ops
from archgraph.errors import SettingError
from archgraph.generators.leaf import CONVOLUTIONS, LEAVES, POOLINGS, check_kinds, leaf
from archgraph.generators.plan import Channels, Plan
from tests.strategies import network_of


def network(kind: str, separable: bool) -> Network:
    plan = Plan()
    x = plan(ops.Input((3, 5, 4)), channels=Channels(fixed=3), name="x")
    y = leaf(plan, kind, x, Channels((1.0,)), name="leaf", separable=separable)
    return network_of(plan.graph(2, [y]))


@pytest.mark.parametrize("separable", [False, True], ids=["full", "separable"])
@pytest.mark.parametrize("kind", LEAVES)
def test_what_a_leaf_computes(kind: str, separable: bool) -> None:
    net = network(kind, separable)
    x = torch.randn(7, 3, 5, 4, dtype=torch.float64)
    found = net.to_torch().eval()(x)
    if kind in POOLINGS:
        size = POOLINGS[kind]
        ones = functional.avg_pool2d(torch.ones_like(x), size, stride=1, padding=size // 2)
        expected = functional.avg_pool2d(x, size, stride=1, padding=size // 2) / ones
        assert not net.weights
    else:
        kernel = CONVOLUTIONS[kind]
        w, padding = net.weights, (kernel[0] // 2, kernel[1] // 2)
        y = functional.relu(x)
        if separable:
            y = functional.conv2d(y, w["conv2d1.weight"], padding=padding, groups=3)
            assert w["conv2d1.weight"].shape == (3, 1, *kernel)
            padding = (0, 0)
        y = functional.conv2d(y, w["leaf_conv.weight"], padding=padding)
        assert w["leaf_conv.weight"].shape == (2, 3, *((1, 1) if separable else kernel))
        mean, variance, scale, shift = (
            w[f"batchnorm1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        expected = functional.batch_norm(y, mean, variance, scale, shift)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_leaves_of_one_tensor_share_its_activation() -> None:
    plan = Plan()
    x = plan(ops.Input((3, 5, 4)), channels=Channels(fixed=3))
    first, second = (leaf(plan, "conv3x3", x, Channels((1.0,)), name=name) for name in "ab")
    graph = plan.graph(2, [first, second])
    assert [graph.node(f"{name}_conv").inputs for name in "ab"] == [("relu1",), ("relu1",)]


@pytest.mark.parametrize("kinds", [(), ("conv3x3", "conv3x3"), ("conv3x3", "conv9x9")])
def test_wrong_kinds(kinds: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match="leaf_ops must be some of the known kinds"):
        check_kinds("leaf_ops", kinds, LEAVES)
