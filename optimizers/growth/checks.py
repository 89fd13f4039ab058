"""What the settings of drivers that grow may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from archgraph.checks import check_choice, check_positive, check_switch, check_whole, is_number
from archgraph.errors import SettingError
from optimizers.growth.cost import Cost
from optimizers.growth.rates import RATES

MODES = ("eval", "train")
"""Of a network while it is scored."""
SOLVERS = ("auto", "exact", "lp", "greedy")
"""Of a choice under a cost."""


def kinds_of(given: object, known: Sequence[str]) -> tuple[str, ...]:
    """Return kinds of growth from a tuple of them or a text with ``+`` between them.

    Args:
        given: what was given.
        known: those that there are.

    Raises:
        SettingError: when one is not known, or there is none.

    >>> kinds_of("new+split", ("split", "new", "layer"))
    ('split', 'new')
    """
    found = tuple(given.split("+")) if isinstance(given, str) else given
    if not isinstance(found, tuple | list) or not found or any(one not in known for one in found):
        expected = f"some of {', '.join(known)}, with + between them"
        raise SettingError("kinds says what a stage grows", expected=expected, got=repr(given))
    return tuple(kind for kind in known if kind in found)


def check(
    driver: Any,
    *,
    positive: Sequence[str] = (),
    whole: Mapping[str, int] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
    switches: Sequence[str] = (),
) -> None:
    """Raise unless settings that drivers which grow in stages share, and others of the same kinds, can be used.

    Args:
        driver: a :class:`~optimizers.growth.stages.Stages`.
        positive: names of its other settings that are positive numbers, or None.
        whole: the least values of those that are whole numbers, or None.
        choices: the words of those that are one of them.
        switches: names of those that are True or False.

    Raises:
        SettingError: with the first that cannot.
        UnknownName: when there is no such cost.
    """
    for name in ("added", "ceiling", *positive):
        check_positive(name, getattr(driver, name), missing=True)
    for name, least in ({"stages": 0} | dict(whole or {})).items():
        check_whole(name, getattr(driver, name), least, missing=True)
    for name, words in ({"state": ("carry", "fresh"), "rate": RATES} | dict(choices or {})).items():
        check_choice(name, getattr(driver, name), words)
    for name in ("scratch", *switches):
        check_switch(name, getattr(driver, name))
    if driver.cost is not None:
        Cost.named(driver.cost)


def check_share(growth: object) -> None:
    """Raise unless what a stage adds is a share of the units.

    Raises:
        SettingError: when it is not.
    """
    if not (is_number(growth) and 0.0 < growth <= 1.0):
        raise SettingError("growth is a fraction of the units", expected="0 < growth <= 1", got=growth)


def check_confidence(confidence: object) -> None:
    """Raise unless noise is told from what helps by a number of standard errors.

    Raises:
        SettingError: when it is not.
    """
    if not (is_number(confidence) and 0.0 <= confidence < math.inf):
        raise SettingError("confidence is a number of standard errors", expected="0 or more", got=confidence)
