"""Merges against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from archgraph import Network, ops
from archgraph.generators.merging import average, merge, project
from archgraph.generators.plan import Channels, Plan, Stream
from archgraph.moves import Widen
from tests.strategies import change, network_of

WIDE, NARROW = Channels((1.0,)), Channels((0.5,))


def inputs(plan: Plan, channels: list[Channels]) -> list[Stream]:
    """Streams from 1x1 convolutions of one image, so that channels follow the width."""
    x = plan(ops.Input((2, 5, 4)), channels=Channels(fixed=2))
    return [plan(ops.Conv2d(1, kernel_size=1), x, channels=one, name=f"x{place}") for place, one in enumerate(channels)]


def made(kind: str, channels: list[Channels]) -> tuple[Network, list[Tensor], Tensor]:
    """The network at width 6 with the merged tensor and what went in, on random images."""
    plan = Plan()
    streams = inputs(plan, channels)
    y = average(plan, streams, "m") if kind == "mean" else merge(plan, streams, kind, "m")
    shown = [*(one for one in streams if one != y), y]
    net = network_of(plan.graph(6, shown))
    x = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    found = net.to_torch().eval()(x)
    found = found if isinstance(found, tuple) else (found,)
    return net, list(found[:-1]), found[-1]


def gate(net: Network, number: int) -> Tensor:
    return torch.sigmoid(net.weights[f"gate{number}.weight"])


def projected(net: Network, x: Tensor, number: int = 1) -> Tensor:
    return functional.conv2d(x, net.weights[f"conv2d{number}.weight"], net.weights[f"conv2d{number}.bias"])


def test_a_sum_is_gated_one_by_one() -> None:
    net, (a, b, c), found = made("sum", [WIDE, WIDE, WIDE])
    assert torch.allclose(found, gate(net, 1) * a + gate(net, 2) * b + gate(net, 3) * c, atol=1e-13)


def test_what_has_another_width_is_projected_and_not_gated() -> None:
    net, (a, b, c), found = made("sum", [NARROW, WIDE, WIDE])
    assert (a.shape[1], c.shape[1]) == (3, 6)
    assert torch.allclose(found, projected(net, a) + gate(net, 1) * b + gate(net, 2) * c, atol=1e-13)
    net, (a, b), found = made("sum", [WIDE, NARROW])  # the last one says how wide
    assert torch.allclose(found, projected(net, a) + gate(net, 1) * b, atol=1e-13)


def test_concat_keeps_every_width() -> None:
    _, (a, b, c), found = made("concat", [NARROW, WIDE, NARROW])
    assert torch.equal(found, torch.cat([a, b, c], dim=1))


@pytest.mark.parametrize("others", [1, 2])
def test_attention_masks_the_others_with_the_first(others: int) -> None:
    net, (a, *rest), found = made("attention", [NARROW, *[WIDE] * others])
    a = projected(net, a)
    signal = torch.stack([gate(net, place) * one for place, one in enumerate(rest, start=1)]).sum(0)
    low, high = a.amin((2, 3), keepdim=True), a.amax((2, 3), keepdim=True)
    mask = (a - low) / (high - low + 1e-5)
    assert torch.allclose(found, gate(net, others + 1) * signal + mask * signal, atol=1e-13)
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0


def test_a_mean_is_as_wide_as_its_last() -> None:
    net, (a, b, c), found = made("mean", [NARROW, WIDE, WIDE])
    assert torch.allclose(found, (projected(net, a) + b + c) / 3, atol=1e-13)


@pytest.mark.parametrize("kind", ["sum", "concat", "attention", "mean"])
def test_one_alone_passes(kind: str) -> None:
    plan = Plan()
    (x,) = inputs(plan, [WIDE])
    assert (average(plan, [x], "m") if kind == "mean" else merge(plan, [x], kind, "m")) is x
    assert project(plan, x, WIDE) is x


@pytest.mark.parametrize("kind", ["sum", "attention"])
def test_what_is_merged_can_be_widened_together(kind: str) -> None:
    plan = Plan()
    y = merge(plan, inputs(plan, [WIDE, WIDE, WIDE]), kind, "m")
    y = plan(ops.Conv2d(3, kernel_size=3), y, channels=Channels(fixed=3))
    net = network_of(plan.graph(6, [y]))
    wider = Widen("x1", units=2).apply(net)
    assert [wider.graph.units(name) for name in ("x0", "x1", "x2")] == [8, 8, 8]
    assert change(net, wider) < 1e-14
