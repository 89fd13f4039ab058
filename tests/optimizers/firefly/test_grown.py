"""Networks after stages of growth: they come back as they were, cost what was said, live, are good."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import Graph, Network, Recipe, Study, Task, chain, ops, search
from archgraph.metrics import macs, params
from archgraph.overgrown import candidates, materialise, overgrow
from archgraph.scoring.proposals import NAMES
from archgraph.tasks import Split
from archgraph.tasks.toy_rbf import HARD, toy_rbf
from optimizers import CriterionGrowth, FireflyDescent
from optimizers.firefly.parts import Parts
from optimizers.growth import Cost
from tests import strategies as some
from tests.optimizers.firefly.nets import MLP, NORMED
from tests.overgrown.families import FAMILIES

X = torch.randn(60, 2, 6, 5, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("pictures", X, X.mean((1, 2))[:, :3].argmax(1), loss="cross-entropy", outputs=3)
KINDS = ("split", "new", "layer", "edge")


def test_after_two_stages_it_comes_back_from_text_disk_pickle_and_copy(tmp_path: Path) -> None:
    driver = FireflyDescent(NORMED, kinds=KINDS, descent_steps=8, stages=2, layer_width=2, growth=0.6)
    network = search(driver, task=TASK, recipe=Recipe(epochs=1, batch_size=16)).trials[-1].network
    assert params(network.graph) > params(NORMED)
    outputs = network.to_torch().eval()(X)
    again = [
        Network.load(network.save(tmp_path / "grown")),
        pickle.loads(pickle.dumps(network)),
        copy.deepcopy(network),
        Network(Graph.parse(str(network.graph)), network.weights),
    ]
    for one in again:
        assert one.graph == network.graph
        assert torch.equal(one.to_torch().eval()(X), outputs)
    module = Network.init(network.graph, 5).to_torch()
    module.load_state_dict(network.to_torch().state_dict())
    assert torch.equal(module.eval()(X), outputs)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_gates_are_said_to_cost_is_what_the_grown_network_costs_more(name: str) -> None:
    graph = FAMILIES[name]
    overlay = overgrow(Network.init(graph), candidates(graph, KINDS, new_units=2, layer_width=2))
    generator = torch.Generator().manual_seed(3)
    for cost, count in (("params", params), ("macs", macs)):
        parts = Parts(graph, overlay.gates, Cost.named(cost))
        for size in (1, 3, 7):
            chosen = torch.randperm(len(overlay.gates), generator=generator)[:size].tolist()
            grown = materialise(overlay, overlay.start(), chosen).network
            assert parts.added(chosen) == count(grown.graph) - count(graph)
            assert cost != "params" or count(grown.graph) == sum(one.numel() for one in grown.to_torch().parameters())


def test_one_step_after_a_commit_every_new_unit_hears_from_the_loss() -> None:
    network = some.network_of(FAMILIES["residual stream"])
    overlay = overgrow(network, candidates(network.graph, ("new",), new_units=3))
    grown = materialise(overlay, overlay.start(1), range(len(overlay.gates)))
    lives(grown.network, {node: grown.edits[-1].unit_map(node).fresh.nonzero()[0].tolist() for node in ("a", "b")})


@pytest.mark.parametrize("name", NAMES)
def test_one_step_after_a_growth_by_a_criterion_every_new_unit_hears_from_the_loss(name: str) -> None:
    driver = CriterionGrowth(MLP, name, stages=1, added=4, tune=Recipe(epochs=0))
    x = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
    task = Task.from_tensors("own", x, (x[:, :3] * x[:, 3:]).argmax(1), loss="cross-entropy", outputs=3)
    grown = search(driver, task=task, recipe=Recipe(epochs=1, batch_size=16)).trials[-1].network.to(torch.float64)
    before = {node: MLP.shape(node).units for node in ("a", "b")}
    lives(grown, {node: list(range(old, grown.graph.shape(node).units)) for node, old in before.items()})


def lives(network: Network, units: Mapping[str, list[int]]) -> None:
    """Take a step of gradient descent; then the rows of some units have gradients that are not zero."""
    module = network.to_torch().train()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-2)
    (x,) = some.inputs_of(network.graph)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    assert sum(map(len, units.values())) > 0
    for node, own in units.items():
        gradient = module.get_parameter(f"{node}.weight").grad
        assert gradient is not None
        assert bool((gradient[own].flatten(1).norm(dim=1) > 0.0).all())


BUMPS = {
    "split and new": (("split", "new"), 1, 9, -9.0, -4.5),
    "new": (("new",), 1, 9, -9.0, -4.5),
    "split": (("split",), 2, 2, -1.0, 0.0),
}


def bumps(seed: int, driver: Any, epochs: int) -> Study:
    """Grow a network of one Gaussian unit on the hard toy of a seed, a unit a stage."""
    toy = toy_rbf(seed=seed, train=1000, scale=HARD)
    y = toy.splits["train"].y
    splits = {name: Split(one.x, (one.y - y.mean()) / y.std(correction=0)) for name, one in toy.splits.items()}
    task = Task("bumps", splits, toy.loss, toy.input_shape, toy.outputs)
    graph = chain(ops.Input((2,)), ops.Linear(1, bias=False), ops.Gaussian(), ops.Linear(1, bias=False))
    recipe = Recipe(epochs=epochs, lr=0.03, batch_size=1000)
    return search(driver(graph, growth=1e-9, halves=False), task=task, recipe=recipe, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "seed", "stages", "low", "high"), BUMPS.values(), ids=BUMPS)
def test_bumps(kinds: tuple[str, ...], seed: int, stages: int, low: float, high: float) -> None:
    """Ten units of one, at the defaults (specification of growth, D.2): new ones get there, splits alone do not."""
    study = bumps(seed, partial(FireflyDescent, kinds=kinds, stages=stages), 1200)
    assert low <= math.log10(study.trials[-1].metrics["train.relative-mse"]) <= high


def test_a_stage_in_which_nothing_helps_is_tried_once_more_carefully() -> None:
    hasty = bumps(0, partial(FireflyDescent, kinds="new", stages=3, careful=False), 100)
    assert "lowers the loss" in hasty.stopped or "was rejected" in hasty.stopped
    careful = bumps(0, partial(FireflyDescent, kinds="new", stages=3), 100)
    assert careful.stopped == "all 3 stages are done"
    again = careful.trials[len(hasty)]
    assert again.measured is not None and again.measured < 0.0
    for one, other in zip(hasty, careful, strict=False):  # up to there they are the same
        assert one.network == other.network
