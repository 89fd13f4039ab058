"""The best trial, fronts, hypervolumes and histories of studies with several objectives and constraints."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from archgraph import Goal, Recipe, Report, Study, Train
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.evaluation import Fidelity
from tests.search.reports import GRAPH, failed, filled, report

POINTS = [(0.5, 10.0), (0.25, 30.0), (0.5, 20.0), (0.25, 40.0), (0.1, 50.0), (0.25, 30.0), (0.9, 5.0)]


def of(*points: tuple[float, float]) -> list[Report]:
    return [report(number, val_error=error, latency=time) for number, (error, time) in enumerate(points)]


def numbers(study: Study, *names: str) -> list[int]:
    return [trial.number for trial in study.pareto(*names)]


def test_the_front_is_that_of_the_studys_objectives_unless_others_are_named() -> None:
    study = filled(None, *of(*POINTS), failed(9), objective=("val.error", "latency"))
    assert numbers(study) == numbers(study, "error", "latency") == [4, 1, 5, 0, 6]
    assert numbers(study, "latency", "error") == [6, 0, 1, 5, 4]
    assert numbers(study, "latency") == [6]
    assert numbers(study, "latency", "max:params") == [6]
    assert numbers(filled(None, *of(*POINTS), objective="latency")) == [6]


def test_the_best_is_by_the_first_objective_then_by_the_next() -> None:
    for points in itertools.permutations([(0.25, 40.0), (0.25, 30.0), (0.5, 5.0)]):
        study = filled(None, *of(*points), objective=("val.error", "latency"))
        assert study.best.number == points.index((0.25, 30.0))
        study = filled(None, *of(*points), objective=("latency", "val.error"))
        assert study.best.number == points.index((0.5, 5.0))


def test_a_direction_that_is_not_the_metrics_own() -> None:
    study = filled(None, *of(*POINTS), objective="max:latency")
    assert study.best.number == 4
    assert [row["best"] for row in study.history()] == [10.0, 30.0, 30.0, 40.0, 50.0, 50.0, 50.0]
    assert [way.name for way in study.optuna.directions] == ["MAXIMIZE"]
    assert numbers(filled(None, *of(*POINTS), objective=("error", "max:latency"))) == [4]


# ------------------------------------------------------------------ constraints
def test_trials_that_break_a_constraint_are_recorded_but_never_good() -> None:
    study = filled(None, *of(*POINTS), failed(9), objective=("val.error", "latency"), constraints="latency<=30")
    assert [trial.feasible for trial in study] == [True, True, True, False, False, True, True, False]
    assert [trial.violations["latency<=30.0"] for trial in study][:7] == [0, 0, 0, 10, 20, 0, 0]
    assert math.isinf(study.trials[7].violations["latency<=30.0"])  # it failed, nobody knows
    assert study.best.number == 1
    assert numbers(study) == [1, 5, 0, 6]
    assert numbers(study, "error", "params") == [1, 5]  # constraints hold for any front
    assert [row["best"] for row in study.history()] == [0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]


def test_a_trial_that_breaks_a_constraint_keeps_none_off_the_front() -> None:
    study = filled(None, *of((0.1, 1.0), (0.2, 2.0)), objective=("error", "latency"), constraints="latency>=2")
    assert numbers(study) == [1]


def test_when_no_trial_keeps_the_constraints_the_nearest_is_named() -> None:
    study = filled(None, *of((0.1, 9.0), (0.2, 7.5)), failed(5), constraints=("latency<=7", "params<=100"))
    with pytest.raises(DataError, match="no trial that keeps the constraints") as caught:
        _ = study.best
    assert "trial 1 comes nearest: latency<=7.0 is broken by 0.5" in str(caught.value)
    assert study.pareto("error") == []
    assert study.history()[-1].get("best") is None
    with pytest.raises(DataError, match="no successful trial"):
        _ = filled(None, failed(5), constraints="latency<=7").best


def test_of_many_failures_the_first_are_told() -> None:
    with pytest.raises(DataError, match="no successful trial") as caught:
        _ = filled(None, *(failed(seed) for seed in range(8))).best
    lines = str(caught.value.place).splitlines()
    assert [line.split(":")[0] for line in lines] == [*(f"trial {number}" for number in range(5)), "and 3 more"]


def test_without_constraints_every_success_is_feasible() -> None:
    study = filled(None, *of((0.1, 9.0)), failed(5))
    assert [(trial.feasible, trial.violations) for trial in study] == [(True, {}), (False, {})]
    assert "violations" not in study.trials[0].facts


def test_constraints_come_before_fidelity() -> None:
    """A network that keeps the constraints is better than a longer training of one that does not."""
    study = Study("demo", objective="val.loss", constraints="latency<=5")
    recipe = Recipe(epochs=4)
    for number, (epochs, time) in enumerate([(2, 1.0), (None, 9.0), (2, 2.0)]):
        fidelity = Fidelity(epochs)
        given = replace(report(number, latency=time, val_loss=5.0 - number), fidelity=fidelity.within(4))
        study.record(Train(GRAPH, recipe, number, fidelity=fidelity), given)
    assert study.best.number == 2
    assert study.trials[1].share == 1.0


# ------------------------------------------------------------------ hypervolume
def boxes(points: list[tuple[float, float]], bound: tuple[float, float], steps: int = 200) -> float:
    """The volume by counting small cells, for points and bounds on a grid."""
    cells = 0
    for i, j in itertools.product(range(steps), repeat=2):
        x, y = (i + 0.5) * bound[0] / steps, (j + 0.5) * bound[1] / steps
        cells += any(a <= x and b <= y for a, b in points)
    return cells * bound[0] * bound[1] / steps**2


def test_hypervolume_against_counted_cells() -> None:
    draw = random.Random(3)
    points = [(draw.randrange(1, 40) / 40, draw.randrange(1, 50) * 1.0) for _ in range(9)]
    study = filled(None, *of(*points), failed(99), objective=("error", "latency"))
    wanted = boxes(points, (1.0, 50.0))
    assert study.hypervolume((1.0, 50.0)) == pytest.approx(wanted, rel=1e-9)
    assert study.hypervolume({"error": 1.0, "latency": 50.0}) == pytest.approx(wanted, rel=1e-9)
    assert study.hypervolume({"latency": 50.0, "val.error": 1.0}) == pytest.approx(wanted, rel=1e-9)
    kept = filled(None, *of(*points), objective=("error", "latency"), constraints="latency<=25")
    assert kept.hypervolume((1.0, 50.0)) == pytest.approx(boxes([p for p in points if p[1] <= 25], (1.0, 50.0)))


def test_hypervolume_where_more_is_better() -> None:
    study = filled(None, *of((0.5, 10.0), (0.25, 4.0)), objective=("error", "max:latency"))
    assert study.hypervolume((1.0, 2.0)) == pytest.approx(0.5 * 8 + 0.25 * 2)  # against 2 seconds, the worst
    assert study.hypervolume({"latency": 2.0}) == 8.0
    assert study.hypervolume({"accuracy": 0.25}) == 0.25  # all have accuracy 1/2


def test_hypervolume_of_nothing_and_wrong_references() -> None:
    study = filled(None, failed(1), objective=("error", "latency"))
    assert study.hypervolume((1.0, 2.0)) == 0.0
    assert Study("empty", objective=("error", "latency")).hypervolume({"error": 1.0, "params": 5.0}) == 0.0
    for wrong in ((1.0,), (1.0, 2.0, 3.0), (math.nan, 1.0), (math.inf, 1.0), {}):
        with pytest.raises(SettingError):
            study.hypervolume(wrong)
    with pytest.raises(UnknownName):
        filled(None, *of((0.5, 1.0))).hypervolume({"latencies": 1.0})


# ------------------------------------------------------------------ stored
def test_a_goal_is_the_studys_for_ever(url: str) -> None:
    from archgraph import load_study

    given = {"objective": ("val.error", "max:latency"), "constraints": ("params<=100", "latency<=40")}
    study = filled(url, *of(*POINTS), **given)
    again = load_study("demo", url)
    assert again.goal == study.goal == Goal.of(**given)
    assert again.objective == "val.error"
    assert [trial.violations for trial in again] == [trial.violations for trial in study]
    assert numbers(again) == numbers(study) == [3]
    assert Study("demo", url, **given).goal == study.goal
    for changed, what in (
        ({"objective": "val.error"}, "another objective"),
        ({"objective": ("max:latency", "val.error")}, "another objective"),
        ({"objective": ("val.error", "latency")}, "another objective"),
        ({"constraints": ()}, "another constraint"),
        ({"constraints": ("params<=99", "latency<=40")}, "another constraint"),
    ):
        with pytest.raises(SettingError, match=what):
            Study("demo", url, **{**given, **changed})
    with pytest.raises(SettingError, match="another constraint"):
        Study("demo", url, constraints="params<=3")


def test_missing_and_undefined_numbers() -> None:
    reports = [report(1, val_error=0.5), report(2, val_error=0.25, latency=math.nan), *of((0.75, 3.0))]
    study = filled(None, *reports[1:], objective=("val.error", "latency"))
    assert study.best.number == 1
    assert numbers(study) == [1]
    assert [trial.state.name for trial in study.optuna.trials] == ["FAIL", "COMPLETE"]
    with pytest.raises(UnknownName):
        filled(None, reports[0]).pareto("latency")
    found = filled(None, reports[0], constraints="latency<=5").trials[0]
    assert not found.feasible  # what nobody measured is not known to be kept
