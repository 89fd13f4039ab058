"""The exact knapsack against trying everything, and against HiGHS where that takes too long."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph.criteria import knapsack
from archgraph.criteria.exact_knapsack import exact_knapsack


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Up to nine items of up to five groups under none to three budgets; some cost nothing, many are equal."""
    items, budgets = draw(st.integers(1, 9)), draw(st.integers(0, 3))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.booleans())

    def number(size: Any) -> Any:
        return generator.integers(0, 4, size) / 4 if coarse else generator.random(size)

    groups = np.unique(generator.integers(0, 5, items), return_inverse=True)[1]
    worth = generator.random(budgets) * draw(st.sampled_from([0.0, 1.0]))
    return number(items) + 0.125, number((items, budgets)), groups, worth


@settings(max_examples=300, deadline=None)
@given(problem=problems())
def test_nothing_gains_more(problem: Any) -> None:
    gains, costs, groups, worth = problem
    choices = [(-1, *np.flatnonzero(groups == group)) for group in np.unique(groups)]
    wanted = 0.0
    for choice in itertools.product(*choices):
        items = [item for item in choice if item >= 0]
        if (costs[items].sum(axis=0) <= 1.0).all():
            wanted = max(wanted, float(gains[items].sum()))
    found = exact_knapsack(gains, costs, groups, [], worth=worth)
    assert len(set(groups[found].tolist())) == len(found)
    assert (costs[found].sum(axis=0) <= 1.0 + 1e-9).all()
    assert gains[found].sum() == pytest.approx(wanted, rel=1e-12)


def test_what_is_known_is_kept_unless_something_gains_more() -> None:
    gains, costs, groups = np.array([2.0, 2.0, 3.0]), np.array([[0.5], [0.5], [0.75]]), np.arange(3)
    assert exact_knapsack(gains, costs, groups, [1, 0]) == [0, 1]
    assert exact_knapsack(gains[:2], costs[[0, 2]], groups[:2], [1]) == [1]
    assert exact_knapsack(gains, costs, groups, [2]) == [0, 1]


@pytest.mark.parametrize(
    ("budgets", "likeness", "trials", "off"),
    [
        (1, 0.0, 4, 1e-6),
        (2, 0.0, 4, 1e-6),
        (3, 0.0, 4, 1e-6),
        (1, 0.9, 4, 1e-6),
        pytest.param(2, 0.9, 1, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_sixty_items_in_silence(
    budgets: int, likeness: float, trials: int, off: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """HiGHS may exceed a budget by its tolerance, and prints from C at times; neither happens here."""
    generator = np.random.default_rng(budgets)
    for _ in range(trials):
        groups = generator.integers(0, 25, 60)
        costs = np.exp(2.0 * generator.normal(size=(60, budgets)))
        gains = likeness * costs.sum(axis=1) + (1.0 - likeness) * generator.exponential(size=60)
        limits = costs.sum(axis=0) * generator.uniform(0.1, 0.5)
        taken = list(knapsack(gains.tolist(), costs, groups.tolist(), limits, solver="exact"))
        assert capfd.readouterr() == ("", "")
        assert (costs[taken].sum(axis=0) <= limits * (1 + 1e-8)).all()
        assert gains[taken].sum() == pytest.approx(_highs(gains, costs, groups, limits), rel=off)
        capfd.readouterr()


def test_a_problem_of_nearly_equal_choices_ends_and_comes_close() -> None:
    """What gains what it costs makes every partial choice worth following: the most promising ones are."""
    generator = np.random.default_rng(0)
    costs = generator.random((60, 1))
    costs *= 3.0 / costs.sum()
    found = exact_knapsack(costs[:, 0], costs, np.arange(60), [])
    assert 1.0 - 1e-6 < costs[found].sum() <= 1.0 + 1e-9


def _highs(gains: Any, costs: Any, groups: Any, limits: Any) -> float:
    from scipy.optimize import Bounds, LinearConstraint, milp

    once = (groups == np.unique(groups)[:, None]).astype(float)
    rows = LinearConstraint(np.vstack([costs.T / limits[:, None], once]), -np.inf, 1.0)
    whole = np.ones(len(gains))
    found = milp(
        -gains / gains.max(), constraints=rows, bounds=Bounds(0, 1), integrality=whole, options={"mip_rel_gap": 0.0}
    )
    return float(gains[found.x > 0.5].sum())
