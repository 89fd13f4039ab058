"""Growth by proposed units: what it grows, what it predicts, when it stops, and what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from archgraph import Budget, Graph, Network, Recipe, Task, compare, search
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Evaluator, Train
from archgraph.metrics import macs, params, widths
from archgraph.moves import Widen, parse
from archgraph.registry import CRITERIA, DRIVERS
from archgraph.scoring import Scored, score_sites
from archgraph.scoring.proposals import NAMES
from archgraph.scoring.slices import slices
from archgraph.search import Setting
from optimizers import CriterionGrowth, GradMax, NaturalExpansion, Net2Wider, North, Tiny, ZeroFanOut
from tests.overgrown.families import FAMILIES

OWN = {
    "tiny": Tiny,
    "gradmax": GradMax,
    "north": North,
    "natural-expansion": NaturalExpansion,
    "zero-fan-out": ZeroFanOut,
}
X = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, (X[:, :3] * X[:, 3:]).argmax(1), loss="cross-entropy", outputs=3)
MLP = Graph.parse(
    "x = Input((6,))\na = Linear(4)(x)\nf = Tanh()(a)\nb = Linear(5)(f)\ng = ReLU()(b)\ny = Linear(3)(g)\nreturn y"
)
IMAGES = torch.randn(60, 2, 6, 5, generator=torch.Generator().manual_seed(0))
PICTURES = Task.from_tensors("pictures", IMAGES, IMAGES.mean((1, 2))[:, :3].argmax(1), loss="cross-entropy", outputs=3)
NORMED = Graph.parse(
    "x = Input((2, 6, 5))\na = Conv2d(4, kernel_size=3, padding=1)(x)\nm = BatchNorm()(a)\nf = SiLU()(m)\n"
    "d = Conv2d(4, kernel_size=3, padding=1, groups=4)(f)\nn = BatchNorm()(d)\ng = SiLU()(n)\n"
    "c = Conv2d(7, kernel_size=1)(g)\nh = Tanh()(c)\np = GlobalAvgPool()(h)\ny = Linear(3)(p)\nreturn y"
)
RECIPE = Recipe(epochs=2, lr=0.01, batch_size=16)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("graph, task", [(MLP, TASK), (NORMED, PICTURES)], ids=["perceptron", "batch norm"])
def test_every_criterion_grows_and_the_loss_falls_as_it_said(name: str, graph: Graph, task: Task) -> None:
    study = search(CriterionGrowth(graph, name, stages=2, added=2), task=task, recipe=RECIPE)
    assert study.stopped == "all 2 stages are done"
    assert [sum(widths(trial.graph)) for trial in study] == [sum(widths(graph)) + 2 * stage for stage in range(3)]
    for trial in study.trials[1:]:
        assert trial.measured is not None and trial.predicted is not None
        assert trial.measured < 0.0
        assert all(isinstance(parse(move), Widen) for move in trial.moves)
    assert study.facts["bill"]["score_macs"] > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("graph, task", [(MLP, TASK), (NORMED, PICTURES)], ids=["perceptron", "batch norm"])
def test_measured_over_predicted_tends_to_one(name: str, graph: Graph, task: Task) -> None:
    network = Network.init(graph, dtype=torch.float64)
    driver = CriterionGrowth(network, name, stages=1, added=3, factor=1e-4, line_search=False)
    trial = search(driver, task=task, recipe=Recipe(epochs=0)).trials[-1]
    assert trial.measured is not None and trial.predicted is not None
    assert trial.measured / trial.predicted == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_grows_every_family(family: str) -> None:
    graph = FAMILIES[family]
    shape, outputs = graph.shape("x").dims, graph.shape("o").units
    x = torch.randn(40, *shape, generator=torch.Generator().manual_seed(1))
    task = Task.from_tensors("own", x, torch.arange(40) % outputs, loss="cross-entropy", outputs=outputs)
    study = search(Tiny(graph, stages=1, added=2), task=task, recipe=Recipe(epochs=1, batch_size=16))
    assert study.stopped == "all 1 stages are done"
    assert params(study.trials[-1].graph) > params(graph)


def test_every_criterion_has_a_driver_of_its_name() -> None:
    assert set(OWN) == set(NAMES)
    for name, kind in OWN.items():
        assert DRIVERS.get(name) is kind
        assert kind(MLP).criterion == name  # type: ignore[call-arg]
        assert "criterion" not in kind.settings()
    assert DRIVERS.get("criterion-growth").from_settings(MLP, {"criterion": "north", "factor": "0.5"}).factor == 0.5
    assert DRIVERS.get("net2wider") is Net2Wider
    assert Net2Wider(MLP).control == "net2wider"


@pytest.mark.parametrize("cost, count", [("params", params), ("macs", macs)])
def test_limits_hold_on_the_grown_graph(cost: str, count: Any) -> None:
    driver = ZeroFanOut(MLP, stages=3, cost=cost, added=41, ceiling=count(MLP) + 70)
    study = search(driver, task=TASK, recipe=RECIPE)
    counts = [count(trial.graph) for trial in study]
    assert all(0 < after - before <= 41 for before, after in itertools.pairwise(counts))
    assert counts[-1] <= count(MLP) + 70
    assert len(counts) > 1


def test_no_layer_gets_wider_than_allowed() -> None:
    study = search(ZeroFanOut(MLP, stages=3, growth=1.0, widest=6), task=TASK, recipe=RECIPE)
    assert widths(study.trials[-1].graph) == (6, 6, 3)
    assert "nothing is left to grow" in study.stopped


def test_a_stage_that_does_not_lower_the_loss_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    def harmful(network: Network, x: Any, y: Any, loss: Any, sites: Any, options: Any) -> Scored:
        found = score_sites(network, x, y, loss, criterion="zero-fan-out", options={"units": 2})
        turned = {}
        for node, one in found.scores.items():
            heard = slices(network, {node: 1})[1][node].heard
            turned[node] = replace(one, directions=torch.where(heard, -one.directions, one.directions))
        return Scored(turned, found.refused, found.samples, found.macs)

    monkeypatch.setattr(CRITERIA, "_own", {"harmful": harmful})
    network = Network.init(MLP, dtype=torch.float64)
    study = search(CriterionGrowth(network, "harmful"), task=TASK, recipe=Recipe(epochs=0))
    assert len(study.trials) == 1
    assert study.stopped.startswith("stage 1 was rejected: no factor from 1 down to")


def test_nothing_to_grow() -> None:
    single = Graph.parse("x = Input((6,))\ny = Linear(3)(x)\nreturn y")
    study = search(Tiny(single), task=TASK, recipe=RECIPE)
    assert study.stopped.startswith("nothing is left to grow: y cannot be resized")
    with pytest.raises(SettingError, match="ceiling"):
        search(Tiny(MLP, cost="params", ceiling=params(MLP)), task=TASK, recipe=RECIPE)


def test_moments_are_carried_or_not() -> None:
    for state in ("carry", "fresh"):
        session = Tiny(MLP, stages=1, added=2, state=state).begin(Setting(Recipe(epochs=1, optimizer="adam")))
        evaluator, asked = Evaluator(TASK, device="cpu"), []
        while not session.done:
            request = session.ask()
            assert request is not None
            asked.append(request)
            session.tell(request, evaluator.evaluate(request))
        last = [one for one in asked if isinstance(one, Train)][-1]
        assert (last.state is None) == (state == "fresh")
        if last.state is not None:
            shapes = {name: tuple(one["exp_avg"].shape) for name, one in last.state.items()}
            assert isinstance(last.subject, Network)
            assert all(shape == tuple(last.subject.weights[name].shape) for name, shape in shapes.items())


BAD: dict[str, dict[str, Any]] = {
    "growth": {"growth": 0.0},
    "growth as text": {"growth": "half"},
    "factor": {"factor": -1.0},
    "added": {"added": 0},
    "stages": {"stages": -1},
    "widest": {"widest": 0},
    "solver": {"solver": "guess"},
    "mode": {"mode": "other"},
    "scales": {"scales": "all"},
    "candidates": {"candidates": 0},
    "line_search": {"line_search": 1},
    "criterion": {"criterion": 3},
}


@pytest.mark.parametrize("settings", BAD.values(), ids=BAD)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        CriterionGrowth(MLP, **settings)


def test_unknown_names() -> None:
    with pytest.raises(UnknownName):
        CriterionGrowth(MLP, cost="money")
    with pytest.raises(UnknownName, match="tinny"):
        search(CriterionGrowth(MLP, "tinny"), task=TASK, recipe=RECIPE)


def test_the_same_seed_gives_the_same_networks() -> None:
    keys = []
    for _ in range(2):
        study = search(North(MLP, stages=2), task=TASK, recipe=RECIPE, seed=3)
        keys.append([trial.network.key for trial in study])
    assert keys[0] == keys[1]


@pytest.mark.slow
def test_they_can_be_compared() -> None:
    drivers = {name: kind(MLP, stages=1) for name, kind in OWN.items()}
    table = compare(drivers, task=TASK, recipe=RECIPE, budget=Budget(evaluations=2), seeds=(0, 1))
    assert all(name in str(table) for name in OWN)
