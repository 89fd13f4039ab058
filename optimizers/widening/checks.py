"""What the settings of growth by a criterion may be."""

from __future__ import annotations

import math
from typing import Any

from archgraph.errors import SettingError
from archgraph.scoring.growth_settings import GrowthSettings
from optimizers.growth import Cost
from optimizers.growth.rates import RATES


def check(driver: Any) -> None:
    """Raise unless settings can be used.

    Raises:
        SettingError: with the first that cannot.
        UnknownName: when there is no such cost.
    """
    if not (_is_number(driver.growth) and 0.0 < driver.growth <= 1.0):
        raise SettingError("growth is a fraction of the units", expected="0 < growth <= 1", got=driver.growth)
    for name in ("factor", "added", "ceiling"):
        value = getattr(driver, name)
        if value is not None and not (_is_number(value) and 0.0 < value < math.inf):
            raise SettingError(f"{name} must be positive", got=repr(value))
    for name, least in (("stages", 0), ("samples", 1), ("widest", 1)):
        value = getattr(driver, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise SettingError(f"{name} must be a whole number of at least {least}, or None", got=repr(value))
    choices = {"state": ("carry", "fresh"), "rate": RATES, "solver": ("auto", "exact", "lp", "greedy")}
    for name, allowed in choices.items():
        if getattr(driver, name) not in allowed:
            raise SettingError(f"{name} is one of {', '.join(allowed)}", got=repr(getattr(driver, name)))
    for name in ("line_search", "scratch", "deeper"):
        if not isinstance(getattr(driver, name), bool):
            raise SettingError(f"{name} must be True or False", got=repr(getattr(driver, name)))
    if not isinstance(driver.criterion, str):
        raise SettingError("a criterion is known by its name", got=repr(driver.criterion))
    GrowthSettings(candidates=driver.candidates, scales=driver.scales, compensate=driver.compensate, mode=driver.mode)
    if driver.cost is not None:
        Cost.named(driver.cost)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
