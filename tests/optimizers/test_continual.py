"""The continual driver: what a round asks for, what it frees, when it stops; and the digits in five tasks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from archgraph import Graph, Measure, Recipe, Report, Score, Task, Train, chain, ops, search
from archgraph.continual import Library, Plan, head_resized, learn
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Evaluator
from archgraph.registry import DRIVERS
from archgraph.search import Setting
from archgraph.search.lineage import lineage
from optimizers import Continual

TRUNK = Graph.parse(
    "x = Input((4,))\na = Linear(3)(x)\nf = Tanh()(a)\nb = Linear(2)(f)\ng = Tanh()(b)\ny = Linear(2)(g)\nreturn y"
)
RECIPE = Recipe(epochs=3, batch_size=20, lr=0.03)


def task(classes: int = 2, seed: int = 0) -> Task:
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(seed))
    return Task.from_tensors(f"own{classes}", x, (x[:, :classes] ** 2).argmax(1), loss="cross-entropy")


def asked(driver: Continual, posed: Task, seed: int = 0) -> tuple[list[Any], list[Report], str]:
    """Run a driver by hand and return all requests and reports."""
    session, evaluator = driver.begin(Setting(RECIPE, seed)), Evaluator(posed, device="cpu")
    requests: list[Any] = []
    reports = []
    while (request := session.ask()) is not None:
        requests.append(request)
        reports.append(evaluator.evaluate(request))
        session.tell(request, reports[-1])
    return requests, reports, session.reason


@pytest.fixture(scope="module")
def library() -> Library:
    requests, reports, _ = asked(Continual(TRUNK, rounds=0), task())
    assert reports[0].network is not None
    return Library().learned("first", reports[0].network, Plan.parse(requests[0].origin.note))


def test_a_trace_of_a_second_task(library: Library) -> None:
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", rounds=2, added=3, library=library)
    requests, reports, reason = asked(driver, task(3))
    assert [type(one) for one in requests] == [Train, Score, Train, Score, Train]
    begin, first, last = (one for one in requests if isinstance(one, Train))
    assert begin.frozen == (("a", (0, 1, 2)), ("b", (0, 1))) and begin.origin.note == "a 0-2@0; b 0-1@0"
    plans = [Plan.parse(one.origin.note) for one in (begin, first, last)]
    for earlier, later in pairwise(plans):  # every round frees three more
        freed = [sum(len(slots) for slots in plan.made(1).values()) for plan in (earlier, later)]
        assert freed[1] - freed[0] == 3
    assert [one.origin.stage for one in (begin, first, last)] == [0, 1, 2]
    assert first.origin.parent == reports[0].network.key  # type: ignore[union-attr]
    for request, report in zip(requests, reports, strict=True):
        if isinstance(request, Train):
            assert report.network is not None and not isinstance(request.subject, Graph)
            for node, units in request.frozen:  # type: ignore[misc]
                before, after = request.subject.weights, report.network.weights
                assert torch.equal(before[f"{node}.weight"][list(units)], after[f"{node}.weight"][list(units)])
    assert reason.startswith("loss<=0.001 is missed by") and reason.endswith("after 2 rounds of growth")


def test_growth_keeps_what_the_network_says(library: Library) -> None:
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", rounds=1, added=4, library=library)
    requests, reports, _ = asked(driver, task(3))
    x = task(3).splits["val"].x.double()
    before, after = reports[0].network, requests[-1].subject
    assert before is not None and before.graph != after.graph
    one, other = (network.to(torch.float64).to_torch().eval()(x) for network in (before, after))
    assert (one - other).abs().max() < 1e-12


def test_a_trace_of_firefly(library: Library) -> None:
    settings: dict[str, Any] = {"grower": "firefly", "kinds": "unlock+new+split", "rounds": 2, "added": 2}
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", library=library, **settings)
    requests, reports, reason = asked(driver, task(3))
    names = [type(one).__name__ for one in requests]
    assert names[:4] == ["Train", "Score", "Score", "Measure"] and names[-1] == "Train"
    scores = [one for one in requests if isinstance(one, Score)]
    assert [one.options["only"] is None for one in scores] == [True, False, True, False]
    assert all(len(one.options["only"]) == 2 for one in scores[1::2])
    trains = [one for one in requests if isinstance(one, Train)]
    for earlier, later in pairwise(Plan.parse(one.origin.note) for one in trains):
        made = [sum(map(len, plan.made(1).values())) for plan in (earlier, later)]
        assert 1 <= made[1] - made[0] <= 4  # a split of another task's unit makes two
    losses = [one.metrics["train.loss"] for one in reports if "train.loss" in one.metrics]
    for train in trains[1:]:
        measured = train.origin.measured
        assert measured is not None and measured < 0.0 and train.origin.predicted is not None
        assert any(abs(one - other - measured) < 1e-12 for one in losses for other in losses)
        for node, units in train.frozen:  # what was learned before is as it was
            known = library.network(0).weights[f"{node}.weight"]
            rows = train.subject.weights[f"{node}.weight"][list(units)][:, : known.shape[1]]  # type: ignore[union-attr]
            assert all(any(torch.equal(row[: len(own)], own) for own in known) for row in rows) or node == "b"
    assert "after 2 rounds of growth" in reason
    again, _, _ = asked(driver, task(3))
    assert [one.key for one in again] == [one.key for one in requests]


def without_help(driver: Continual) -> tuple[list[Any], str]:
    """Run a driver that is told that every opening raises the loss; return all requests and why it stopped."""
    session, evaluator = driver.begin(Setting(RECIPE, 0)), Evaluator(task(3), device="cpu")
    requests: list[Any] = []
    while (request := session.ask()) is not None:
        report = evaluator.evaluate(request)
        if isinstance(request, Measure):
            trained = next(one for one in reversed(requests) if isinstance(one, Train))
            start = evaluator.evaluate(trained).network  # remembered, not trained again
            grown = start is None or request.network.key != start.key
            report = replace(report, metrics={"train.loss": 1.0 + grown})
        requests.append(request)
        session.tell(request, report)
    return requests, session.reason


@pytest.mark.parametrize("redraws", [0, 2])
def test_a_round_in_which_nothing_helps_is_drawn_anew_and_then_left_to_gradients(
    library: Library, redraws: int
) -> None:
    settings: dict[str, Any] = {"grower": "firefly", "kinds": "unlock+new+split", "rounds": 1, "redraws": redraws}
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", library=library, **settings)
    requests, reason = without_help(driver)
    drawing = [Score, Score, *[Measure] * (1 + 1 + 8)]  # before, as found, eight times half
    assert [type(one) for one in requests] == [Train, *drawing * (1 + redraws), Score, Train]
    firsts = [one for one in requests if isinstance(one, Score) and one.options.get("only", ()) is None]
    assert len({one.options["seed"] for one in firsts}) == len({one.network.key for one in firsts}) == 1 + redraws
    last = requests[-1]
    assert requests[-2].criterion == "gradient" and (last.origin.predicted, last.origin.measured) == (None, None)
    assert sum(map(len, Plan.parse(last.origin.note).made(1).values())) == 1
    assert "after 1 rounds of growth" in reason
    assert [one.key for one in without_help(driver)[0]] == [one.key for one in requests]


def test_a_round_without_a_gradient_is_rejected(library: Library) -> None:
    settings: dict[str, Any] = {"grower": "firefly", "kinds": "split", "redraws": 1}
    requests, reason = without_help(Continual(head_resized(TRUNK, 3), "loss<=0.001", library=library, **settings))
    assert sum(isinstance(one, Train) for one in requests) == 1
    assert sum(isinstance(one, Score) and one.options["only"] is None for one in requests) == 2
    assert "round 1 was rejected: no opening" in reason or "nothing that could be set free lowers the loss" in reason


def test_firefly_from_the_first_task_on() -> None:
    study = search(
        Continual(TRUNK, target="train.loss<=0.45", rounds=8, grower="firefly", kinds="new+split"),
        task=task(),
        recipe=Recipe(epochs=15, lr=0.03),
    )
    assert study.trials[-1].metrics["train.loss"] <= 0.45 and "is met after" in study.stopped
    assert lineage(study.trials, study.trials[-1])[-1].graph == study.trials[-1].graph
    assert all(trial.measured < 0.0 for trial in study.trials[1:])


@pytest.mark.parametrize("kinds", ["unlock", "new"])
def test_kinds(library: Library, kinds: str) -> None:
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", rounds=1, added=2, kinds=kinds, library=library)
    requests, _, _ = asked(driver, task(3))
    grown = requests[-1].subject.graph.units("a") + requests[-1].subject.graph.units("b")
    plan = Plan.parse(requests[-1].origin.note)
    assert sum(len(slots) for slots in plan.made(1).values()) == 2
    assert grown == (5 if kinds == "unlock" else 7)


def test_what_a_task_does_not_need_of_others_is_left_out(library: Library) -> None:
    useful = head_resized(TRUNK, 3)
    plain, _, _ = asked(Continual(useful, target="accuracy>=0.2", library=library), task(3))
    requests, reports, _ = asked(Continual(useful, target="accuracy>=0.2", library=library, trim=10.0), task(3))
    assert len(plain) == 1 and isinstance(requests[-1], Train) and requests[-1].recipe.epochs == 0
    asking = [one for one in requests if isinstance(one, Measure)]
    assert {one.split for one in asking} == {"train", "val"} and len(asking) == len(requests) - 2
    before, after = Plan.parse(requests[0].origin.note), Plan.parse(requests[-1].origin.note)
    assert all(set(after.uses[home]) <= set(before.uses[home]) and after.uses[home] for home in before.uses)
    assert str(after) != str(before) and reports[-1].metrics["val.accuracy"] >= 0.2
    assert reports[-1].metrics["params"] < reports[0].metrics["params"]
    assert reports[-1].network is not None
    longer = library.learned("second", reports[-1].network, after)
    assert longer.network(1) == reports[-1].network and longer.network(0) == library.network(0)


def test_without_room_for_a_higher_loss_nothing_needed_is_left_out(library: Library) -> None:
    driver = Continual(head_resized(TRUNK, 3), target="accuracy>=0.2", library=library, trim=0.0)
    requests, reports, _ = asked(driver, task(3))
    if isinstance(requests[-1], Train) and len(requests) > 1:
        assert reports[-1].metrics["train.loss"] <= reports[0].metrics["train.loss"]
    assert any(isinstance(one, Measure) for one in requests)


def test_all_unlocked_is_the_end_of_unlocking(library: Library) -> None:
    driver = Continual(head_resized(TRUNK, 3), target="loss<=0.001", rounds=5, added=5, kinds="unlock", library=library)
    requests, _, reason = asked(driver, task(3))
    assert sum(isinstance(one, Train) for one in requests) == 2
    assert "nothing that could be set free lowers the loss" in reason


def test_as_a_driver_on_one_task_it_grows_until_it_is_good_enough() -> None:
    study = search(
        Continual(TRUNK, target="train.loss<=0.45", rounds=8), task=task(), recipe=Recipe(epochs=15, lr=0.03)
    )
    losses = [trial.metrics["train.loss"] for trial in study.trials]
    assert losses[-1] <= 0.45 < min(losses[:-1]) and "is met after" in study.stopped
    assert study.trials[-1].metrics["units"] > study.trials[0].metrics["units"]
    assert lineage(study.trials, study.trials[-1])[-1].graph == study.trials[-1].graph


def test_settings_from_text() -> None:
    assert DRIVERS.get("continual") is Continual and "library" not in Continual.settings()
    driver = Continual.from_settings(TRUNK, {"kinds": "new", "target": "error<=0.1", "cost": "params", "rounds": "3"})
    assert driver.kinds == ("new",) and driver.rounds == 3


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "kind": ({"kinds": "unlok"}, UnknownName, "did you mean 'unlock'"),
    "grower": ({"grower": "fire-fly"}, UnknownName, "did you mean 'firefly'"),
    "split": ({"kinds": "new+split", "grower": "gradient"}, SettingError, "the gradient of a split is zero"),
    "no kind": ({"kinds": ()}, SettingError, "needs rounds=0"),
    "rounds": ({"rounds": -1}, SettingError, "rounds must be"),
    "added": ({"added": 0}, SettingError, "added must be"),
    "probes": ({"probes": 1.5}, SettingError, "probes must be"),
    "redraws": ({"redraws": -1}, SettingError, "redraws must be"),
    "cost": ({"cost": "macs"}, SettingError, "cost must be one of"),
    "state": ({"state": "old"}, SettingError, "state must be one of"),
    "trim": ({"trim": -0.1}, SettingError, "trim must be"),
    "bound": ({"target": "error<=-0.1"}, SettingError, "never be missed or never be met"),
    "metric": ({"target": "acuracy>=0.9"}, UnknownName, "accuracy"),
}


@pytest.mark.parametrize(("settings", "kind", "words"), WRONG.values(), ids=WRONG)
def test_wrong_settings(settings: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Continual(TRUNK, **settings)


FIREFLY = {"grower": "firefly", "kinds": "unlock+new+split"}


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "seeds"), [({}, 3), (FIREFLY, 2)], ids=["gradient", "firefly"])
def test_digits_in_five_tasks(settings: dict[str, Any], seeds: int) -> None:
    """Mean accuracy at least 0.985 with at most 1000 trained numbers, fewer than networks apart, nothing forgotten."""
    silu = [ops.Linear(2), ops.SiLU(), ops.Linear(2), ops.SiLU(), ops.Linear(2)]
    trunk = chain(ops.Input((1, 8, 8)), ops.Flatten(), *silu)
    recipe = Recipe(lr=1e-2, epochs=40, batch_size=64)
    grown, apart = (
        [learn(driver, "split-digits", recipe=recipe, seed=seed, share=share, device="cpu") for seed in range(seeds)]
        for share, driver in ((True, Continual(trunk, **settings)), (False, Continual(trunk)))
    )
    assert sum(course.average() for course in grown) / seeds >= 0.985
    assert max(course.params for course in grown) <= 1000
    assert sum(course.params for course in grown) < sum(course.params for course in apart)
    assert all(course.unchanged and course.forgetting() == 0.0 for course in grown)
