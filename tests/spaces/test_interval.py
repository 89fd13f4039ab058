"""Intervals: every number can be drawn, encoded and met again; logarithms are even; neighbours are near."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgraph.errors import SpaceError
from archgraph.spaces import Domain, Float, Int

INTS = [Int(3, 7), Int(-2, 4), Int(5, 5), Int(1, 100, log=True), Int(2, 5000), Int(1, 2, log=True)]
FLOATS = [Float(-1.5, 2.5), Float(1e-4, 1.0, log=True), Float(3.0, 3.0), Float(0, 7)]


@pytest.mark.parametrize("domain", INTS, ids=repr)
def test_every_whole_number_is_met_again(domain: Int) -> None:
    for value in domain.values():
        (place,) = domain.encode(value)
        assert 0.0 <= place <= 1.0
        assert domain.decode((place,)) == value
    assert len(list(domain.values())) == domain.size == domain.high - domain.low + 1


@pytest.mark.parametrize("domain", INTS, ids=repr)
def test_levels_are_the_places_of_all_values(domain: Int) -> None:
    (levels,) = domain.levels
    if domain.size > 4096:
        assert levels is None
    else:
        assert levels == tuple(domain.encode(value)[0] for value in range(domain.low, domain.high + 1))
        assert list(levels) == sorted(levels)


def test_places_are_even_or_even_in_the_logarithm() -> None:
    assert Int(2, 6).encode(3) == (0.25,)
    assert Int(1, 64, log=True).encode(8) == pytest.approx((0.5,))
    assert Float(2.0, 6.0).encode(5.0) == (0.75,)
    assert Float(0.01, 100.0, log=True).encode(10.0) == pytest.approx((0.75,))
    assert Int(4, 4).encode(4) == Float(4, 4).encode(4.0) == (0.5,)


@given(st.floats(-10, 10), st.floats(1e-3, 10), st.floats(0, 1))
def test_reals_are_met_again(low: float, width: float, place: float) -> None:
    domain = Float(low, low + width)
    value = domain.decode((place,))
    assert domain.low <= value <= domain.high
    assert domain.find(value) == value
    assert domain.decode(domain.encode(value)) == value


@given(st.floats(1e-6, 10), st.floats(1.01, 1e4), st.floats(0, 1))
def test_reals_are_met_again_in_the_logarithm(low: float, factor: float, place: float) -> None:
    domain = Float(low, low * factor, log=True)
    value = domain.decode((place,))
    assert domain.decode(domain.encode(value)) == value


def test_what_is_outside_the_cube_counts_as_its_end() -> None:
    assert (Int(3, 7).decode((-2.0,)), Int(3, 7).decode((5.0,))) == (3, 7)
    assert (Float(0.1, 0.7).decode((-2.0,)), Float(0.1, 0.7).decode((5.0,))) == (0.1, 0.7)


def test_draws_are_even() -> None:
    numbers = random.Random(0)
    counts = Counter(Int(3, 7).draw(numbers) for _ in range(5000))
    assert sorted(counts) == [3, 4, 5, 6, 7]
    assert all(abs(count - 1000) < 150 for count in counts.values())  # five standard errors
    wide = [Int(1, 1000, log=True).draw(numbers) for _ in range(4000)]
    assert np.mean([value <= 31 for value in wide]) == pytest.approx(
        0.5, abs=0.06
    )  # half of the logarithm, and rounding
    reals = [Float(0.01, 1.0, log=True).draw(numbers) for _ in range(4000)]
    assert np.mean([value <= 0.1 for value in reals]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("domain", [*INTS, *FLOATS], ids=repr)
def test_neighbours_are_other_values_near_by(domain: Domain) -> None:
    numbers = random.Random(1)
    for _ in range(40):
        value = domain.draw(numbers)
        near = list(domain.neighbours(value))
        assert value not in near
        assert len(set(near)) == len(near)
        assert all(domain.find(one) == one for one in near)
        assert bool(near) == (domain.size > 1)
        assert len(near) <= 4


def test_neighbours_of_a_wide_interval() -> None:
    assert list(Int(1, 5).neighbours(3)) == [2, 4]
    assert list(Int(0, 160).neighbours(80)) == [70, 79, 81, 90]
    assert list(Float(0, 16).neighbours(0.5)) == [0.0, 1.5]


@pytest.mark.parametrize(
    ("domain", "value", "found"),
    [
        (Int(1, 9), np.int64(4), 4),
        (Int(1, 9), True, None),
        (Int(1, 9), 4.0, None),
        (Int(1, 9), 10, None),
        (Int(1, 9), "4", None),
        (Float(1, 9), 4, 4.0),
        (Float(1, 9), np.float32(4.5), 4.5),
        (Float(1, 9), False, None),
        (Float(1, 9), math.nan, None),
        (Float(1, 9), 0.999, None),
    ],
)
def test_spelling(domain: Domain, value: Any, found: Any) -> None:
    own = domain.find(value)
    assert own == found
    assert type(own) is type(found)
    assert domain.contains(value) is (found is not None)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Int(5, 2), r"Int\(5, 2\) is empty"),
        (lambda: Int(0, 2, log=True), "has no logarithm everywhere"),
        (lambda: Int(1.5, 2), "low of an Int must be a whole number"),  # type: ignore[arg-type]
        (lambda: Int(1, True), "high of an Int must be a whole number"),
        (lambda: Float(2, 1), "is empty"),
        (lambda: Float(0, math.inf), "high of a Float must be a finite number"),
        (lambda: Float(-1, 1, log=True), "has no logarithm everywhere"),
    ],
)
def test_wrong_bounds(make: Any, what: str) -> None:
    with pytest.raises(SpaceError, match=what):
        make()


def test_a_continuum_cannot_be_listed() -> None:
    assert list(Float(2, 2).values()) == [2.0]
    with pytest.raises(SpaceError, match="cannot be listed"):
        list(Float(1, 2).values())
    assert (Float(1, 2).size, Float(1, 1).size) == (math.inf, 1)
