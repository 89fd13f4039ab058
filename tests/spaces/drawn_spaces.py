"""Random define-by-run spaces for hypothesis: a tree of parameters, some of which matter at some values of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archgraph import Graph, GraphBuilder, ops
from archgraph.spaces import Choice, Defined, Domain, Int, Ordered, Parameters, space

DOMAINS: tuple[Domain, ...] = (
    Choice(("a", "b", "c")),
    Choice((False, True)),
    Int(2, 4),
    Ordered((1, 4, 16)),
    Int(5, 5),
)


@dataclass(frozen=True)
class Branch:
    """A parameter, and for each of its values what is asked for next."""

    name: str
    domain: Domain
    below: dict[Any, list[Branch]]


@st.composite
def branches(draw: st.DrawFn, name: str = "p", depth: int = 2) -> list[Branch]:
    """Draw the parameters of one level, and below them those of the next."""
    found = []
    for number in range(draw(st.integers(0 if depth < 2 else 1, 2))):
        domain, own = draw(st.sampled_from(DOMAINS)), f"{name}{number}"
        below = {
            repr(value): draw(branches(f"{own}_{place}_", depth - 1)) if depth else []
            for place, value in enumerate(domain.values())
        }
        found.append(Branch(own, domain, below))
    return found


def spelled(level: list[Branch]) -> Defined:
    """Return the space of a tree of parameters; every value that is asked for is seen in the graph."""

    def build(p: Parameters) -> Graph:
        builder = GraphBuilder()
        x = builder(ops.Input((3,)))
        waiting = list(level)
        while waiting:
            branch = waiting.pop(0)
            domain = branch.domain
            value: Any
            if isinstance(domain, Int):
                value = p.int(branch.name, domain.low, domain.high)
            elif isinstance(domain, Ordered):
                value = p.ordered(branch.name, domain.numbers)
            else:
                value = p.choice(branch.name, domain.options)  # type: ignore[attr-defined]
            x = builder(ops.Linear(1 + list(map(repr, domain.values())).index(repr(value))), x)
            waiting = branch.below[repr(value)] + waiting
        return builder.graph(x)

    return space(build)


def points(level: list[Branch]) -> list[dict[str, Any]]:
    """Return every point, by going through the tree itself."""
    if not level:
        return [{}]
    first, *rest = level
    return [
        {first.name: value, **below, **others}
        for value in first.domain.values()
        for below in points(first.below[repr(value)])
        for others in points(rest)
    ]
