"""Growth in depth: a layer where its gradient is the longest, alone and beside new units, and its random rival."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from archgraph import Graph, Network, Recipe, Task, search
from archgraph.errors import SettingError, UnknownName
from archgraph.metrics import depth, params, units
from archgraph.moves import parse
from archgraph.registry import DRIVERS
from archgraph.search.lineage import lineage
from archgraph.tasks import Loss
from optimizers import Net2Deeper, Sensli, Tiny, ZeroFanOut
from tests.overgrown.families import FAMILIES
from tests.search.sameness import same

X = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, (X[:, :3] * X[:, 3:]).argmax(1), loss="cross-entropy", outputs=3)
MLP = Graph.parse(
    "x = Input((6,))\na = Linear(4)(x)\nf = Tanh()(a)\nb = Linear(5)(f)\ng = ReLU()(b)\ny = Linear(3)(g)\nreturn y"
)
RECIPE = Recipe(epochs=2, lr=0.01, batch_size=16)


def family_task(name: str) -> Task:
    graph = FAMILIES[name]
    x = torch.randn(40, *graph.shape("x").dims, generator=torch.Generator().manual_seed(1))
    outputs = graph.shape("o").units
    return Task.from_tensors("own", x, torch.arange(40) % outputs, loss="cross-entropy", outputs=outputs)


def loss_of(network: Network, task: Task) -> float:
    split = task.splits["train"]
    with torch.no_grad():
        return float(Loss("cross-entropy")(network.to(torch.float64).to_torch().eval()(split.x.double()), split.y))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_deepens_every_family_and_the_loss_falls(family: str) -> None:
    graph, task = FAMILIES[family], family_task(family)
    study = search(Sensli(graph, stages=1, ratio=0.0), task=task, recipe=Recipe(epochs=1, batch_size=16))
    assert study.stopped == "all 1 stages are done"
    before, after = study.trials
    assert depth(after.graph) > depth(graph)
    assert after.measured is not None and after.measured < 0.0
    assert after.predicted is not None and after.predicted < 0.0
    assert all(parse(move) for move in after.moves)
    assert lineage(study.trials, after)[-1].graph == after.graph
    assert before.graph == graph


def test_measured_over_predicted_tends_to_one() -> None:
    """At a short step a residual layer takes what its gradient says (an identity behind a ReLU stands at its kinks)."""
    graph = Graph.parse(str(MLP).replace("ReLU", "Tanh"))
    network = Network.init(graph, 1, dtype=torch.float64)
    for factor, error in ((1e-3, 2e-2), (1e-5, 2e-4)):
        driver = Sensli(network, stages=1, ratio=0.0, factor=factor, line_search=False)
        trial = search(driver, task=TASK, recipe=Recipe(epochs=0)).trials[-1]
        assert trial.measured is not None and trial.predicted is not None
        assert trial.measured / trial.predicted == pytest.approx(1.0, abs=error)


def test_beside_a_width_criterion_what_trains_better_goes_on() -> None:
    study = search(ZeroFanOut(MLP, stages=2, deeper=True), task=TASK, recipe=RECIPE)
    by_stage: dict[int, list[Any]] = {}
    for trial in study:
        by_stage.setdefault(trial.stage, []).append(trial)
    kinds = {trial.moves[-1].partition("(")[0] for trial in study if trial.moves}
    assert "Widen" in kinds and kinds & {"InsertLayer", "InsertIdentity"}
    for stage in (1, 2):
        best = min(by_stage[stage - 1], key=lambda trial: trial.metrics["train.loss"])
        assert {trial.parent for trial in by_stage[stage]} == {best.number}


def test_nothing_helps_and_nothing_is_left() -> None:
    alone = Graph.parse("x = Input((6,))\ny = Linear(3)(x)\nreturn y")
    study = search(Sensli(alone), task=TASK, recipe=RECIPE)
    assert study.stopped == "no layer is left to insert: no layer reads what another one makes"
    study = search(Net2Deeper(alone), task=TASK, recipe=RECIPE)
    assert study.stopped == "no layer is left to insert: no node is a ReLU, behind which an identity is exact"
    study = search(Sensli(MLP, ratio=1e9), task=TASK, recipe=RECIPE)
    assert len(study) == 1 and "would gain too little by a layer" in study.stopped
    study = search(Sensli(MLP, ratio=0.0, cost="params", added=1), task=TASK, recipe=RECIPE)
    assert study.stopped == "no layer is left to insert: every one would add more than 1 params"
    with pytest.raises(SettingError, match="leaves nothing to grow"):
        search(Sensli(MLP, cost="params", ceiling=params(MLP)), task=TASK, recipe=RECIPE)


def test_a_layer_that_raises_the_loss_is_rejected_and_leaves_the_network_alone() -> None:
    network = Network.init(MLP, 1)
    driver = Sensli(network, ratio=0.0, factor=1e4, line_search=False)
    study = search(driver, task=TASK, recipe=Recipe(epochs=0))
    assert study.stopped.startswith("stage 1 was rejected: no step of a layer behind")
    assert len(study) == 1
    assert all(torch.equal(one, network.weights[key]) for key, one in study.trials[0].network.weights.items())


def test_limits_hold() -> None:
    study = search(Sensli(MLP, stages=3, ratio=0.0, cost="params", added=45), task=TASK, recipe=RECIPE)
    sizes = [params(trial.graph) for trial in study]
    assert len(sizes) > 1
    assert all(0 < after - before <= 45 for before, after in itertools.pairwise(sizes))
    capped = search(Sensli(MLP, stages=3, ratio=0.0, ceiling=14), task=TASK, recipe=RECIPE)
    assert units(capped.trials[-1].graph) <= 14


def test_net2deeper_keeps_the_function_and_the_moments() -> None:
    network = Network.init(MLP, 1)
    study = search(Net2Deeper(network, stages=2), task=TASK, recipe=RECIPE, seed=2)
    assert study.stopped == "all 2 stages are done"
    for trial in study.trials[1:]:
        assert trial.measured == pytest.approx(0.0, abs=1e-9)
        assert trial.moves[0].startswith("InsertIdentity(")
    assert depth(study.trials[-1].graph) == depth(MLP) + 2


def test_the_same_seed_gives_the_same_networks() -> None:
    for kind in (Sensli, Net2Deeper):
        one, two = (search(kind(MLP, stages=2), task=TASK, recipe=RECIPE, seed=3) for _ in range(2))
        same(one, two)


def test_settings() -> None:
    assert DRIVERS.get("sensli") is Sensli and DRIVERS.get("net2deeper") is Net2Deeper
    texts = {"ratio": "2.0", "layer_width": "3", "stages": "1"}
    assert DRIVERS.get("sensli").from_settings(MLP, texts) == Sensli(MLP, ratio=2.0, layer_width=3, stages=1)
    assert Tiny(MLP, deeper=True).deeper
    wrong: list[dict[str, Any]] = [
        {"ratio": -1.0},
        {"kernel_size": 2},
        {"layer_width": 0},
        {"factor": 0.0},
        {"line_search": 1},
        {"samples": 0},
        {"stages": -1},
        {"stages": True},
        {"growth": 0.0},
        {"growth": "half"},
        {"growth": None},
        {"added": -1},
        {"rate": "again"},
        {"state": "kept"},
        {"scratch": 1},
    ]
    for settings in wrong:
        with pytest.raises(SettingError):
            Sensli(MLP, **settings)
    with pytest.raises(SettingError):
        Tiny(MLP, deeper=1)  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        Sensli(MLP, cost="money")
