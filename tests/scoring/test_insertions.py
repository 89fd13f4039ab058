"""Where a new layer would have the longest gradient: against one network for every place, and against differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph import Graph, Network
from archgraph.criteria.sensitivity import sensitivity
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.graph import Absorb, rule_of
from archgraph.metrics import macs
from archgraph.moves import InsertIdentity, InsertLayer
from archgraph.net import capture
from archgraph.net.state import parameters_of
from archgraph.scoring import Scored, score_sites
from archgraph.scoring.insertions import InsertionSettings, fresh_labels, insertion
from tests.overgrown.families import FAMILIES
from tests.scoring.proposing import CE, loss_of, network_of, samples

PLACES = {
    "multilayer perceptron": {"r": "residual", "s": "residual"},
    "convolutions with batch norm": {"p": "residual", "f": "residual"},
    "residual stream": {"r": "identity", "q": "identity", "g": "residual"},
    "concats": {"r": "identity", "k": "residual", "g": "residual"},
    "depthwise": {"q": "residual", "g": "residual"},
    "transformer": {"n": "residual", "k": "residual", "r": "residual", "f": "residual"},
}
"""Every family takes layers, an identity behind a ReLU and residual ones elsewhere."""


def scored(family: str, **options: Any) -> tuple[Network, torch.Tensor, torch.Tensor, Scored]:
    graph = FAMILIES[family]
    network, (x, y) = network_of(graph), samples(graph)
    return network, x, y, score_sites(network, x, y, CE, criterion="sensli", options={"ratio": 0.0, **options})


@pytest.mark.parametrize("family", FAMILIES)
def test_merits_are_those_of_one_layer_alone_put_in_by_hand(family: str) -> None:
    network, x, y, found = scored(family)
    before = loss_of(network, x, y)
    assert set(found.scores) == set(PLACES[family]) and not found.refused
    for name, one in found.scores.items():
        move = insertion(network.graph, name, InsertionSettings())
        assert isinstance(move, InsertIdentity if PLACES[family][name] == "identity" else InsertLayer)
        edit = move.plan(network.graph)
        alone = network.after(edit)
        assert abs(loss_of(alone, x, y) - before) < 1e-12
        module = alone.to_torch().eval()
        CE(module(x), y).backward()
        parts = [parameters_of(module)[label].grad for label in fresh_labels(edit.before, edit.after)]
        flat = torch.cat([part.flatten() for part in parts if part is not None])
        torch.testing.assert_close(one.directions[0], -flat, rtol=1e-9, atol=1e-14)
        assert one.gain is not None
        assert float(one.gain) == pytest.approx(float(flat.square().sum()), rel=1e-9)
        assert float(one.index) == -float(one.gain)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_step_takes_what_it_says(family: str) -> None:
    network, x, y, found = scored(family)
    before = loss_of(network, x, y)
    for name, one in found.scores.items():
        edit = insertion(network.graph, name, InsertionSettings()).plan(network.graph)
        still, done, step = network.after(edit), 0, 1e-6
        weights = dict(still.weights)
        for label in fresh_labels(edit.before, edit.after):
            size = weights[label].numel()
            weights[label] = weights[label] + step * one.directions[0, done : done + size].reshape(weights[label].shape)
            done += size
        change = loss_of(Network(still.graph, weights), x, y) - before
        if PLACES[family][name] == "residual":  # behind a ReLU zeros of T are kinks, where torch's slope is 0
            assert change == pytest.approx(step * float(one.index), rel=1e-3)
        assert change <= step * float(one.index) * (1 - 1e-3)


def test_an_identity_behind_a_relu_is_the_closed_form_of_its_edge() -> None:
    network, x, y, found = scored("residual stream")
    captured = capture(network, x, lambda out: CE(out, y), values=["r", "q"], grads=["r", "q"])
    for name in ("q",):  # "r" is read by a sum too, but its gradient is that of all its edges all the same
        edge = captured.values[name]
        closed = sensitivity(
            edge, captured.grads[name], kernel_size=3, derivs=(edge > 0).double(), include_bias=True
        ).direction
        weight, bias = closed[:, :-1], closed[:, -1]
        torch.testing.assert_close(found.scores[name].directions[0], torch.cat([weight.flatten(), bias]))


def test_only_places_as_sensitive_as_the_layers_are_named() -> None:
    network, x, y, every = scored("residual stream")
    module = network.to_torch().eval()
    CE(module(x), y).backward()
    lengths = [
        float(parameter.grad.square().sum())
        for label, parameter in parameters_of(module).items()
        if label.endswith("weight") and parameter.ndim > 1 and isinstance(rule_of(network.graph, label[0]), Absorb)
    ]
    mean = sum(lengths) / len(lengths)
    for ratio in (0.5, 1.0, 2.0):
        found = scored("residual stream", ratio=ratio)[3]
        assert set(found.scores) == {n for n, one in every.scores.items() if -float(one.index) >= ratio * mean}
        assert set(found.refused) == set(every.scores) - set(found.scores)
        assert all("would gain too little by a layer" in why for why in found.refused.values())


def test_batches_and_the_bill() -> None:
    graph = FAMILIES["multilayer perceptron"]
    network, (x, y) = network_of(graph), samples(graph, count=700)  # more than a batch
    key = network.key
    found = score_sites(network, x, y, CE, criterion="sensli", options={"ratio": 0.0})
    module = network.after(insertion(graph, "r", InsertionSettings()).plan(graph)).to_torch().eval()
    CE(module(x), y).backward()
    total = sum(float(p.grad.square().sum()) for n, p in parameters_of(module).items() if n.split(".")[0] not in graph)
    assert float(found.scores["r"].index) == pytest.approx(-total, rel=1e-9)
    assert found.samples == 700 and found.macs > 3 * macs(graph) * 700
    assert network.key == key


def test_a_named_node_and_one_that_takes_no_layer() -> None:
    graph = FAMILIES["concats"]
    network, (x, y) = network_of(graph), samples(graph)
    found = score_sites(network, x, y, CE, criterion="sensli", sites=("s",), options={"ratio": 0.0})
    assert list(found.scores) == ["s"]
    vectors = score_sites(network, x, y, CE, criterion="sensli", sites=("g", "o"), options={"ratio": 0.0})
    assert set(vectors.scores) | set(vectors.refused) == {"g", "o"}
    alone = Graph.parse("x = Input((4,))\no = Linear(3)(x)\nreturn o")
    nothing = score_sites(network_of(alone), *samples(alone), CE, criterion="sensli")
    assert not nothing.scores and nothing.samples == 0


def test_bad_options_and_data() -> None:
    network, x, y, _ = scored("concats")
    for options in ({"ratio": -1.0}, {"ratio": True}, {"kernel_size": 2}, {"layer_width": 0}, {"seed": -1}):
        with pytest.raises(SettingError):
            score_sites(network, x, y, CE, criterion="sensli", options=options)
    with pytest.raises(UnknownName, match="tau"):
        score_sites(network, x, y, CE, criterion="sensli", options={"tau": 1.0})
    with pytest.raises(UnknownName):
        score_sites(network, x, y, CE, criterion="sensli", sites=("nobody",))
    with pytest.raises(DataError, match="not finite"):
        score_sites(network, x * float("nan"), y, CE, criterion="sensli")
