"""A space as a table for people: its parameters, their domains, and when they matter."""

from __future__ import annotations

from collections.abc import Mapping

from archgraph.spaces.space import Space


def table(space: Space) -> str:
    """Return a space as text: a line of title and size, then a parameter a line.

    Args:
        space: any; of one that is made of a function it is said when a parameter matters.
    """
    conditions: Mapping[str, object] = getattr(space, "conditions", {})
    rows = [("parameter", "domain", "matters")]
    for name, domain in space.domains.items():
        when = "always" if name not in conditions else f"when {conditions[name]}"
        rows.append((name, repr(domain), "sometimes" if conditions.get(name, "") is None else when))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{first:<{widths[0]}}  {second:<{widths[1]}}  {third}" for first, second, third in rows]
    title = getattr(space, "name", type(space).__name__)
    size = getattr(space, "count", None) or f"{space.size:,} points"
    columns = len(space.columns)
    head = f"{title}: {size}, {len(space.domains)} parameters, {columns} columns encoded"
    return "\n".join(line.rstrip() for line in [head, *lines])
