from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgraph.errors import SpaceError
from archgraph.generators.width_solver import WIDEST, widest


@given(st.integers(1, 50), st.integers(0, 70), st.integers(0, 900), st.integers(0, 40_000))
def test_the_greatest_width_that_fits(square: int, linear: int, constant: int, room: int) -> None:
    def count(width: int) -> int:
        return square * width**2 + linear * width + constant

    limit = count(1) + room
    slow = next(width for width in range(1, 10**4) if count(width + 1) > limit)
    assert widest(count, limit) == slow


def test_the_limit_itself_fits() -> None:
    assert widest(lambda width: 7 * width, limit=35) == 5


def test_nothing_fits() -> None:
    with pytest.raises(SpaceError, match="too many parameters even at width 1") as caught:
        widest(lambda width: 100 * width, limit=99)
    assert (caught.value.expected, caught.value.got) == ("at most 99", 100)


def test_everything_fits() -> None:
    with pytest.raises(SpaceError, match="bounds no width"):
        widest(lambda width: width, limit=3 * WIDEST)
