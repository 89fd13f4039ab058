"""The drivers over a space: deterministic, legal, unmoved by failures; sorting against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archgraph import Graph
from archgraph.errors import SettingError, SpaceError
from optimizers import NSGA2, Evolution, LocalSearch, OptunaSampler, RandomSearch, Sobol
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


def test_known_constraints_are_kept_before_training() -> None:
    asked = drive(RandomSearch(SPACE), 20, goal="val.loss;params<=200")
    from archgraph.metrics import params

    assert len(asked) == 20
    assert all(params(one.subject) <= 200 for one in asked if isinstance(one.subject, Graph))
    with pytest.raises(SpaceError, match="params<=2"):
        drive(RandomSearch(SPACE), 1, goal="val.loss;params<=2")


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
