"""Every way to grow on every family of networks: it grows and the loss falls as it says, or it says why not.

Before a growth one hot epoch has passed, few long steps, after which the running statistics of batch norm lag far
behind: what a growth does is told against a network with statistics of its own data, so that it is no credit to the
growth to put these right, and none of its doing when the next training leaves them behind again.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from archgraph import Graph, Network, Recipe, Task, search
from archgraph.metrics import depth, params
from archgraph.net import estimate
from archgraph.registry import DRIVERS
from archgraph.scoring.proposals import NAMES
from tests.overgrown.families import FAMILIES

WAYS: dict[str, dict[str, Any]] = {
    "firefly": {"kinds": "split+new+layer+edge", "new_units": 2, "layer_width": 2, "descent_steps": 10, "growth": 0.6},
    **{name: {"added": 2} for name in NAMES},
    "sensli": {"ratio": 0.0},
    "net2wider": {"added": 2},
    "net2deeper": {},
}
NOTHING_PROMISED = {"net2wider", "net2deeper"}
"""Rivals that keep the function: nothing is predicted, and nothing measured but rounding."""

REFUSED: dict[tuple[str, str], str] = {
    ("net2deeper", "multilayer perceptron"): "no node is a ReLU, behind which an identity is exact",
    ("net2deeper", "depthwise"): "no node is a ReLU, behind which an identity is exact",
    ("net2deeper", "transformer"): "no node is a ReLU, behind which an identity is exact",
}


def task_of(graph: Graph) -> Task:
    generator = torch.Generator().manual_seed(1)
    x, outputs = torch.randn(48, *graph.shape("x").dims, generator=generator), graph.shape("o").units
    y = x.flatten(1)[:, :outputs].argmax(1)
    return Task.from_tensors("own", x, y, loss="cross-entropy", outputs=outputs)


def loss_of(network: Network, task: Task) -> float:
    split = task.splits["train"]
    with torch.no_grad():
        return float(task.loss(network.to(torch.float64).to_torch().eval()(split.x.double()), split.y))


def settled(network: Network, task: Task) -> Network:
    """Return a network with statistics of batch norm of the training data."""
    graph = network.graph
    norms = [name for name in graph.nodes if "running_mean" in graph.tensors(name)]
    units = {name: tuple(range(graph.shape(name).units)) for name in norms}
    return estimate(network, units, task.splits["train"].x) if units else network


QUICK = "convolutions with batch norm"


@pytest.mark.parametrize(
    "family", [QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in FAMILIES if one != QUICK)]
)
@pytest.mark.parametrize("way", WAYS)
def test_it_grows_and_the_loss_falls_as_measured_or_it_says_why_not(way: str, family: str) -> None:
    graph, task = FAMILIES[family], task_of(FAMILIES[family])
    driver = DRIVERS.get(way)(graph, stages=1, tune=Recipe(epochs=0), **WAYS[way])
    study = search(driver, task=task, recipe=Recipe(epochs=1, lr=0.03, batch_size=16), seed=2)
    if (way, family) in REFUSED:
        assert len(study) == 1
        assert REFUSED[way, family] in study.stopped
        return
    assert study.stopped == "all 1 stages are done"
    before, after = study.trials
    assert params(after.graph) > params(graph) or depth(after.graph) > depth(graph)
    if way in NOTHING_PROMISED:
        assert loss_of(after.network, task) == pytest.approx(loss_of(before.network, task), abs=1e-2)
        return
    assert after.predicted is not None and math.isfinite(after.predicted)
    assert after.measured is not None and after.measured < 0.0
    gained = loss_of(after.network, task) - loss_of(settled(before.network, task), task)
    assert gained < 0.0
    if way != "firefly":  # it scales the function back after it has found statistics of fresh units
        assert gained == pytest.approx(after.measured, abs=1e-4)
