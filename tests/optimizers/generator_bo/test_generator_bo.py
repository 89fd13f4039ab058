"""Bayesian optimisation on a formula: proposals, resuming, failures, replicates, final networks."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Fidelity, Recipe, Report, Train
from archgraph.registry import DRIVERS
from archgraph.search import Goal, Session, Setting
from benchmarks.bo_synthetic import Synthetic, accuracy, observe, search
from optimizers import GeneratorBO, KernelDensity, SuccessiveHalving
from optimizers.proposing import Proposing

SPACE = Synthetic()
SMALL = {"initial": 6, "explore": 0.0}


def begun(driver: Any, *objectives: str, epochs: int = 1) -> Session:
    return driver.begin(Setting(Recipe(epochs=epochs), 3, Goal.parse(*(objectives or ("val.error",)))))


def step(session: Session, *, fail: bool = False) -> Train:
    request = session.ask()
    assert isinstance(request, Train)
    metrics = observe(request.origin.values, request.seed)
    session.tell(request, Report(request.key, {} if fail else metrics, failure="diverged" if fail else ""))
    return request


@pytest.mark.parametrize("objectives", [("val.error",), ("val.error", "memory")])
def test_the_same_history_gives_the_same_suggestion(objectives: tuple[str, ...]) -> None:
    driver = GeneratorBO(SPACE, **SMALL)
    session = begun(driver, *objectives)
    for _ in range(9):
        step(session)
    assert isinstance(session, Proposing)
    history = session.history
    fresh = begun(driver, *objectives)
    assert isinstance(fresh, Proposing)
    assert fresh.source.propose(history) == session.source.propose(history)


def test_no_point_is_trained_too_often() -> None:
    points = search(GeneratorBO(SPACE, replicates=1, **SMALL), 14, 0, "val.error")
    assert max(Counter(map(SPACE.key, points)).values()) == 1


def test_pending_points_are_not_proposed_again() -> None:
    session = begun(GeneratorBO(SPACE, lookahead=4, **SMALL))
    for _ in range(7):
        step(session)
    asked = [session.ask() for _ in range(4)]
    assert len({SPACE.key(one.origin.values) for one in asked if isinstance(one, Train)}) == 4


def test_failures_are_survived() -> None:
    session = begun(GeneratorBO(SPACE, **SMALL))
    for number in range(15):
        step(session, fail=number % 5 == 0)
    assert isinstance(session, Proposing)
    assert sum(one.failed for one in session.history.told) == 3
    data = session.source.observations(session.history)  # type: ignore[attr-defined]
    assert data.X.shape == (12, 8)
    assert data.costs.isfinite().all()
    assert len(data.bad) == 3


def test_when_all_fails_it_goes_on() -> None:
    session = begun(GeneratorBO(SPACE, **SMALL))
    assert all(step(session, fail=True) for _ in range(9))


def test_the_last_networks_are_of_the_best_expectation() -> None:
    session = begun(GeneratorBO(SPACE, candidates=11, final=3, **SMALL))
    points = [step(session).origin.values for _ in range(11)]
    assert session.ask() is None
    assert session.done
    assert points[-1] == points[-2] == points[-3]
    assert points[-1] in points[:-3]
    assert session.reason == "all 11 candidates are trained"
    assert session.findings.startswith("best expectation of val.error, ")
    assert "what mattered, by length: " in session.findings


def test_given_points_come_first_and_the_design_is_repeated() -> None:
    given = SPACE.draw(77)
    driver = GeneratorBO(SPACE, start=(given,), initial=4, repeats=2)
    assert driver.size == 5
    session = begun(driver)
    points = [step(session).origin.values for _ in range(10)]
    assert points[0] == points[1] == given
    assert set(Counter(map(SPACE.key, points)).values()) == {2}


def test_lower_rungs_reach_the_surrogate() -> None:
    driver = SuccessiveHalving(GeneratorBO(SPACE, candidates=10, **SMALL), reduction=2, lookahead=1)
    session = begun(driver, epochs=4)
    while not session.done:
        request = session.ask()
        if request is None:
            break
        assert isinstance(request, Train)
        metrics = observe(request.origin.values, request.seed)
        session.tell(request, Report(request.key, metrics, fidelity=request.fidelity))
    inner = session.inner  # type: ignore[attr-defined]
    data = inner.source.observations(inner.history)
    assert set(data.share.tolist()) == {0.25, 0.5, 1.0}
    assert data.inputs.shape[1] == 9
    assert len(data.places) == 10
    assert Fidelity(1).share(4) == 0.25


@pytest.mark.parametrize(
    "settings",
    [{"explore": 1.5}, {"price": "dollars"}, {"final": 2}, {"initial": 0}, {"repeats": 4}, {"start": ({"N_t": 99},)}],
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        GeneratorBO(SPACE, **settings)


def test_objectives_of_its_own() -> None:
    with pytest.raises(UnknownName):
        GeneratorBO(SPACE, objectives="eror")
    goal = GeneratorBO(SPACE, objectives="error, memory", constraints="params<=5").goal(Goal.of("val.loss"))
    assert [one.name for one in goal.objectives] == ["error", "memory"]
    assert len(goal.constraints) == 1


def test_it_is_registered() -> None:
    assert DRIVERS.get("generator-bo") is GeneratorBO
    assert DRIVERS.get("kernel-density") is KernelDensity


@pytest.mark.slow
def test_regret_is_a_quarter_below_that_of_random_points() -> None:
    """Section G 11, and the parameter that matters most in the formula is among the first."""
    best = [max(map(accuracy, search(GeneratorBO(SPACE), 40, seed, "val.error"))) for seed in range(2)]
    assert sum(0.9362 - one for one in best) / 2 < 0.75 * 0.0097  # of 20 runs of random search: bo_regret.csv
    assert not any(map(math.isnan, best))
