"""Conditions: when a parameter matters, told by the value of an earlier one, read off what runs asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archgraph.spaces.discovery import LISTED, Discovery
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.interval import Int
from archgraph.spaces.options import Ordered


@dataclass(frozen=True)
class Condition:
    """A parameter matters exactly when another does and has one of these values.

    Args:
        parent: the other.
        domain: of the other.
        values: at which it matters, in the domain's order.
    """

    parent: str
    domain: Domain
    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Whether the parameter matters at this value of the other."""
        return any(one is value or (type(one) is type(value) and one == value) for one in self.values)

    def __str__(self) -> str:
        listed = tuple(self.domain.values())
        if isinstance(self.domain, Int | Ordered) and self.values == listed[-len(self.values) :]:
            return f"{self.parent} >= {self.values[0]!r}"
        if isinstance(self.domain, Int | Ordered) and self.values == listed[: len(self.values)]:
            return f"{self.parent} <= {self.values[-1]!r}"
        if len(self.values) == 1:
            return f"{self.parent} = {self.values[0]!r}"
        return f"{self.parent} in {self.values!r}"


def conditions(found: Discovery) -> Mapping[str, Condition | None]:
    """Return, for every parameter that does not always matter, when it does; None where no one parameter tells."""
    return {name: _condition(found, name) for name in found.sometimes()}


def _condition(found: Discovery, name: str) -> Condition | None:
    """Return the nearest earlier parameter whose value tells, in every run that got to its end."""
    whole = [trace.values for trace in found.traces if trace.whole]
    having = [values for values in whole if name in values]
    lacking = [values for values in whole if name not in values]
    if not having:
        return None
    asked = list(having[0])
    for parent in reversed(asked[: asked.index(name)]):
        domain = found.domains[parent]
        if domain.size > LISTED or not all(parent in values for values in having):
            continue
        on = {repr(values[parent]) for values in having}
        off = {repr(values[parent]) for values in lacking if parent in values}
        if off and not on & off and len(on | off) == domain.size:
            return Condition(parent, domain, tuple(value for value in domain.values() if repr(value) in on))
    return None
