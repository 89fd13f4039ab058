"""A constraint: a bound on a metric that a network must keep."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Self

from archgraph.errors import SettingError
from archgraph.search.objective import Metrics, direction, value_of


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric.

    Args:
        name: of the metric.
        relation: ``"<="`` or ``">="``.
        bound: a number.

    Raises:
        UnknownName: when there is no such metric.
        SettingError: when the relation is neither, or the bound is no number.
    """

    name: str
    relation: str
    bound: float

    def __post_init__(self) -> None:
        direction(self.name)
        if self.relation not in ("<=", ">="):
            raise SettingError("a constraint bounds a metric", expected="<= or >=", got=repr(self.relation))
        number = isinstance(self.bound, int | float) and not isinstance(self.bound, bool)
        if not number or math.isnan(self.bound):
            raise SettingError(f"the bound on {self.name} must be a number", got=repr(self.bound))
        object.__setattr__(self, "bound", float(self.bound))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a constraint: ``Constraint.parse(str(constraint)) == constraint``.

        Raises:
            UnknownName: when there is no such metric.
            SettingError: when it is no constraint.

        >>> str(Constraint.parse("params <= 1e5"))
        'params<=100000.0'
        """
        found = re.fullmatch(r"\s*([^<>=\s]+)\s*(<=|>=)\s*(\S+)\s*", text)
        try:
            if found is None:
                raise ValueError
            return cls(found[1], found[2], float(found[3]))
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(
                "a constraint bounds a metric", expected="such as params<=100000 or accuracy>=0.9", got=repr(text)
            ) from None

    @classmethod
    def of(cls, **bounds: float) -> tuple[Self, ...]:
        """Read constraints from keywords; underscores stand for dashes.

        Raises:
            UnknownName: when there is no such metric.
            SettingError: when a keyword begins neither with ``max_`` nor ``min_``.

        >>> [str(one) for one in Constraint.of(max_params=1e5, min_accuracy=0.9)]
        ['params<=100000.0', 'accuracy>=0.9']
        """
        relations = {"max": "<=", "min": ">="}
        for keyword in bounds:
            if keyword.partition("_")[0] not in relations or not keyword.partition("_")[2]:
                raise SettingError(f"no constraint {keyword!r}", expected="such as max_params or min_accuracy")
        parts = {keyword: keyword.partition("_") for keyword in bounds}
        return tuple(
            cls(parts[keyword][2].replace("_", "-"), relations[parts[keyword][0]], bound)
            for keyword, bound in bounds.items()
        )

    def violation(self, metrics: Metrics) -> float:
        """Return by how much a report breaks it: 0 where it holds, infinity where the metric is missing."""
        return max(0.0, self.slack(metrics))

    def slack(self, metrics: Metrics) -> float:
        """Return by how much a report breaks it, or, below zero, by how much it keeps it; infinity where it has none.

        >>> Constraint("params", "<=", 10.0).slack({"params": 7.0})
        -3.0
        """
        value = value_of(metrics, self.name)
        if math.isnan(value):
            return math.inf
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.name}{self.relation}{self.bound!r}"
