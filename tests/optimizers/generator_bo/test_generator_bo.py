"""Bayesian optimisation on a formula: proposals, resuming, failures, replicates, final networks."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archgraph.errors import DataError, SettingError, SpaceError, UnknownName
from archgraph.evaluation import Fidelity, Origin, Recipe, Report, Train
from archgraph.registry import DRIVERS
from archgraph.search import Goal, Session, Setting, Study
from archgraph.spaces import Neighbourhood
from benchmarks.bo_synthetic import GRAPH, Synthetic, accuracy, observe, search
from optimizers import GeneratorBO, KernelDensity, SuccessiveHalving
from optimizers.proposing import Proposing
from optimizers.proposing.start_files import read_start

SPACE = Synthetic()
SMALL = {"initial": 6, "explore": 0.0}


def begun(driver: Any, *objectives: str, epochs: int = 1) -> Session:
    return driver.begin(Setting(Recipe(epochs=epochs), 3, Goal.parse(*(objectives or ("val.error",)))))


def step(session: Session, *, failure: str | None = None) -> Train:
    """Train once; a failure without a word is a number that is none."""
    request = session.ask()
    assert isinstance(request, Train)
    metrics = observe(request.origin.values, request.seed)
    if failure is not None:
        metrics = dict.fromkeys(metrics, math.nan) if failure == "" else {}
    session.tell(request, Report(request.key, metrics, failure=failure or ""))
    return request


@pytest.mark.parametrize("objectives", [("val.error",), ("val.error", "memory")])
def test_the_same_history_gives_the_same_suggestion(objectives: tuple[str, ...]) -> None:
    driver = GeneratorBO(SPACE, **SMALL)
    session = begun(driver, *objectives)
    for _ in range(8):
        step(session)
    assert isinstance(session, Proposing)
    history = session.history
    fresh = begun(driver, *objectives)
    assert isinstance(fresh, Proposing)
    assert fresh.source.propose(history) == session.source.propose(history)


def test_no_point_is_trained_too_often() -> None:
    points = search(GeneratorBO(SPACE, replicates=1, **SMALL), 9, 0, "val.error")
    assert max(Counter(map(SPACE.key, points)).values()) == 1


def test_pending_points_are_not_proposed_again() -> None:
    session = begun(GeneratorBO(SPACE, lookahead=4, **SMALL))
    for _ in range(7):
        step(session)
    asked = [session.ask() for _ in range(4)]
    assert len({SPACE.key(one.origin.values) for one in asked if isinstance(one, Train)}) == 4


def test_failures_are_survived() -> None:
    """Section G 17: a fifth fails, by numbers that are none, an exception, a timeout or lack of memory."""
    session = begun(GeneratorBO(SPACE, initial=14, explore=0.0))
    failures = {0: "", 5: "RuntimeError: no", 10: "timeout after 5 s", 13: "out of memory"}
    for number in range(17):
        step(session, failure=failures.get(number))
    assert isinstance(session, Proposing)
    assert sum(one.failed for one in session.history.told) == 4
    data = session.source.observations(session.history)  # type: ignore[attr-defined]
    assert data.X.shape == (13, 8)
    assert data.costs.isfinite().all()
    assert len(data.bad) == 4


def test_when_all_fails_it_goes_on() -> None:
    session = begun(GeneratorBO(SPACE, **SMALL))
    assert all(step(session, failure="diverged") for _ in range(9))
    assert session.findings == ""


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


def test_findings_know_all_that_was_told() -> None:
    """What is open when the last candidate is asked for is told before the search sums up."""
    session = begun(GeneratorBO(SPACE, initial=6, candidates=6, lookahead=3))
    asked = [session.ask() for _ in range(3)]
    while any(asked):
        request = asked.pop(0)
        assert isinstance(request, Train)
        session.tell(request, Report(request.key, observe(request.origin.values, request.seed)))
        asked = [one for one in (*asked, session.ask()) if one is not None]
    assert isinstance(session, Proposing)
    assert session.done
    assert len(session.history.told) == 6
    assert session.findings == session.source.summary(session.history) != ""


def test_a_space_without_numbers_is_refused() -> None:
    with pytest.raises(SpaceError, match="no numbers"):
        GeneratorBO(Neighbourhood(GRAPH))


def test_a_study_teaches_and_its_best_points_begin_another_search(tmp_path: Path) -> None:
    """Ten points drawn by nobody in particular, of which every other one was trained by half of the recipe only."""
    url = f"sqlite:///{tmp_path}/runs.db"
    study = Study("earlier", url, objective="val.error")
    for seed in range(10):
        values, fidelity = SPACE.draw(seed), Fidelity(2 if seed % 2 else None)
        metrics = observe(values, seed) | {"val.error": 1.0 - accuracy(values) + 0.1 * (seed % 2)}
        request = Train(GRAPH, Recipe(epochs=4), seed=seed, fidelity=fidelity, origin=Origin(values=values))
        study.record(request, Report(str(seed), metrics, fidelity=fidelity))
    lessons = GeneratorBO(SPACE).lessons(study)
    assert lessons.values == study.best.values  # without noise the best is what it seems
    assert lessons.expected[0] < study.best.metric("error") < lessons.expected[1]
    assert set(lessons.lengths) == set(SPACE.domains)
    assert list(lessons.lengths.values()) == sorted(lessons.lengths.values())
    begun_with = read_start(f"{url}#earlier")
    driver = GeneratorBO(SPACE, start=begun_with)
    assert driver.start[0] == study.best.values
    assert len(driver.start) == 5
    with pytest.raises(DataError, match="teaches nothing"):
        driver.lessons(Study("empty"))
