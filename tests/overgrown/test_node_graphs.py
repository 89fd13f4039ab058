"""Over-grown networks on graphs: closed gates change nothing, open ones are the grown network, slopes are exact."""

from __future__ import annotations

import pytest
import torch

from archgraph import Graph, GraphBuilder, ops
from archgraph.net import Nodes, passed
from archgraph.overgrown import Overlay, Point, candidates, descend, integrated_gradient, materialise, overgrow
from archgraph.overgrown.integrated import run
from archgraph.tasks import Loss
from tests.node_graphs import LAYERS, gap, layer, nodes_of
from tests.strategies import network_of

NODES, ROWS = 9, torch.tensor([1, 4, 7, 8])
CE = Loss("cross-entropy")


def two(kind: str) -> Graph:
    """Two layers of a kind with a residual branch of linear layers."""
    build = GraphBuilder()
    x, edges = build(ops.Input((3,))), build(ops.Edges(3))
    hidden = build(ops.Tanh(), build(ops.BatchNorm(), build(layer(kind, 5), build(ops.Linear(4), x), edges)))
    beside = build(ops.Linear(7), build(ops.SiLU(), build(layer(kind, 6), hidden, edges)))
    return build.graph(build(ops.Linear(2), build(ops.Add(), beside, build(ops.Linear(7), hidden))))


def overlay_of(kind: str) -> tuple[Overlay, Point, Nodes, torch.Tensor]:
    network = network_of(two(kind))
    overlay = overgrow(network, candidates(network.graph, new_units=2, layer_width=2))
    generator = torch.Generator().manual_seed(1)
    gates = 0.3 * torch.randn(len(overlay.gates), generator=generator, dtype=torch.float64)
    point = Point(gates, overlay.start(2).directions)
    return overlay, point, Nodes(nodes_of(network.graph, 3, NODES), ROWS), torch.tensor([0, 1, 1, 0])


FAST = ("gcn", "gat")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in FAST else pytest.mark.slow) for kind in LAYERS]
)
def test_closed_gates_keep_the_function_and_chosen_ones_are_the_grown_network(kind: str) -> None:
    overlay, point, _, _ = overlay_of(kind)
    kinds = {gate.kind for gate in overlay.gates}
    assert kinds == {"split", "new", "layer", "edge"}
    assert gap(overlay.base, overlay.network(overlay.start())) < 1e-12
    chosen = torch.arange(0, len(overlay.gates), 3)
    grown = materialise(overlay, point, chosen.tolist()).network
    assert gap(overlay.network(point.only(chosen)), grown) < 1e-10
    assert gap(overlay.base, grown) > 1e-4


@pytest.mark.parametrize("kind", ["sage", pytest.param("gat", marks=pytest.mark.slow)])
def test_slopes_of_gates_are_those_of_the_loss_at_the_nodes_that_count(kind: str) -> None:
    overlay, point, x, y = overlay_of(kind)
    small = Point(1e-4 * point.gates.sign(), point.directions)
    scores = integrated_gradient(overlay, small, [(x, y)], CE, points=4)
    assert scores.samples == 4 * NODES
    module = overlay.module(small).eval()
    with torch.no_grad():
        losses = [
            float(CE(run(module, Point(gates, small.directions), x), y)) for gates in (small.gates, 0 * small.gates)
        ]
        whole = module.at(small, *x.given)
        assert float(CE(whole[ROWS], y)) == losses[0]  # type: ignore[call-overload]
    assert float(scores.predicted.sum()) == pytest.approx(losses[0] - losses[1], rel=1e-5)


def test_descents_count_every_node_of_a_pass() -> None:
    overlay, _, x, y = overlay_of("sage")
    found = descend(overlay, [(x, y)], CE)
    assert found.losses[-1] < found.losses[0]
    assert found.samples == 60 * passed(x) == 60 * NODES
