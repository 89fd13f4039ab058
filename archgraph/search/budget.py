"""What a search may spend, as separate limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Ledger

WHOLE = ("evaluations", "max_params")
"""Limits that count things."""

ROUNDING = 1e-9
"""A share of ten trainings that is all but four is four."""


@dataclass(frozen=True)
class Budget:
    """Limits of a search, all of them global; None means no limit. The first one reached stops the search.

    Whatever is asked is begun while no limit is reached, so a search exceeds a limit by less than one evaluation. With
    several workers, those under way count as if they cost the most they can, so the search stops at the same one.

    Args:
        evaluations: trainings.
        epochs: passes over the training split, over all trainings.
        train_macs: multiply-accumulates over all that is done: training, scoring and measuring, so that every driver
            pays for everything.
        seconds: time of evaluation by the clock, added up over all workers. How long a training will take is foretold
            from those before, so it is the limit that several workers may exceed by more than one.
        max_params: trainable numbers of a candidate; larger ones are refused.
        max_macs: multiply-accumulates of a candidate's forward pass on one sample; larger ones are refused.

    Raises:
        SettingError: when a limit is not positive, or no whole number where things are counted.
    """

    evaluations: int | None = None
    epochs: float | None = None
    train_macs: float | None = None
    seconds: float | None = None
    max_params: int | None = None
    max_macs: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):  # NaN is refused too
                raise SettingError(f"budget: {field.name} must be a positive number", got=repr(value))
            if value is not None and field.name in WHOLE and value != value // 1:
                raise SettingError(f"budget: {field.name} must be a whole number", got=repr(value))

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Build a budget from text, as the command line gives it.

        Raises:
            UnknownName: when there is no such limit.
            SettingError: when a value is no positive number.

        >>> Budget.parse({"evaluations": "8", "train_macs": "2e11"})
        Budget(evaluations=8, epochs=None, train_macs=200000000000.0, seconds=None, max_params=None, max_macs=None)
        """
        known = {field.name: field for field in fields(cls)}
        limits: dict[str, Any] = {}
        for name, text in texts.items():
            if name not in known:
                raise UnknownName.among("budget", name, known)
            try:
                value = float(text)
            except ValueError:
                raise SettingError(f"budget: {name} must be a positive number", got=text) from None
            limits[name] = int(value) if name in WHOLE and value.is_integer() else value
        return cls(**limits)

    def spent(self, evaluations: int, ledger: Ledger) -> str:
        """Return which limit has been reached, as a sentence for people, or an empty text."""
        for name, used in (
            ("evaluations", evaluations),
            ("epochs", ledger.epochs),
            ("train_macs", ledger.macs),
            ("seconds", ledger.wall_seconds),
        ):
            limit = getattr(self, name)
            if limit is not None and used >= limit:
                return f"the budget is spent: {used:.6g} of {limit:.6g} {name}"
        return ""

    def part(self, share: float) -> Budget:
        """Return the budget with a share of all that adds up; limits on a single candidate stay as they are.

        Args:
            share: above 0 and at most 1; of trainings at least one is left.

        >>> Budget(evaluations=7, epochs=30.0, max_params=1000).part(0.5)
        Budget(evaluations=3, epochs=15.0, train_macs=None, seconds=None, max_params=1000, max_macs=None)
        """
        whole = None if self.evaluations is None else max(1, int(self.evaluations * share + ROUNDING))
        limits = {name: getattr(self, name) for name in ("epochs", "train_macs", "seconds")}
        scaled = {name: None if limit is None else limit * share for name, limit in limits.items()}
        return replace(self, evaluations=whole, **scaled)

    def refuses(self, params: float, macs: float) -> str:
        """Return why a candidate of this size is refused, or an empty text."""
        for name, size in (("max_params", params), ("max_macs", macs)):
            limit = getattr(self, name)
            if limit is not None and size > limit:
                return f"{name} is {limit:.6g} but the candidate has {size:.6g}"
        return ""
