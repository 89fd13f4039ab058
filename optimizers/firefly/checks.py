"""What the settings of firefly descent may be."""

from __future__ import annotations

import math
from typing import Any

from archgraph.errors import SettingError
from archgraph.overgrown import KINDS
from optimizers.growth import Cost
from optimizers.growth.rates import RATES

_CHOICES: dict[str, tuple[str, ...]] = {
    "state": ("carry", "fresh"),
    "rate": RATES,
    "mode": ("eval", "train"),
    "judge": ("train", "val"),
}
_SWITCHES = ("halves", "scratch", "careful", "line_search", "calibrate")


def kinds_of(given: object) -> tuple[str, ...]:
    """Return kinds of growth from a tuple of them or a text with ``+`` between them.

    Raises:
        SettingError: when one is not known, or there is none.

    >>> kinds_of("layer+split")
    ('split', 'layer')
    """
    found = tuple(given.split("+")) if isinstance(given, str) else given
    if not isinstance(found, tuple | list) or not found or any(one not in KINDS for one in found):
        raise SettingError("kinds says what a stage grows", expected=f"some of {', '.join(KINDS)}", got=repr(given))
    return tuple(kind for kind in KINDS if kind in found)


def check(driver: Any) -> None:
    """Raise unless the settings of a driver can be used, but for those of the criterion.

    Raises:
        SettingError: with the first that cannot.
        UnknownName: when there is no such cost.
    """
    if not (_is_number(driver.growth) and 0.0 < driver.growth <= 1.0):
        raise SettingError("growth is a fraction of the units", expected="0 < growth <= 1", got=driver.growth)
    for name in ("added", "ceiling"):
        value = getattr(driver, name)
        if value is not None and not (_is_number(value) and 0.0 < value < math.inf):
            raise SettingError(f"{name} must be positive", got=value)
    for name, least in (("stages", 0), ("samples", 1), ("layers", 0), ("edges", 0)):
        value = getattr(driver, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise SettingError(f"{name} must be a whole number of at least {least}, or None", got=repr(value))
    if not (_is_number(driver.confidence) and 0.0 <= driver.confidence < math.inf):
        raise SettingError("confidence is a number of standard errors", expected="0 or more", got=driver.confidence)
    for name, choices in _CHOICES.items():
        if getattr(driver, name) not in choices:
            raise SettingError(f"{name} is one of {', '.join(choices)}", got=repr(getattr(driver, name)))
    for name in _SWITCHES:
        if not isinstance(getattr(driver, name), bool):
            raise SettingError(f"{name} must be True or False", got=repr(getattr(driver, name)))
    if driver.cost is not None:
        Cost.named(driver.cost)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
