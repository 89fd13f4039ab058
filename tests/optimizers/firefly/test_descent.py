"""Firefly descent: what it asks for, what it grows, when it stops, and that nothing is lost on the way."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import Budget, Graph, Network, Recipe, Report, Task, Train, search
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Evaluator, Request
from archgraph.metrics import depth, params
from archgraph.metrics.graph import units_by_node
from archgraph.registry import DRIVERS
from archgraph.search import Setting
from archgraph.search.lineage import lineage
from archgraph.tasks import Loss
from optimizers import FireflyDescent
from optimizers.growth import Cost
from tests.optimizers.firefly.nets import CELLS, COPIES, MLP, NORMED
from tests.overgrown.families import FAMILIES
from tests.search.sameness import same

X = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, (X[:, :3] * X[:, 3:]).argmax(1), loss="cross-entropy", outputs=3)
IMAGES = torch.randn(60, 2, 6, 5, generator=torch.Generator().manual_seed(0))
PICTURES = Task.from_tensors("pictures", IMAGES, IMAGES.mean((1, 2))[:, :3].argmax(1), loss="cross-entropy", outputs=3)
RECIPE = Recipe(epochs=2, lr=0.01, batch_size=16)
QUICK: dict[str, Any] = {"descent_steps": 12, "stages": 2}
ALL = "split+new+layer+edge"


def asked(driver: FireflyDescent, task: Task, recipe: Recipe = RECIPE) -> list[tuple[Request, Report]]:
    """Run a driver to its end; all that it asks, and the answers."""
    session, evaluator = driver.begin(Setting(recipe)), Evaluator(task, device="cpu")
    found = []
    while not session.done:
        request = session.ask()
        assert request is not None
        found.append((request, evaluator.evaluate(request)))
        session.tell(*found[-1])
    return found


def loss_of(network: Network, task: Task) -> float:
    split = task.splits["train"]
    with torch.no_grad():
        return float(task.loss(network.to(torch.float64).to_torch().eval()(split.x.double()), split.y))


def test_it_trains_scores_measures_and_goes_on_from_what_it_measured() -> None:
    found = asked(FireflyDescent(MLP, **QUICK), TASK)
    kinds = [type(request).__name__ for request, _ in found]
    assert kinds[:3] == ["Train", "Score", "Measure"]
    trains = [(request, report) for request, report in found if isinstance(request, Train)]
    assert len(trains) == 3
    for (_, before), (after, _) in itertools.pairwise(trains):
        assert isinstance(after.subject, Network)
        assert before.network is not None
        assert after.origin.parent == before.network.key
        assert after.origin.predicted is not None and after.origin.predicted < 0.0
        assert after.origin.measured is not None and after.origin.measured < 0.0
        gained = loss_of(after.subject, TASK) - loss_of(before.network, TASK)
        assert gained == pytest.approx(after.origin.measured, abs=1e-6)
        assert after.origin.note.startswith("opened ")
        grown = sum(units_by_node(after.subject.graph).values()) - sum(units_by_node(before.network.graph).values())
        assert grown == max(1, int(0.35 * sum(units_by_node(before.network.graph).values())))


def test_the_prediction_is_that_of_small_gates() -> None:
    """As gates open less, what is measured comes to what was predicted: IG completeness, for what was chosen alone."""
    errors = []
    for box in (1e-2, 1e-3):
        driver = FireflyDescent(
            MLP, growth=1.0, stages=1, kinds=("new",), box=box, line_search=False, halves=False, descent_steps=30
        )
        origin = search(driver, task=TASK, recipe=RECIPE).trials[-1]
        assert origin.predicted is not None and origin.measured is not None
        errors.append(abs(origin.measured / origin.predicted - 1))
    assert errors[0] < 0.1
    assert errors[1] < 0.02


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("kinds", [ALL, "split", "new", "layer", "edge"])
def test_every_kind_lowers_the_loss_of_a_normed_network_as_measured(kinds: str, mode: str) -> None:
    driver = FireflyDescent(NORMED, kinds=kinds, mode=mode, descent_steps=15, stages=1, halves=False)
    found = asked(driver, PICTURES)
    trains = [request for request, _ in found if isinstance(request, Train)]
    assert len(trains) == 2
    origin, network = trains[1].origin, trains[1].subject
    assert isinstance(network, Network)
    measured = [report.metrics["train.loss"] for request, report in found if type(request).__name__ == "Measure"]
    assert origin.measured == pytest.approx(min(measured) - measured[0], abs=1e-9)
    assert loss_of(network, PICTURES) == pytest.approx(min(measured), abs=1e-6)
    calibrates = [request for request, _ in found if type(request).__name__ == "Calibrate"]
    fresh = any(move.startswith(("Widen('a'", "Widen('d'")) for move in origin.moves)
    assert len(calibrates) == (1 + 2 * fresh if mode == "eval" else len(measured))


@pytest.mark.parametrize("name", FAMILIES)
def test_on_every_family_the_moves_lead_to_the_graph_and_new_units_live(name: str) -> None:
    graph = FAMILIES[name]
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, *graph.shape("x").dims, generator=generator)
    y = torch.randint(graph.shape(graph.outputs[0]).units, (40,), generator=generator)
    task = Task.from_tensors(name, x, y, loss="cross-entropy", outputs=graph.shape(graph.outputs[0]).units)
    driver = FireflyDescent(graph, kinds=ALL, layer_width=2, new_units=2, descent_steps=10, stages=1, growth=0.6)
    study = search(driver, task=task, recipe=Recipe(epochs=1, batch_size=16))
    assert len(study) == 2, study.stopped
    steps = lineage(study.trials, study.trials[-1])
    assert steps[-1].graph == study.trials[-1].graph
    network = study.trials[-1].network
    split = task.splits["train"]
    module = network.to_torch().train()
    task.loss(module(split.x), split.y).backward()
    for label, parameter in module.named_parameters():
        if label.endswith("weight") and parameter.ndim > 1:
            rows = parameter.grad.flatten(1).norm(dim=1)
            lives = (rows > 0.0) | (parameter.detach().flatten(1).norm(dim=1) > 0.0)
            assert bool(lives.all()), label


def test_limits_hold_on_the_network_that_grows() -> None:
    base = params(MLP)
    study = search(
        FireflyDescent(MLP, kinds=ALL, cost="params", added=40, descent_steps=8, stages=3), task=TASK, recipe=RECIPE
    )
    sizes = [params(trial.graph) for trial in study]
    assert all(0 < after - before <= 40 for before, after in itertools.pairwise(sizes))
    study = search(
        FireflyDescent(MLP, kinds=ALL, cost="params", ceiling=base + 50, descent_steps=8), task=TASK, recipe=RECIPE
    )
    assert params(study.trials[-1].graph) <= base + 50
    assert "ceiling" in study.stopped or "rejected" in study.stopped or "lowers the loss" in study.stopped
    units = Cost.named("units")
    study = search(FireflyDescent(MLP, kinds=ALL, ceiling=14, growth=1.0, descent_steps=8), task=TASK, recipe=RECIPE)
    assert units.of(MLP) == 9
    assert 9 < units.of(study.trials[-1].graph) <= 14


def test_families_are_capped() -> None:
    driver = FireflyDescent(
        MLP, kinds="layer+edge", growth=1.0, layers=1, edges=1, halves=False, descent_steps=20, stages=1
    )
    trial = search(driver, task=TASK, recipe=RECIPE).trials[-1]
    kinds = [move.partition("(")[0] for move in trial.moves]
    assert sorted(kinds) == ["AddEdge", "InsertLayer"]
    assert depth(trial.graph) > depth(MLP)
    none = search(FireflyDescent(MLP, kinds="layer+edge", layers=0, edges=0, descent_steps=4), task=TASK, recipe=RECIPE)
    assert len(none) == 1


def contrary() -> Task:
    """A task on whose validation split all is the other way round."""
    y = X[:, :1] * 2
    return Task.from_tensors("contrary", X, y, loss="mse", splits=(0.8, 0.0, 0.2), val=(X[:30], -y[:30]))


def test_a_growth_that_does_not_help_is_rejected_and_leaves_the_network_alone() -> None:
    graph = Graph.parse("x = Input((6,))\na = Linear(3)(x)\nf = Tanh()(a)\ny = Linear(1)(f)\nreturn y")
    still = Recipe(epochs=0)
    base = Network.init(graph, 1)
    flat = Network(graph, {**base.weights, "y.weight": torch.zeros(1, 3), "y.bias": torch.zeros(1)})
    study = search(FireflyDescent(flat, judge="val", descent_steps=20), task=contrary(), recipe=still)
    assert study.stopped == "stage 1 was rejected: no opening from 1 down to 0.0625 lowers the val loss"
    assert len(study) == 1
    assert all(torch.equal(one, flat.weights[key]) for key, one in study.trials[0].network.weights.items())
    study = search(
        FireflyDescent(flat, judge="val", line_search=False, descent_steps=20), task=contrary(), recipe=still
    )
    assert study.stopped == "stage 1 was rejected: no opening lowers the val loss"
    study = search(FireflyDescent(flat, judge="train", descent_steps=20, stages=1), task=contrary(), recipe=still)
    assert len(study) == 2


def test_where_nothing_promises_anything_it_ends() -> None:
    graph = Graph.parse("x = Input((6,))\na = Linear(3)(x)\nf = Tanh()(a)\ny = Linear(1)(f)\nreturn y")
    base = Network.init(graph, 1)
    with torch.no_grad():
        y = base.to_torch()(X)
    task = Task.from_tensors("done", X, y, loss="mse")
    study = search(FireflyDescent(base, descent_steps=3), task=task, recipe=Recipe(epochs=0))
    assert len(study) == 1  # scores of nothing but rounding are not lower than zero, or rejected
    linear = Graph.parse("x = Input((6,))\ny = Linear(3)(x)\nreturn y")
    study = search(FireflyDescent(linear), task=TASK, recipe=RECIPE)
    assert study.stopped == "nothing is left to grow: no unit of the graph may be resized"
    study = search(FireflyDescent(MLP, confidence=1e6, descent_steps=3), task=TASK, recipe=RECIPE)
    assert study.stopped == "nothing is left to grow: no candidate lowers the loss"


def test_optimizer_state_goes_on() -> None:
    found = asked(FireflyDescent(MLP, kinds=ALL, **QUICK), TASK)
    trains = [(request, report) for request, report in found if isinstance(request, Train)]
    (_, before), (after, _) = trains[:2]
    assert before.state is not None and after.state is not None
    assert isinstance(after.subject, Network)
    old, new = before.state["y.weight"]["exp_avg"], after.state["y.weight"]["exp_avg"]
    assert new.shape == after.subject.weights["y.weight"].shape
    kept = [column for column in range(new.shape[1]) if any(torch.equal(new[:, column], one) for one in old.T)]
    assert len(kept) >= 3
    fresh = asked(FireflyDescent(MLP, state="fresh", **QUICK), TASK)
    assert [one.state for one, _ in fresh if isinstance(one, Train)] == [None] * 3


def test_one_step_of_training_with_closed_gates_is_that_of_the_network_before() -> None:
    """Adam on the grown network changes old numbers as it would without growth (properties G11)."""
    from archgraph.net import inherit_state, load_state, parameters_of, state_of
    from archgraph.overgrown import candidates, materialise, overgrow

    base = Network.init(MLP, 1).to(torch.float64)
    x, y = X.double(), TASK.splits["train"].y
    x, y = x[: len(y)], y
    overlay = overgrow(base, candidates(MLP, ("new", "layer", "edge"), new_units=2, layer_width=2))
    grown = materialise(overlay, overlay.start(4).closed(), range(len(overlay.gates)))

    def stepped(network: Network, state: Any) -> tuple[dict[str, torch.Tensor], Any]:
        module = network.to_torch()
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        if state is not None:
            load_state(module, optimizer, state)
        Loss("cross-entropy")(module(x), y).backward()
        optimizer.step()
        return {name: one.detach() for name, one in parameters_of(module).items()}, state_of(module, optimizer)

    weights, state = stepped(base, None)
    once = Network(MLP, weights)
    carried = state
    for edit in grown.edits:
        carried = inherit_state(edit, carried)
    overlay = overgrow(once, overlay.candidates)
    grown = materialise(overlay, overlay.start(4).closed(), range(len(overlay.gates)))
    before, _ = stepped(once, state)
    after, _ = stepped(grown.network, carried)
    for name, one in before.items():
        block = tuple(slice(0, size) for size in one.shape)
        torch.testing.assert_close(after[name][block], one, rtol=0, atol=1e-12)


def test_the_same_seed_grows_the_same_and_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    driver = FireflyDescent(MLP, kinds=ALL, scratch=True, rate="keep", **QUICK)
    whole = search(driver, task=TASK, recipe=RECIPE, seed=3)
    storage = f"sqlite:///{tmp_path / 'runs.db'}"
    for evaluations in (1, 2):
        search(
            driver,
            task=TASK,
            recipe=RECIPE,
            seed=3,
            storage=storage,
            name="cut",
            budget=Budget(evaluations=evaluations),
        )
    same(whole, search(driver, task=TASK, recipe=RECIPE, seed=3, storage=storage, name="cut"))
    assert [trial.stage for trial in whole] == [0, 1, 2, 2]


@pytest.mark.slow
def test_workers_make_no_difference() -> None:
    driver = FireflyDescent(NORMED, **QUICK)
    same(search(driver, task=PICTURES, recipe=RECIPE), search(driver, task=PICTURES, recipe=RECIPE, workers=2))


def test_cells_grow_alike() -> None:
    driver = FireflyDescent(
        CELLS, kinds=ALL, cells=COPIES, growth=0.9, layer_width=2, new_units=2, descent_steps=10, stages=2, halves=False
    )
    data = torch.randn(60, 6, generator=torch.Generator().manual_seed(5))
    task = Task.from_tensors("cells", data, (data[:, 0] * data[:, 1] > 0).long(), loss="cross-entropy", outputs=2)
    study = search(driver, task=task, recipe=RECIPE)
    assert len(study) > 1
    for trial in study:
        wide = units_by_node(trial.graph)
        assert [wide[name] for name in COPIES[0]] == [wide[name] for name in COPIES[1]]
    assert any("InsertLayer" in move or "AddEdge" in move for move in study.trials[-1].moves + study.trials[1].moves)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "growth": ({"growth": 0.0}, "growth is a fraction"),
    "growth as text": ({"growth": "half"}, "growth is a fraction"),
    "kind": ({"kinds": "split+wide"}, "kinds says what a stage grows"),
    "no kind": ({"kinds": ()}, "kinds says what a stage grows"),
    "stages": ({"stages": -1}, "stages must be a whole number of at least 0"),
    "samples": ({"samples": 0}, "samples must be a whole number of at least 1"),
    "layers": ({"layers": -1}, "layers must be a whole number"),
    "edges": ({"edges": 0.5}, "edges must be a whole number"),
    "added": ({"added": 0}, "added must be positive"),
    "ceiling": ({"ceiling": math.nan}, "ceiling must be positive"),
    "confidence": ({"confidence": -1}, "confidence is a number"),
    "mode": ({"mode": "both"}, "mode is one of eval, train"),
    "judge": ({"judge": "test"}, "judge is one of train, val"),
    "state": ({"state": "kept"}, "state is one of"),
    "rate": ({"rate": "again"}, "rate is one of"),
    "halves": ({"halves": 1}, "halves must be True or False"),
    "box": ({"box": -0.1}, "box must be a positive number"),
    "split box": ({"split_box": math.inf}, "split_box must be a positive number"),
    "steps": ({"descent_steps": -2}, "steps must be a number of steps"),
    "points": ({"points": 0}, "points must be a whole number"),
    "units": ({"new_units": 0}, "new_units must be a whole number"),
    "kernel": ({"kernel_size": 4}, "kernel_size must be odd"),
    "one cell": ({"cells": (("a",),)}, "cells are the copies of one cell"),
    "cells of different sizes": ({"cells": (("a", "f"), ("b",))}, "cells are the copies of one cell"),
    "cells that share a node": ({"cells": (("a",), ("a",))}, "a node stands in one copy"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        FireflyDescent(MLP, **given)


def test_names_that_nobody_knows() -> None:
    with pytest.raises(UnknownName, match="unknown cost 'param'"):
        FireflyDescent(MLP, cost="param")
    with pytest.raises(UnknownName, match="unknown node 'q'"):
        FireflyDescent(MLP, cells=(("a",), ("q",)))


def test_a_budget_that_allows_nothing() -> None:
    with pytest.raises(SettingError, match="leaves nothing to grow"):
        FireflyDescent(MLP, cost="params", ceiling=params(MLP)).begin(Setting(RECIPE))
    study = search(FireflyDescent(MLP, cost="params", added=1, descent_steps=4), task=TASK, recipe=RECIPE)
    assert study.stopped == "nothing is left to grow: every unit would add more than 1 params"


def test_settings_from_text() -> None:
    kind = DRIVERS.get("firefly")
    assert kind is FireflyDescent
    texts = {"kinds": "layer+new", "growth": "0.5", "layers": "2", "cost": "macs", "halves": "False", "judge": "val"}
    texts |= {"cells": "(('a', 'f'), ('b', 'g'))", "descent_steps": "7", "split_box": "0.2"}
    expected = FireflyDescent(
        MLP,
        kinds=("new", "layer"),
        growth=0.5,
        layers=2,
        cost="macs",
        halves=False,
        judge="val",
        cells=(("a", "f"), ("b", "g")),
        descent_steps=7,
        split_box=0.2,
    )
    assert kind.from_settings(MLP, texts) == expected


@pytest.mark.slow
def test_digits_protocol() -> None:
    """Digits (growth specification D.3): six rounds from 64-4-4-10, accuracy after three and after all."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (torch.as_tensor(bunch.images, dtype=torch.float32) - 8) / 8
    graph = Graph.parse(
        "x = Input((8, 8))\nv = Flatten()(x)\na = Linear(4)(v)\nf = ReLU()(a)\nb = Linear(4)(f)\ng = ReLU()(b)\n"
        "y = Linear(10)(g)\nreturn y"
    )
    after: dict[int, list[float]] = {3: [], 6: []}
    for seed in range(5):
        task = Task.from_tensors("digits", x, bunch.target, loss="cross-entropy", splits=(0.8, 0.05, 0.15), seed=seed)
        study = search(
            FireflyDescent(graph, growth=0.375, stages=6), task=task, recipe=Recipe(epochs=15, lr=3e-3), seed=seed
        )
        test = task.splits["test"]
        for stage, found in after.items():
            trial = next(one for one in reversed(study.trials) if one.stage <= stage)
            with torch.no_grad():
                found.append(float((trial.network.to_torch().eval()(test.x).argmax(1) == test.y).float().mean()))
    assert sum(after[6]) / 5 >= 0.96
    assert sum(after[3]) / 5 >= 0.91
