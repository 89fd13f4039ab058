"""The drivers over a space: deterministic, legal, unmoved by failures; sorting against brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from optuna.samplers import GPSampler

from archgraph import Graph, Recipe, Report, Train
from archgraph.errors import SettingError, SpaceError
from archgraph.metrics import depth, params
from archgraph.search import Goal, Setting, hypervolume
from archgraph.spaces import Neighbourhood
from optimizers import NSGA2, Evolution, GeneratorBO, LocalSearch, OptunaSampler, RandomSearch, Sobol
from optimizers.nsga2 import crowding, fronts
from optimizers.proposing import Proposer
from tests.optimizers.proposing.small import SPACE, cost, drive

DRIVERS = [
    RandomSearch(SPACE),
    Sobol(SPACE),
    Evolution(SPACE),
    Evolution(SPACE, crossover=0.5),
    LocalSearch(SPACE),
    LocalSearch(SPACE, improvement="steepest", neighbours=4),
    NSGA2(SPACE),
    OptunaSampler(SPACE),
]


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda one: type(one).__name__)
def test_the_contract_of_a_driver_over_a_space(driver: Proposer) -> None:
    asked = drive(driver, 40, seed=3, fail=0.2)
    again = drive(driver, 40, seed=3, fail=0.2)
    assert len(asked) == 40
    assert [one.key for one in asked] == [one.key for one in again]
    assert [one.key for one in asked] != [one.key for one in drive(driver, 40, seed=4, fail=0.2)]
    values = [dict(one.origin.values) for one in asked]
    assert len({SPACE.key(one) for one in values}) == 40  # each point once
    assert all(SPACE.canonical(one) == one for one in values)
    assert all(one.subject == SPACE.build(one.origin.values) for one in asked)


@pytest.mark.parametrize(
    "driver", [Evolution(SPACE), LocalSearch(SPACE), NSGA2(SPACE)], ids=lambda one: type(one).__name__
)
def test_the_optimum_of_a_small_space_is_found(driver: Proposer) -> None:
    found = [min(cost(one.origin.values) for one in drive(driver, 150, seed)) for seed in range(2)]
    assert max(found) <= 0.01


@pytest.mark.parametrize("goal", ["val.loss;latency<=10", "val.loss,params", "val.loss,params;latency<=10"])
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)])
def test_samplers_of_optuna_are_told_of_objectives_and_constraints(sampler: str, goal: str) -> None:
    """The latency is the width, which is above 10 at two of three random points; half of the proposals may explore."""
    if sampler == "gp":
        driver, count = OptunaSampler(SPACE, sampler=lambda seed: GPSampler(seed=seed, n_startup_trials=4)), 7
    else:
        driver, count = OptunaSampler(SPACE, sampler=sampler, lookahead=2), 40 if "latency" in goal else 20
    asked = drive(driver, count, seed=2, goal=goal)
    assert [one.key for one in asked] == [one.key for one in drive(driver, count, seed=2, goal=goal)]
    assert len({SPACE.key(one.origin.values) for one in asked}) == count
    if sampler == "tpe" and "latency" in goal:
        assert sum(one.origin.values["width"] <= 10 for one in asked[-20:]) > 10


@pytest.mark.parametrize(
    ("sampler", "goal", "said"),
    [("cmaes", "val.loss,params", "multi-objective"), (lambda seed: 3, "val.loss", "makes no sampler")],
    ids=["one objective only", "no sampler"],
)
def test_samplers_that_cannot_be_used(sampler: Any, goal: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        drive(OptunaSampler(SPACE, sampler=sampler), 1, goal=goal)


def test_nsga2_walks_the_neighbourhood_of_a_graph() -> None:
    seed = SPACE.build({"width": 5, "act": "ReLU", "depth": 2})
    space = Neighbourhood(seed, steps_drawn=3, max_nodes=12)
    session = NSGA2(space, population=5).begin(Setting(Recipe(), 1, Goal.parse("val.loss", "params")))
    points, hashes = [], set()
    for _ in range(25):
        request = session.ask()
        assert isinstance(request, Train)
        assert isinstance(request.subject, Graph)
        assert str(request.subject) == request.origin.values["graph"]
        assert [request.subject.shape(name).dims for name in request.subject.outputs] == [(3,)]
        hashes.add(request.subject.hash)
        metrics = {"val.loss": 1.0 / (1.0 + depth(request.subject)), "params": float(params(request.subject))}
        points.append(tuple(metrics.values()))
        session.tell(request, Report(request.key, metrics))
    assert len(hashes) == 25
    best = [hypervolume(part, (1.0, 300.0)) for part in (points[:5], points)]
    assert best[1] > best[0]


def test_known_constraints_are_kept_before_training() -> None:
    asked = drive(RandomSearch(SPACE), 20, goal="val.loss;params<=200")
    assert len(asked) == 20
    assert all(params(one.subject) <= 200 for one in asked if isinstance(one.subject, Graph))


@pytest.mark.parametrize("driver", [RandomSearch(SPACE), GeneratorBO(SPACE)], ids=lambda one: type(one).__name__)
def test_a_constraint_that_nothing_keeps_names_the_nearest_point(driver: Proposer) -> None:
    with pytest.raises(SpaceError, match=r"params<=2.0 \(the nearest by 9, at width=1, act='\w+', depth=1\)"):
        drive(driver, 1, goal="val.loss;params<=2")


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="sample"):
        Evolution(SPACE, population=3, sample=4)
    with pytest.raises(SettingError, match="sampler"):
        OptunaSampler(SPACE, sampler="tpee")
    with pytest.raises(SettingError, match="lookahead"):
        Evolution(SPACE, lookahead=None)


def test_fronts_against_brute_force() -> None:
    numbers = np.random.default_rng(0)
    points, broken = numbers.integers(0, 6, (37, 3)).astype(float), numbers.integers(0, 2, 37).astype(float)

    def beats(a: int, b: int) -> bool:
        if broken[a] != broken[b]:
            return bool(broken[a] < broken[b])
        return all(points[a] <= points[b]) and any(points[a] < points[b])

    left, expected = set(range(37)), []
    while left:
        expected.append([b for b in sorted(left) if not any(beats(a, b) for a in left)])
        left -= set(expected[-1])
    assert fronts(points, broken) == expected
    assert crowding(np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])).tolist() == [math.inf, 2.0, math.inf]
