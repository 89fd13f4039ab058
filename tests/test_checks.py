"""Settings: what passes, and what an error says of what does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from archgraph.checks import check_choice, check_positive, check_switch, check_whole
from archgraph.errors import SettingError

GOOD: dict[str, Callable[[], None]] = {
    "whole": lambda: check_whole("n", 2, 2),
    "missing": lambda: check_whole("n", None, 2, missing=True),
    "positive": lambda: check_positive("x", 1e-9),
    "positive and whole": lambda: check_positive("x", 3),
    "no number": lambda: check_positive("x", None, missing=True),
    "choice": lambda: check_choice("mode", "val", ("train", "val")),
    "switch": lambda: check_switch("halves", False),
}


@pytest.mark.parametrize("check", GOOD.values(), ids=GOOD)
def test_good_settings(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("value", [1, True, 2.0, "2", None, math.nan])
def test_no_whole_number(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^n must be a whole number of at least 2\n") as caught:
        check_whole("n", value, 2)
    assert caught.value.got == repr(value)
    if value is not None:
        with pytest.raises(SettingError, match="n must be a whole number of at least 2, or None"):
            check_whole("n", value, 2, missing=True)


@pytest.mark.parametrize("value", [0, -0.5, True, math.inf, math.nan, "1", None])
def test_nothing_positive(value: Any) -> None:
    with pytest.raises(SettingError, match="x must be positive") as caught:
        check_positive("x", value)
    assert caught.value.got == repr(value)


def test_other_words_and_other_truths() -> None:
    for value in ("Train", None, 0):
        with pytest.raises(SettingError, match="mode is one of train, val"):
            check_choice("mode", value, ("train", "val"))
    for value in (0, 1, None, "True"):
        with pytest.raises(SettingError, match="halves must be True or False"):
            check_switch("halves", value)
