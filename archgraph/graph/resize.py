"""Resizing units: from how often each unit of one node shall appear to an edit of everything coupled to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archgraph.errors import GraphError, MoveRefused
from archgraph.graph.edit import Edit
from archgraph.graph.graph import Graph
from archgraph.graph.labels import Labels, UnitLabels, label, region, rule_of
from archgraph.graph.size_rule import Invariant, Stack
from archgraph.graph.unit_map import UnitMap

Copies = Mapping[int, Sequence[float]]
"""For some units of a node, the outgoing coefficients of their copies; an empty sequence removes the unit."""


def resize(graph: Graph, name: str, copies: Copies) -> Edit:
    """Plan the edit that replaces units of a node, and all units coupled to them, by copies.

    Copies stand beside the unit they come from, so that every axis on which a unit appears (after a concat, a flatten,
    in a residual sum) is expanded in the same way.

    Args:
        graph: the graph.
        name: a node.
        copies: for each unit to change, the outgoing coefficients of its copies; they sum to one if the function is to
            be kept.

    Returns:
        The edit, with a ``UnitMap`` for every node whose units changed.

    Raises:
        UnknownName: when there is no such node.
        MoveRefused: when a unit does not exist, is pinned (with the node in the way and the reason), or would be the
            last one to go.
    """
    units = graph.shape(name).units
    for unit in copies:
        if not 0 <= unit < units:
            raise MoveRefused(
                f"node {name!r} has no unit {unit}", expected=f"0 to {units - 1}", place=str(graph.node(name))
            )
    labels = label(graph, region(graph, name))
    plan = _by_label(graph, name, copies, labels)
    maps = {node: _map(owned, labels.offsets[node], plan) for node, owned in labels.of.items()}
    maps = {node: found for node, found in maps.items() if found is not None and not found.is_identity}
    for node, found in maps.items():
        _line_up(graph, node, maps)
        if not len(found):
            raise MoveRefused(f"no unit of node {node!r} would be left", place=str(graph.node(node)))
    return Edit(graph, _rebuilt(graph, maps), maps)


def refusal(
    graph: Graph, name: str, units: Sequence[int] | None = None, labels: UnitLabels | None = None
) -> str | None:
    """Return why units of a node may not be resized, or None when they may.

    Args:
        graph: the graph.
        name: a node.
        units: which of its units; all by default.
        labels: labels of the part of the graph around it, when already known.
    """
    labels = labels or label(graph, region(graph, name))
    owned = labels.of[name] if units is None else labels.of[name][list(units)]
    for value in owned.tolist():
        if value in labels.pins:
            culprit, reason = labels.pins[value]
            return f"node {culprit!r} {reason}"
    return None


def _by_label(graph: Graph, name: str, copies: Copies, labels: UnitLabels) -> dict[int, tuple[float, ...]]:
    plan: dict[int, tuple[float, ...]] = {}
    for unit, coefficients in copies.items():
        value = int(labels.of[name][unit])
        if value in labels.pins:
            culprit, reason = labels.pins[value]
            raise MoveRefused(
                f"unit {unit} of node {name!r} cannot be resized: node {culprit!r} {reason}",
                place=f"{graph.node(name)}\n{graph.node(culprit)}" if culprit != name else str(graph.node(name)),
            )
        wanted = tuple(float(coefficient) for coefficient in coefficients)
        if plan.setdefault(value, wanted) != wanted:
            raise MoveRefused(
                f"unit {unit} of node {name!r} is coupled to another unit that is resized differently",
                place=str(graph.node(name)),
            )
    return plan


def _map(labels: Labels, offsets: Labels, plan: Mapping[int, tuple[float, ...]]) -> UnitMap | None:
    """Expand every block of an axis by the copies of its label; None when nothing changes."""
    known = np.fromiter(sorted(plan), dtype=np.int64, count=len(plan))
    place = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    changed = known[place] == labels
    if not changed.any():
        return None
    rows = [plan[int(value)] for value in known]
    flat = np.concatenate([np.asarray(values, dtype=np.float64) for values in rows])
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    inside = np.r_[False, (labels[1:] == labels[:-1]) & (offsets[1:] == offsets[:-1] + 1)]
    begin = np.flatnonzero(~inside)  # a block is a run of entries of one label with growing offsets
    size = np.diff(np.r_[begin, len(labels)])
    copies = np.where(changed[begin], lengths[place[begin]], 1)
    total = size * copies
    within = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)  # entry number in its expanded block
    copy, entry = np.divmod(within, np.repeat(size, total))
    start = (np.cumsum(lengths) - lengths)[place[begin]]
    coefficient = np.ones(len(within))
    touched = np.repeat(changed[begin], total)
    coefficient[touched] = flat[np.repeat(start, total)[touched] + copy[touched]]
    return UnitMap(np.repeat(begin, total) + entry, coefficient, old_units=len(labels))


def _line_up(graph: Graph, name: str, maps: Mapping[str, UnitMap]) -> None:
    """Refuse unless a node's map follows from those of its inputs, as it must where units are merely handed on."""
    rule = rule_of(graph, name)
    parts = [maps.get(source) or UnitMap.identity(graph.shape(source).units) for source in graph.node(name).inputs]
    if isinstance(rule, Invariant):
        fits = all(part == maps[name] for part in parts)
    elif isinstance(rule, Stack):
        fits = maps[name] == UnitMap.concat([part.blocks(rule.repeat, rule.tile) for part in parts])
    else:
        return
    if not fits:
        raise MoveRefused(
            f"node {name!r} couples units in blocks that do not line up, so they cannot be resized",
            place=str(graph.node(name)),
        )


def _rebuilt(graph: Graph, maps: Mapping[str, UnitMap]) -> Graph:
    editor = graph.edit()
    for name, found in maps.items():
        shapes = [
            shape.resized(len(maps[source])) if source in maps else shape
            for source, shape in zip(graph.node(name).inputs, graph.input_shapes(name), strict=True)
        ]
        editor.replace(name, graph.op(name).resized(len(found), *shapes))
    try:
        return editor.finish()
    except GraphError as error:
        raise MoveRefused(f"the resized graph would not be valid: {error.what}", place=error.place) from error
