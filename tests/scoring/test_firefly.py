"""The firefly criterion: scores add up to what the over-grown network gains, and hold the point that was reached."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import archgraph as ag
from archgraph import Network, rng
from archgraph.errors import EvaluationFailed, SettingError, UnknownName
from archgraph.metrics import macs
from archgraph.overgrown import NewUnits, Point, SplitUnits
from archgraph.scoring import score_sites
from archgraph.scoring.firefly import compatible, name_of, overlay_of, point_of
from archgraph.scoring.overgrowth import Overgrowth
from archgraph.tasks import Loss
from tests.overgrown.families import FAMILIES
from tests.strategies import network_of

CE = Loss("cross-entropy")
ALL = ("split", "new", "layer", "edge")


def case(name: str, samples: int = 48) -> tuple[Network, torch.Tensor, torch.Tensor]:
    network = network_of(FAMILIES[name], seed=2)
    graph, generator = network.graph, torch.Generator().manual_seed(1)
    x = torch.randn(samples, *graph.shape("x").dims, generator=generator, dtype=torch.float64)
    return network, x, torch.randint(graph.shape(graph.outputs[0]).units, (samples,), generator=generator)


def options(**more: Any) -> dict[str, Any]:
    return {"kinds": ALL, "new_units": 2, "layer_width": 2, "steps": 20, "batch_size": 16, "seed": 3} | more


def loss_at(overlay: ag.overgrown.Overlay, point: Point, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return float(CE(overlay.module(point).eval()(x), y))


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_add_up_to_what_the_overgrown_network_gains(name: str) -> None:
    network, x, y = case(name)
    before = {key: one.clone() for key, one in network.weights.items()}
    given = options()
    found = score_sites(network, x, y, CE, criterion="firefly", options=given)
    overlay = overlay_of(network, found.scores, Overgrowth.of(given))
    point = point_of(overlay, found.scores)
    gain = loss_at(overlay, point, x, y) - loss_at(overlay, point.closed(), x, y)
    total = sum(float(one.index.sum()) for one in found.scores.values())
    assert total == pytest.approx(gain, rel=0.02)
    assert total < 0.0
    assert {name.partition(" ")[0] for name in found.scores} == set(ALL)
    assert found.samples == 20 * 16 + 3 * 48
    assert found.macs == 3 * macs(overlay.graph) * found.samples
    assert all(torch.equal(one, before[key]) for key, one in network.weights.items())


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_same_seed_gives_the_same_scores_and_leaves_the_global_stream_alone(mode: str) -> None:
    network, x, y = case("convolutions with batch norm")
    stream = torch.get_rng_state()
    one, two, other = (
        score_sites(network, x, y, CE, criterion="firefly", options=options(mode=mode, seed=seed)).scores
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(one[name].index, two[name].index) for name in one)
    assert all(torch.equal(one[name].directions, two[name].directions) for name in one)
    assert not torch.equal(one["new a"].index, other["new a"].index)


def test_halves_learn_from_one_half_and_score_on_the_other() -> None:
    network, x, y = case("multilayer perceptron", samples=40)
    given = options(halves=True, batch_size=20)
    held = torch.randperm(40, generator=torch.Generator().manual_seed(rng.derive(3, "halves")))[20:]
    found = score_sites(network, x, y, CE, criterion="firefly", options=given)
    overlay = overlay_of(network, found.scores, Overgrowth.of(given))
    point = point_of(overlay, found.scores)
    gain = loss_at(overlay, point, x[held], y[held]) - loss_at(overlay, point.closed(), x[held], y[held])
    assert sum(float(one.index.sum()) for one in found.scores.values()) == pytest.approx(gain, rel=0.02)
    assert found.samples == 20 * 20 + 3 * 20
    turned = y.clone()
    turned[held] = 1 - turned[held]
    other = score_sites(network, x, turned, CE, criterion="firefly", options=given).scores
    assert torch.equal(other["new a"].directions, found.scores["new a"].directions)
    assert not torch.equal(other["new a"].index, found.scores["new a"].index)


def test_noise_is_the_standard_error_over_batches() -> None:
    network, x, y = case("multilayer perceptron", samples=64)
    given = options(steps=5)
    found = score_sites(network, x, y, CE, criterion="firefly", options=given).scores
    overlay = overlay_of(network, found, Overgrowth.of(given))
    point = point_of(overlay, found)
    parts = []
    for inputs, targets in zip(x.split(16), y.split(16), strict=True):
        gates = [(point.gates * (2 * k + 1) / 6).requires_grad_() for k in range(3)]
        module = overlay.module(point).eval()
        slopes = [
            torch.autograd.grad(CE(module.at(Point(one, point.directions), inputs), targets), one)[0] for one in gates
        ]
        parts.append(point.gates * sum(slopes) / 3)
    each = torch.stack(parts)
    torch.testing.assert_close(torch.cat([one.index for one in found.values()]), each.mean(0), rtol=0, atol=1e-12)
    noise = torch.cat([one.noise for one in found.values() if one.noise is not None])
    torch.testing.assert_close(noise, each.std(0) / 2, rtol=0, atol=1e-12)


def test_only_the_sites_that_are_named() -> None:
    network, x, y = case("multilayer perceptron")
    found = score_sites(network, x, y, CE, criterion="firefly", sites=("b", "s"), options=options()).scores
    assert set(found) == {"split b", "new b", "layer s", "edge r s", "edge x s"}
    with pytest.raises(UnknownName, match="'q'"):
        score_sites(network, x, y, CE, criterion="firefly", sites=("q",), options=options())


def test_public_scores() -> None:
    network, x, y = case("concats")
    found = ag.score(network, "firefly", data=(x, y), loss="cross-entropy", steps=4, batch_size=24)
    assert set(found) == {"split a", "split b", "split c", "new a", "new b", "new c"}
    assert found["new b"].shape == (8,)


def test_what_cannot_grow_at_once_is_left_out_with_the_reason() -> None:
    network, _, _ = case("multilayer perceptron")
    overlay, refused = compatible(network, [SplitUnits("a", (0, 1)), NewUnits("b", 1), SplitUnits("a", (1,))])
    assert overlay.candidates == (SplitUnits("a", (0, 1)), NewUnits("b", 1))
    assert list(refused) == ["split a"]
    assert refused["split a"].startswith("cannot grow: ")
    assert overlay.base == network


def test_a_graph_with_nothing_to_grow() -> None:
    graph = ag.Graph.parse("x = Input((3,))\ny = Linear(2)(x)\nreturn y")
    found = score_sites(network_of(graph), torch.ones(4, 3).double(), torch.arange(4) % 2, CE, criterion="firefly")
    assert (found.scores, found.samples, found.macs) == ({}, 0, 0)


def test_names() -> None:
    graph = FAMILIES["multilayer perceptron"]
    listed = ag.overgrown.candidates(graph, ALL)
    assert [name_of(one) for one in listed][:6] == ["split a", "split b", "new a", "new b", "layer r", "layer s"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"kinds": ("split", "wide")}, "kinds are families"),
    "no kind": ({"kinds": ()}, "kinds are families"),
    "units": ({"new_units": 0}, "new_units must be a whole number"),
    "width": ({"layer_width": 1.5}, "layer_width must be a whole number"),
    "kernel": ({"kernel_size": 2}, "kernel_size must be odd"),
    "steps": ({"steps": -1}, "steps must be"),
    "box": ({"box": 0.0}, "box must be a positive number"),
    "points": ({"points": 0}, "points must be a whole number"),
    "mode": ({"mode": "both"}, "mode is none"),
    "halves": ({"halves": 1}, "halves must be"),
    "seed": ({"seed": 0.5}, "seed must be"),
    "unknown": ({"epsilon": 0.1}, "has no option 'epsilon'"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Overgrowth.of(given)


def test_a_network_that_has_diverged() -> None:
    network, x, y = case("multilayer perceptron")
    broken = Network(network.graph, {**network.weights, "a.weight": network.weights["a.weight"] * float("nan")})
    with pytest.raises(EvaluationFailed, match="not finite"):
        score_sites(broken, x, y, CE, criterion="firefly", options=options())
