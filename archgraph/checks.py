"""What settings may be: whole numbers, positive ones, one of several words, switches. Errors name the setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

from archgraph.errors import SettingError


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_whole(name: str, value: object, least: int, *, missing: bool = False) -> None:
    """Raise unless a setting is a whole number.

    Args:
        name: of the setting.
        value: what was given.
        least: the lowest that it may be.
        missing: whether it may be None.

    Raises:
        SettingError: when it is not.

    >>> check_whole("stages", 3, 0)
    """
    if value is None and missing:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        end = ", or None" if missing else ""
        raise SettingError(f"{name} must be a whole number of at least {least}{end}", got=repr(value))


def check_positive(name: str, value: object, *, missing: bool = False) -> None:
    """Raise unless a setting is a finite number above 0, or None where it may be missing.

    Raises:
        SettingError: when it is not.
    """
    if value is None and missing:
        return
    if not (is_number(value) and 0.0 < value < math.inf):
        raise SettingError(f"{name} must be positive", got=repr(value))


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise unless a setting is one of some words.

    Raises:
        SettingError: when it is not.
    """
    if value not in choices:
        raise SettingError(f"{name} is one of {', '.join(choices)}", got=repr(value))


def check_switch(name: str, value: object) -> None:
    """Raise unless a setting is True or False.

    Raises:
        SettingError: when it is not.
    """
    if not isinstance(value, bool):
        raise SettingError(f"{name} must be True or False", got=repr(value))
