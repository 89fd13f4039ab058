"""What the settings of a parameter group may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from archgraph.errors import SettingError

MODES = ("auto", "conv", "lin", "reduce")
FISHERS = ("sample", "exact", "empirical")

Rule = tuple[Callable[[Any], bool], str]

_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("lr", "damping", "kl_clip", "weight_decay", "unlabelled", "tolerance"),
        (lambda value: 0.0 <= value < inf, "0 or more"),
    ),
    **dict.fromkeys(("momentum", "ema"), (lambda value: 0.0 <= value < 1.0, "from 0 to below 1")),
    **dict.fromkeys(
        ("interval", "inverse_interval", "input_interval", "samples", "iterations"),
        (lambda value: value >= 1 and value == int(value), "a whole number, 1 or more"),
    ),
    "warm": (lambda value: 0.0 <= value <= 1.0, "from 0 to 1"),
    "rank": (lambda value: value >= 0 and value == int(value), "a whole number, 0 or more"),
    "seed": (lambda value: value == int(value), "a whole number"),
    **dict.fromkeys(("every_row", "adaptive"), (lambda value: isinstance(value, bool), "True or False")),
    "mode": (lambda value: value in MODES, ", ".join(MODES)),
    "fisher": (lambda value: value in FISHERS, ", ".join(FISHERS)),
}


def check(group: Mapping[str, Any]) -> None:
    """Raise unless the settings of a group can be used.

    Raises:
        SettingError: for the first that cannot.
    """
    for name, (fits, wanted) in _RULES.items():
        if name in group and not _fits(fits, group[name]):
            raise SettingError(f"natural gradient: {name} cannot be used", expected=wanted, got=repr(group[name]))


def _fits(rule: Callable[[Any], bool], value: Any) -> bool:
    try:
        return bool(rule(value))
    except (TypeError, ValueError, OverflowError):  # no number, or none that is whole
        return False
