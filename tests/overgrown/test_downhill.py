"""A careful start: every gate on its downhill side, no further open than the loss falls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from archgraph import Graph, Network
from archgraph.overgrown import Descent, NewUnits, Overlay, Point, candidates, descend, overgrow
from archgraph.overgrown.downhill import BATCHES, HALVINGS, downhill
from archgraph.tasks import Loss
from tests import strategies as some
from tests.overgrown.families import FAMILIES

CROSS, SQUARED = Loss("cross-entropy"), Loss("mse")


def setting(name: str) -> tuple[Overlay, list[tuple[Tensor, Tensor]]]:
    """Return an overlay with everything a family may grow by, and three batches of different sizes."""
    network = some.network_of(FAMILIES[name])
    graph, generator = network.graph, torch.Generator().manual_seed(3)
    batches = []
    for samples in (16, 13, 11):
        x = torch.randn(samples, *graph.shape(graph.inputs[0]).dims, generator=generator, dtype=torch.float64)
        batches.append((x, torch.randint(graph.shape(graph.outputs[0]).units, (samples,), generator=generator)))
    return overgrow(network, candidates(graph, new_units=3, layer_width=2)), batches


def loss_at(overlay: Overlay, point: Point, batches: list[tuple[Tensor, Tensor]]) -> float:
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        return float(CROSS(overlay.module(point).eval()(x), y))


@pytest.mark.parametrize("name", FAMILIES)
def test_sides_are_those_of_finite_differences_and_the_loss_falls_there(name: str) -> None:
    overlay, batches = setting(name)
    directions, boxes = overlay.start(5).directions, Descent(box=3.0).boxes(overlay)
    module = overlay.module(overlay.start(5)).with_statistics(of_batch=False)
    sides, trusted, samples = downhill(module, directions, boxes, batches, CROSS)
    start = loss_at(overlay, Point(torch.zeros_like(boxes), directions), batches)
    for number, gate in enumerate(overlay.gates):
        gates = torch.zeros_like(boxes)
        gates[number] = 1e-6
        slope = (loss_at(overlay, Point(gates, directions), batches) - start) / 1e-6
        assert abs(float(sides[number])) == 1.0
        if gate.kind != "split" and abs(slope) > 1e-5:
            assert float(sides[number]) == -math.copysign(1.0, slope), gate.name
    assert loss_at(overlay, Point(sides * trusted, directions), batches) < start
    halved = round(math.log2(float(boxes[0] / trusted[0])))
    torch.testing.assert_close(trusted * 2.0**halved, boxes, rtol=1e-12, atol=0)
    if halved:  # the largest that is trusted, and no smaller one
        assert loss_at(overlay, Point(sides * trusted * 2.0, directions), batches) >= start
    assert samples == 40 + math.ceil(40 * (halved + 1) / 3)


def test_it_looks_at_so_many_batches_and_gives_up_after_so_many_halvings() -> None:
    overlay, batches = setting("concats")
    boxes = Descent().boxes(overlay)
    module = overlay.module().with_statistics(of_batch=False)
    looked = downhill(module, overlay.start(1).directions, boxes, batches * 5, CROSS)[2]
    first = sum(len(y) for _, y in (batches * 5)[:BATCHES])
    assert looked >= first and (looked - first) % 1 == 0 and looked < 2 * sum(len(y) for _, y in batches * 5)
    flat = lambda outputs, targets: (outputs * 0.0).sum()  # noqa: E731  nothing lowers it
    sides, trusted, samples = downhill(module, overlay.start(1).directions, boxes, batches[:1], flat)
    assert torch.equal(sides, torch.ones_like(boxes))
    torch.testing.assert_close(trusted, boxes / 2.0**HALVINGS)
    assert samples == 16 + math.ceil(16 * HALVINGS / 3)


def test_near_an_optimum_a_careful_descent_goes_down_where_the_other_goes_up() -> None:
    """One bump, fitted to the last digit: what is left to gain is small, and eight at their bounds too much."""
    graph = Graph.parse("x = Input((2,))\na = Linear(1)(x)\nr = Gaussian()(a)\no = Linear(1)(r)\nreturn o")
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    network = Network.init(graph, 1, dtype=torch.float64)
    y = network.to_torch()(x).detach() + 1e-2 * torch.sin(3.0 * x[:, :1])
    overlay, batches = overgrow(network, (NewUnits("a", 8),)), [(x[:32], y[:32]), (x[32:], y[32:])]
    change = {}
    for careful in (False, True):
        found = descend(overlay, batches, SQUARED, Descent(careful=careful), seed=4)
        with torch.no_grad():
            closed, opened = (
                float(SQUARED(overlay.module(point).eval()(x), y)) for point in (found.point.closed(), found.point)
            )
        change[careful] = opened - closed
        assert (found.point.gates.abs() <= 0.1 + 1e-12).all()
    assert change[True] < 0.0 < change[False]


def test_a_descent_that_is_not_careful_and_one_from_a_given_start_are_as_they_were() -> None:
    overlay, batches = setting("multilayer perceptron")
    start = overlay.start(2)
    opened = Point(start.gates + 0.05, start.directions)
    still = descend(overlay, batches, CROSS, Descent(steps=0, careful=True), start=opened).point
    torch.testing.assert_close(still.gates, opened.gates)
    assert torch.equal(descend(overlay, batches, CROSS, Descent(steps=0)).point.gates, Descent().boxes(overlay))
