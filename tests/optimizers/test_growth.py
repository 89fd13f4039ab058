"""Growing: what is asked for in which order, limits and reasons, and that predictions hold on random graphs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings

from archgraph import Graph, Network, Recipe, Report, Score, Task, Train, ops, search
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Evaluator, Ledger, Measure
from archgraph.metrics import macs, params, widths
from archgraph.registry import DRIVERS
from archgraph.scoring import score_sites
from archgraph.search import Setting
from archgraph.tasks import Loss
from optimizers import SplittingDescent
from optimizers.growth import Allowance, Site, apply, choose, splits
from tests.search.sameness import same
from tests.strategies import change, graphs, network_of

MLP = Graph.parse(
    "x = Input((6,))\na = Linear(4)(x)\nf = SiLU()(a)\nb = Linear(5)(f)\ng = Tanh()(b)\nc = Linear(7)(g)\n"
    "h = SiLU()(c)\ny = Linear(3)(h)\nreturn y"
)


def chosen_by(driver: SplittingDescent, network: Network, report: Report, seed: int) -> list[Site]:
    """Choose as the driver does in a stage."""
    units = sum(len(one.index) for one in report.scores.values())
    found = driver.sites(dict(report.scores), network, seed)
    allowance = Allowance(driver.growth, driver.cost, driver.added, driver.ceiling)
    return choose(network.graph, found, **allowance.limits(network.graph, units))


@settings(max_examples=25)
@given(graphs())
def test_on_random_graphs_the_moves_of_a_stage_are_legal_and_the_ratio_is_one(graph: Graph) -> None:
    assume(len(graph.outputs) == len(graph.inputs) == 1)
    with graph.edit() as edit:  # kinks have a stand-in for a curvature
        for node in graph:
            if isinstance(node.op, ops.ReLU | ops.LeakyReLU | ops.MaxPool2d):
                smooth = (
                    ops.AvgPool2d(node.op.kernel_size, node.op.stride) if isinstance(node.op, ops.MaxPool2d) else None
                )
                edit.replace(node.name, smooth or ops.Softplus())
            elif isinstance(node.op, ops.GlobalMaxPool):
                edit.replace(node.name, ops.GlobalAvgPool())
    network = network_of(edit.graph, seed=2)
    generator = torch.Generator().manual_seed(1)
    shapes = [edit.graph.shape(name).dims for name in (edit.graph.inputs[0], edit.graph.outputs[0])]
    x, y = (torch.randn(6, *dims, generator=generator, dtype=torch.float64) for dims in shapes)
    found = score_sites(network, x, y, Loss("mse"))
    driver = SplittingDescent(edit.graph, growth=1.0, confidence=0.0)
    chosen = chosen_by(driver, network, Report("", scores=found.scores), 0)
    moves = splits(chosen, 0.0, edit.graph)
    still = apply(moves, network, None)[0]
    assert change(network, still) < 1e-10
    if chosen and min(site.index for site in chosen) < -1e-4:

        def loss(one: Network) -> float:
            with torch.no_grad():
                return float(Loss("mse")(one.to_torch().eval()(x), y))

        step = 3e-3
        grown = apply(splits(chosen, step, edit.graph), network, None)[0]
        predicted = sum(site.predicted(step) for site in chosen)
        assert (loss(grown) - loss(network)) / predicted == pytest.approx(1.0, abs=0.05)


# ------------------------------------------------------------------ the loop, request by request
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)


def asked(driver: SplittingDescent, trainings: int, recipe: Recipe) -> list[Any]:
    """The requests of a driver up to that many trainings, with their reports."""
    session, evaluator, found = driver.begin(Setting(recipe, seed=4)), Evaluator(TASK, device="cpu"), []
    while not session.done and sum(isinstance(request, Train) for request, _ in found) < trainings:
        request = session.ask()
        assert request is not None
        found.append((request, evaluator.evaluate(request)))
        session.tell(*found[-1])
    return found


def kinds_of(found: list[Any]) -> list[str]:
    return [type(request).__name__ for request, _ in found]


def test_the_order_of_requests() -> None:
    recipe, tune = Recipe(epochs=2), Recipe(epochs=1, lr=1e-3)
    driver = SplittingDescent(MLP, tune=tune, samples=30, confidence=0.0, line_search=False)
    found = asked(driver, 3, recipe)
    assert kinds_of(found) == ["Train", *["Score", "Measure", "Measure", "Train"] * 2]
    trains = [request for request, _ in found if isinstance(request, Train)]
    assert [train.recipe for train in trains] == [recipe, tune, tune]
    assert len({train.seed for train in trains}) == 3
    score = found[1][0]
    assert isinstance(score, Score)
    assert (score.samples, score.network) == (30, found[0][1].network)
    assert score.options == {"include_bias": False, "method": "auto", "mode": "eval", "halves": True}
    before, after = found[2][0], found[3][0]
    assert isinstance(before, Measure)
    assert (before.split, before.network.dtype, after.network.dtype) == ("train", torch.float64, torch.float64)
    assert after.network.graph == trains[1].subject.graph
    assert after.network.to(torch.float32) == trains[1].subject
    origin = trains[1].origin
    assert (origin.parent, origin.stage, origin.note) == (found[0][1].network.key, 1, "step 0.05")
    assert origin.measured == found[3][1].metrics["train.loss"] - found[2][1].metrics["train.loss"]


NORMED = Graph.parse(str(MLP).replace("f = SiLU()(a)", "n = BatchNorm()(a)\nf = SiLU()(n)"))


def test_statistics_are_those_that_the_mode_measures_with() -> None:
    driver = SplittingDescent(NORMED, growth=1.0, confidence=0.0, line_search=False)
    found = asked(driver, 2, Recipe(epochs=2))  # copies have those of the unit that they continue
    assert kinds_of(found) == ["Train", "Score", "Measure", "Measure", "Train"]
    found = asked(replace(driver, mode="train"), 2, Recipe(epochs=2))
    assert kinds_of(found) == ["Train", "Score", *["Calibrate", "Measure"] * 2, "Train"]
    (first, whole), before, (second, grown), after = found[2], found[3], found[4], found[5]
    assert (first.network, first.units) == (found[0][1].network.to(torch.float64), (("n", (0, 1, 2, 3)),))
    units = second.network.graph.shape("n").units
    assert (second.units, units > 4) == ((("n", tuple(range(units))),), True)
    assert (before[0].network, after[0].network) == (whole.network, grown.network)
    origin = found[-1][0].origin
    assert origin.measured == after[1].metrics["train.loss"] - before[1].metrics["train.loss"]
    assert grown.network.to(torch.float32) == found[-1][0].subject
    found = asked(replace(driver, mode="train", calibrate=False), 2, Recipe(epochs=2))
    assert kinds_of(found) == ["Train", "Score", "Measure", "Measure", "Train"]


def test_statistics_of_fresh_units_are_estimated() -> None:
    driver = SplittingDescent(NORMED, growth=1.0, confidence=0.0, control="new-unit")
    found = asked(driver, 2, Recipe(epochs=2))
    assert kinds_of(found) == ["Train", "Score", "Measure", "Calibrate", "Measure", "Train"]
    request, trained = found[3][0], found[-1][0].subject
    ((name, units),) = request.units
    assert (name, units[0]) == ("n", 4)
    own, other = trained.weights["n.running_mean"], found[0][1].network.weights["n.running_mean"]
    assert torch.equal(own[:4], other)
    assert own[4:].all()
    found = asked(replace(driver, calibrate=False), 2, Recipe(epochs=2))
    assert kinds_of(found) == ["Train", "Score", "Measure", "Measure", "Train"]
    assert not found[-1][0].subject.weights["n.running_mean"][4:].any()


CONV = Graph.parse(
    "x = Input((2, 5, 4))\na = Conv2d(4, kernel_size=3, padding=1)(x)\nm = BatchNorm()(a)\nf = SiLU()(m)\n"
    "b = Conv2d(5, kernel_size=3)(f)\nn = BatchNorm()(b)\ng = SiLU()(n)\nv = Flatten()(g)\ny = Linear(3)(v)\nreturn y"
)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_behind_batch_norm_the_prediction_is_that_of_the_mode(mode: str) -> None:
    x = torch.randn(600, 2, 5, 4, generator=torch.Generator().manual_seed(3))
    task = Task.from_tensors("images", x, x[:, 0, :3, 1].argmax(1), loss="cross-entropy", outputs=3)
    driver = SplittingDescent(CONV, mode=mode, stages=2, step=0.01, line_search=False, confidence=0.0, halves=False)
    study = search(driver, task=task, recipe=Recipe(epochs=6, batch_size=50))
    assert study.stopped == "all 2 stages are done"
    for trial in study.trials[1:]:
        assert trial.measured == pytest.approx(trial.predicted, rel=0.05)


def test_a_network_to_start_from_is_trained_on() -> None:
    network = Network.init(MLP, seed=8)
    (request, _), *_ = asked(SplittingDescent(MLP), 1, Recipe(epochs=1))
    assert request.subject is MLP
    (request, _), *_ = asked(SplittingDescent(network), 1, Recipe(epochs=1))
    assert request.subject is network


def test_state_is_carried_or_fresh() -> None:
    carried = asked(SplittingDescent(MLP, state="carry", confidence=0.0), 2, Recipe(epochs=1))[-1][0]
    assert isinstance(carried.subject, Network)
    assert {name: tuple(entries["exp_avg"].shape) for name, entries in carried.state.items()} == {
        name: tuple(tensor.shape) for name, tensor in carried.subject.weights.items()
    }
    fresh = asked(SplittingDescent(MLP, state="fresh", confidence=0.0), 2, Recipe(epochs=1))[-1][0]
    assert fresh.state is None
    assert fresh.subject == carried.subject


def test_scores_or_measures_that_fail_stop_the_search_with_the_reason() -> None:
    for failing, reason in (
        (Score, "stage 1 could not be scored: lost"),
        (Measure, "stage 1 could not be measured: lost"),
    ):
        session, evaluator = (
            SplittingDescent(MLP, confidence=0.0).begin(Setting(Recipe(epochs=1))),
            Evaluator(TASK, device="cpu"),
        )
        while not session.done:
            request = session.ask()
            assert request is not None
            failed = Report("", ledger=Ledger(), failure="lost")
            session.tell(request, failed if isinstance(request, failing) else evaluator.evaluate(request))
        assert session.reason == reason


# ------------------------------------------------------------------ kinds, rates, scratch
def trains_of(driver: SplittingDescent, trainings: int, recipe: Recipe) -> tuple[list[Train], list[Report]]:
    found = [pair for pair in asked(driver, trainings, recipe) if isinstance(pair[0], Train)]
    return [request for request, _ in found], [report for _, report in found]


def test_both_kinds_are_trained_and_the_better_one_goes_on() -> None:
    driver = SplittingDescent(MLP, kinds="split+new", stages=2, confidence=0.0)
    trains, reports = trains_of(driver, 9, Recipe(epochs=3))
    assert [train.origin.stage for train in trains] == [0, 1, 1, 2, 2]
    assert [train.origin.note.split(" ")[0] for train in trains[1:]] == ["step", "new"] * 2
    for split, new in (trains[1:3], trains[3:5]):
        assert isinstance(split.subject, Network)
        assert isinstance(new.subject, Network)
        assert widths(split.subject.graph) == widths(new.subject.graph)
        assert split.origin.parent == new.origin.parent
        assert split.seed == new.seed
        assert all(move.startswith("Widen") for move in new.origin.moves)
        assert (new.origin.predicted, abs(new.origin.measured or 0.0) < 1e-12) == (0.0, True)
        assert new.state is not None
    better = min(reports[1:3], key=lambda report: report.metrics["train.loss"])
    assert better.network is not None
    assert trains[3].origin.parent == better.network.key


def test_where_no_split_helps_new_units_still_can() -> None:
    linear = Graph.parse("x = Input((6,))\na = Linear(5)(x)\ni = Identity()(a)\ny = Linear(3)(i)\nreturn y")
    trains, _ = trains_of(SplittingDescent(linear, kinds="split+new", stages=2), 9, Recipe(epochs=1))
    assert [train.origin.note for train in trains] == ["", "new units", "new units"]


RATES = {
    "restart": [(0.02, "step", 0.0)] * 2,
    "warm": [(0.02, "step", 0.1)] * 2,
    "keep": [(0.0004, "constant", 0.0)] * 2,  # where the first training, lr 0.04 over 8 epochs, has ended
}


@pytest.mark.parametrize("rate", RATES)
def test_learning_rates_after_a_growth(rate: str) -> None:
    first, tune = Recipe(lr=0.04, epochs=8, schedule="step"), Recipe(lr=0.02, epochs=4, schedule="step")
    driver = SplittingDescent(MLP, tune=tune, rate=rate, stages=2, confidence=0.0)
    (start, *later), _ = trains_of(driver, 3, first)
    assert start.recipe == first
    assert [(one.recipe.lr, one.recipe.schedule, one.recipe.warmup) for one in later] == RATES[rate]
    assert [one.recipe.epochs for one in later] == [4, 4]


def test_the_last_graph_from_scratch() -> None:
    driver = SplittingDescent(MLP, tune=Recipe(epochs=2), stages=2, kinds="split+new", scratch=True, confidence=0.0)
    trains, reports = trains_of(driver, 9, Recipe(epochs=3, lr=0.02))
    last = trains[-1]
    kept = min(reports[3:5], key=lambda report: report.metrics["train.loss"]).network
    assert kept is not None
    assert last.subject == kept.graph
    assert last.recipe == Recipe(epochs=3 + 4 * 2, lr=0.02)
    assert (last.origin.note, last.origin.parent, last.state) == ("from scratch, 11 epochs", "", None)
    assert not any(train.origin.note.startswith("from") for train in trains[:-1])
    trains, _ = trains_of(replace(driver, stages=0), 9, Recipe(epochs=3))
    assert len(trains) == 1  # it is the first training


@pytest.mark.slow
def test_workers_answer_all_that_growth_asks() -> None:
    driver = SplittingDescent(NORMED, kinds="split+new", mode="train", scratch=True, stages=2, confidence=0.0)
    alone, together = (search(driver, task=TASK, recipe=Recipe(epochs=2), workers=workers) for workers in (1, 2))
    assert len(alone) == 1 + 2 * 2 + 1
    same(alone, together)


# ------------------------------------------------------------------ limits
def test_growth_is_a_fraction_of_the_cost() -> None:
    driver = SplittingDescent(MLP, growth=0.2, cost="macs", stages=2, confidence=0.0, halves=False)
    trains, _ = trains_of(driver, 3, Recipe(epochs=2))
    graphs = [train.subject if isinstance(train.subject, Graph) else train.subject.graph for train in trains]
    costs = [macs(graph) for graph in graphs]
    assert len(costs) == 3
    for before, after in pairwise(costs):
        assert before < after <= 1.2 * before


@pytest.mark.parametrize(("cost", "ceiling"), [("params", 160), ("macs", 140), (None, 23)], ids=str)
def test_the_ceiling_holds_and_ends_the_growth(cost: str | None, ceiling: float) -> None:
    driver = SplittingDescent(MLP, growth=0.5, cost=cost, ceiling=ceiling, confidence=0.0, halves=False)
    study = search(driver, task=TASK, recipe=Recipe(epochs=2))
    name = cost or "units"
    assert study.trials[0].metrics[name] < study.trials[-1].metrics[name] <= ceiling
    assert study.stopped == (
        f"no unit is left to split: every unit would exceed the ceiling of {ceiling:g} {name};"
        f" there are {study.trials[-1].metrics[name]:g}"
    )


def test_a_ceiling_below_the_start_is_said_at_once() -> None:
    for graph in (MLP, Network.init(MLP)):
        with pytest.raises(SettingError, match="leaves nothing to grow") as caught:
            SplittingDescent(graph, cost="params", ceiling=params(MLP)).begin(Setting(Recipe()))
        assert f"a ceiling above its {params(MLP)} params" in str(caught.value)


def test_noise_keeps_units_from_being_split() -> None:
    found = asked(SplittingDescent(MLP, confidence=1e6), 2, Recipe(epochs=1))
    assert kinds_of(found) == ["Train", "Score"]
    study = search(SplittingDescent(MLP, confidence=1e6), task=TASK, recipe=Recipe(epochs=1))
    assert study.stopped.startswith(
        "no unit is left to split: no splitting index is below zero by more than its noise: the lowest is -"
    )


def test_on_a_table_there_is_nothing_to_grow() -> None:
    steps = SplittingDescent(MLP).steps(Setting(Recipe(epochs=1), seed=4))
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(Report("", {"val.loss": 0.5}))
    assert end.value.value == "nothing was trained that can be grown: a table has no weights"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "growth of nothing": ({"growth": 0.0}, "growth is a fraction"),
    "growth above all": ({"growth": 1.5}, "growth is a fraction"),
    "growth NaN": ({"growth": float("nan")}, "growth is a fraction"),
    "step of zero": ({"step": 0.0}, "step must be positive"),
    "step without end": ({"step": float("inf")}, "step must be positive"),
    "state": ({"state": "kept"}, "state is one of carry, fresh"),
    "negative stages": ({"stages": -1}, "stages must be a whole number of at least 0"),
    "no samples": ({"samples": 0}, "samples must be a whole number of at least 1"),
    "nothing added": ({"added": 0}, "added must be positive"),
    "ceiling NaN": ({"ceiling": float("nan")}, "ceiling must be positive"),
    "negative confidence": ({"confidence": -1.0}, "confidence is a number of standard errors"),
    "rate": ({"rate": "again"}, "rate is one of restart, warm, keep"),
    "mode": ({"mode": "both"}, "mode is one of eval, train"),
    "method": ({"method": "magic"}, "method is one of auto, exact, lanczos, rayleigh"),
    "solver": ({"solver": "none"}, "solver is"),
    "halves": ({"halves": 1}, "halves must be True or False"),
    "kind": ({"kinds": "split+old"}, "kinds says what a stage grows"),
    "no kind": ({"kinds": ()}, "kinds says what a stage grows"),
    "control": ({"control": "random"}, "control is one of random-direction, random-unit, new-unit, net2wider"),
    "control and kinds": ({"control": "new-unit", "kinds": "new"}, "a control takes the place"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SplittingDescent(MLP, **given)


def test_a_cost_that_nobody_counts() -> None:
    with pytest.raises(UnknownName, match="unknown cost 'param'"):
        SplittingDescent(MLP, cost="param")


def test_settings_from_text() -> None:
    kind = DRIVERS.get("splitting")
    assert kind is SplittingDescent
    texts = {"growth": "0.5", "stages": "3", "state": "fresh", "include_bias": "True", "cost": "params", "added": "100"}
    texts |= {"kinds": "split+new", "rate": "warm", "confidence": "0", "line_search": "False"}
    expected = SplittingDescent(MLP, growth=0.5, stages=3, state="fresh", include_bias=True, cost="params", added=100)
    expected = replace(expected, kinds=("split", "new"), rate="warm", confidence=0.0, line_search=False)
    assert kind.from_settings(MLP, texts) == expected
    with pytest.raises(SettingError, match="growth is a fraction"):
        kind.from_settings(MLP, {"growth": "2"})
