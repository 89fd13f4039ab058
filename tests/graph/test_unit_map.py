"""Unit maps: composing, concatenating, blocks; compared with lists of (old unit, coefficient) worked out by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgraph import UnitMap
from archgraph.graph import FRESH


@st.composite
def unit_maps(draw: st.DrawFn, old: int | None = None) -> UnitMap:
    size = draw(st.integers(1, 5)) if old is None else old
    index = draw(st.lists(st.integers(FRESH, size - 1), min_size=1, max_size=7))
    parts = draw(st.lists(st.sampled_from((0.0, 0.25, 0.5, 1.0, -2.0)), min_size=len(index), max_size=len(index)))
    return UnitMap(index, parts, old_units=size)


def pairs(units: UnitMap) -> list[tuple[int, float]]:
    return list(zip(units.index.tolist(), units.coefficient.tolist(), strict=True))


def test_defaults() -> None:
    found = UnitMap([2, FRESH, 0], old_units=3)
    assert pairs(found) == [(2, 1.0), (FRESH, 0.0), (0, 1.0)]
    assert found.fresh.tolist() == [False, True, False]
    assert len(found) == 3


@given(st.data())
def test_then_is_composition(data: st.DataObject) -> None:
    first = data.draw(unit_maps())
    second = data.draw(unit_maps(len(first)))
    wanted = []
    for index, coefficient in pairs(second):
        old, before = (FRESH, 1.0) if index == FRESH else pairs(first)[index]
        wanted.append((old, coefficient * before))
    assert pairs(first.then(second)) == wanted
    assert first.then(second).old_units == first.old_units
    assert first.then(UnitMap.identity(len(first))) == first == UnitMap.identity(first.old_units).then(first)


def test_then_after_everything_went() -> None:
    assert UnitMap([], old_units=3).then(UnitMap([FRESH], [0.5], old_units=0)) == UnitMap([FRESH], [0.5], old_units=3)
    with pytest.raises(ValueError, match="cannot compose: 2 units then 3"):
        UnitMap.identity(2).then(UnitMap.identity(3))


@given(st.lists(unit_maps(), min_size=1, max_size=3))
def test_concat_shifts_indices(parts: list[UnitMap]) -> None:
    wanted, start = [], 0
    for part in parts:
        wanted += [(old if old == FRESH else old + start, coefficient) for old, coefficient in pairs(part)]
        start += part.old_units
    assert pairs(UnitMap.concat(parts)) == wanted
    assert UnitMap.concat(parts).old_units == start


@given(unit_maps(), st.integers(1, 3), st.integers(1, 3))
def test_blocks_repeat_and_tile(units: UnitMap, repeat: int, tile: int) -> None:
    wanted = []
    for copy in range(tile):
        for old, coefficient in pairs(units):
            for entry in range(repeat):
                place = FRESH if old == FRESH else copy * units.old_units * repeat + old * repeat + entry
                wanted.append((place, coefficient))
    assert pairs(units.blocks(repeat, tile)) == wanted


@pytest.mark.parametrize(
    ("units", "kept"),
    [
        (UnitMap.identity(3), True),
        (UnitMap([0, 0, 1], [0.3, 0.7, 1], old_units=2), True),
        (UnitMap([1, 0], old_units=2), True),
        (UnitMap([0, FRESH], old_units=1), True),
        (UnitMap([0, FRESH], [1, 0.5], old_units=1), False),
        (UnitMap([0, 0], old_units=1), False),
        (UnitMap([0], old_units=2), False),
        (UnitMap([0, 0, 0], [1 / 3, 1 / 3, 1 / 3], old_units=1), True),
    ],
    ids=["identity", "shares", "permuted", "fresh unread", "fresh read", "doubled", "lost", "thirds"],
)
def test_keeps_function(units: UnitMap, kept: bool) -> None:
    assert units.keeps_function is kept


def test_is_identity() -> None:
    assert UnitMap.identity(3).is_identity
    assert not UnitMap([0, 1], old_units=3).is_identity
    assert not UnitMap([1, 0], old_units=2).is_identity
    assert not UnitMap([0, 1], [1, 0.5], old_units=2).is_identity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [1.0], 2), "2 indices but 1 coefficients"),
        (([2], None, 2), "outside the 2 old units"),
        (([-2], None, 2), "outside the 2 old units"),
    ],
    ids=["lengths", "above", "below"],
)
def test_refusals(arguments: tuple[list[int], list[float] | None, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UnitMap(arguments[0], arguments[1], old_units=arguments[2])


def test_nothing_can_be_written() -> None:
    index = np.array([0, 1])
    units = UnitMap(index, old_units=2)
    index[0] = 1
    assert units.index.tolist() == [0, 1]
    for array in (units.index, units.coefficient):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError, match="cannot be changed"):
        units.old_units = 3


@given(unit_maps(), unit_maps())
def test_value(one: UnitMap, other: UnitMap) -> None:
    again = pickle.loads(pickle.dumps(one))
    assert again == one and hash(again) == hash(one) and not again.index.flags.writeable
    assert eval(repr(one)) == one
    assert (one == other) == (one.old_units == other.old_units and pairs(one) == pairs(other))
    assert one != "a map"


def test_zeros_of_both_signs_are_equal_and_hash_alike() -> None:
    one, other = UnitMap([0], [0.0], old_units=1), UnitMap([0], [-0.0], old_units=1)
    assert one == other and hash(one) == hash(other)
