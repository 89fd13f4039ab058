"""Counting: products along conditions are what a walk finds, and estimates are as good as they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings

from archgraph import Graph, chain, ops
from archgraph.spaces import Count, Defined, Parameters, space
from archgraph.spaces.counting import add_up, estimate, walk
from tests.spaces.drawn_spaces import Branch, branches, points, spelled

GRAPH = chain(ops.Input((2,)), ops.Linear(3))


def asking(ask: Callable[[Parameters], Any], **options: Any) -> Defined:
    """Return the space of what is asked for; its graph is always the same."""

    def build(p: Parameters) -> Graph:
        ask(p)
        return GRAPH

    return space(build, **options)


@settings(max_examples=15)
@given(branches())
def test_all_ways_agree(level: list[Branch]) -> None:
    found, expected = spelled(level), len(points(level))
    assume(expected <= 400)
    assert add_up(found.domains, {name: one for name, one in found.conditions.items() if one}).points == expected
    walked = walk(found)
    assert walked is not None
    assert (walked.points, walked.how) == (expected, "walked")


def test_a_walk_gives_up_at_its_limit() -> None:
    numbers = asking(lambda p: (p.int("a", 1, 7), p.int("b", 1, 11)))
    assert walk(numbers, limit=76) is None
    assert walk(numbers, limit=77) == Count(77, 0.0, "walked")


@space
def ascending(p: Parameters) -> Graph:
    """Four ascending numbers of twelve."""
    numbers = [p.int(f"n{place}", 1, 12) for place in range(4)]
    p.require(sorted(set(numbers)) == numbers, "ascending")
    return GRAPH


def test_what_is_too_large_to_walk_is_estimated_with_its_error() -> None:
    count = ascending.count
    assert count.how == "estimated"
    assert 0 < count.error < 0.3 * math.comb(12, 4)
    assert abs(count.points - math.comb(12, 4)) < 4 * count.error
    assert str(count).startswith("about ")
    assert "standard error" in str(count)


def test_the_stated_error_is_that_of_repeated_estimates() -> None:
    found = estimate(ascending, samples=4000)
    share = math.comb(12, 4) / 12**4
    expected = 12**4 * math.sqrt(share * (1 - share) / 4000)
    assert found.error == pytest.approx(expected, rel=0.2)


def test_equivalent_values_are_counted_once() -> None:
    multisets = asking(
        lambda p: [p.int(f"n{place}", 1, 5) for place in range(3)],
        merge=lambda values: dict(zip(values, sorted(values.values()), strict=True)),  # type: ignore[type-var]
    )
    assert multisets.count == Count(math.comb(7, 3), 0.0, "walked")
    found = estimate(multisets, samples=4000)
    assert abs(found.points - math.comb(7, 3)) < 4 * found.error


def test_reals_make_it_infinite() -> None:
    rates = asking(lambda p: (p.bool("a"), p.float("rate", 0, 1)))
    assert rates.size == math.inf
    assert str(rates.count) == "infinitely many points"


def test_a_declared_number_is_believed() -> None:
    assert space(lambda p: GRAPH, points=17).count == Count(17, 0.0, "declared")
    assert str(Count(17, 0.0, "declared")) == "17 points"
    assert str(Count(1, 0.0, "walked")) == "1 point"
