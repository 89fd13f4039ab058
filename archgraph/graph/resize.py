"""Resizing units: from how often each unit of one node shall appear to an edit of everything coupled to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from archgraph.errors import GraphError, MoveRefused
from archgraph.graph.axis import node_of
from archgraph.graph.edit import Edit
from archgraph.graph.graph import Graph
from archgraph.graph.label_table import Labels
from archgraph.graph.labels import around, inner_address, runs
from archgraph.graph.op import Op
from archgraph.graph.size_rule import Select
from archgraph.graph.unit_labels import UnitLabels
from archgraph.graph.unit_map import FRESH, UnitMap

Copies = Mapping[int, Sequence[float | None]]
"""For some units of a node, the outgoing coefficients of their copies; an empty sequence removes the unit, and None in
the place of a coefficient puts a fresh unit there, whose outgoing weights are zero."""

Plan = dict[int, tuple[float | None, ...]]


def resize(graph: Graph, name: str, copies: Copies) -> Edit:
    """Plan the edit that replaces units of a node, and all units coupled to them, by copies.

    Copies stand beside the unit they come from, so that every axis on which a unit appears (after a concat, a flatten,
    in a residual sum) is expanded in the same way.

    Args:
        graph: the graph.
        name: a node, or an inner axis (``"node.axis"``).
        copies: for each unit to change, the outgoing coefficients of its copies; they sum to one if the function is to
            be kept.

    Returns:
        The edit, with a ``UnitMap`` for every node whose units changed.

    Raises:
        UnknownName: when there is no such node.
        MoveRefused: when a unit does not exist, is pinned (with the node in the way and the reason), would be the last
            one to go, or when a depthwise convolution would be left with a single channel.
    """
    units, here = graph.units(name), str(graph.node(node_of(name)))
    name = inner_address(graph, name) if "." in name else name
    for unit in copies:
        if not 0 <= unit < units:
            raise MoveRefused(f"node {name!r} has no unit {unit}", expected=f"0 to {units - 1}", place=here)
    labels = around(graph, name)
    plan = _by_label(graph, name, copies, labels)
    maps: dict[str, UnitMap] = {}
    for node, found in _maps(labels, plan):
        if not found.is_identity:
            maps[node] = found
        if not len(found):
            raise MoveRefused(f"no unit of node {node!r} would be left", place=str(graph.node(node_of(node))))
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
    labels = labels or around(graph, name)
    name = inner_address(graph, name) if "." in name else name
    owned = labels.of[name] if units is None else labels.of[name][list(units)]
    for value in owned.tolist():
        if value in labels.pins:
            culprit, reason = labels.pins[value]
            return f"node {culprit!r} {reason}"
    return None


def _by_label(graph: Graph, name: str, copies: Copies, labels: UnitLabels) -> Plan:
    plan: Plan = {}
    for unit, coefficients in copies.items():
        value = int(labels.of[name][unit])
        if value in labels.pins:
            culprit, reason = labels.pins[value]
            raise MoveRefused(
                f"unit {unit} of node {name!r} cannot be resized: node {culprit!r} {reason}",
                place="\n".join(str(graph.node(one)) for one in dict.fromkeys((node_of(name), culprit))),
            )
        wanted = tuple(None if coefficient is None else float(coefficient) for coefficient in coefficients)
        if plan.setdefault(value, wanted) != wanted:
            raise MoveRefused(
                f"unit {unit} of node {name!r} is coupled to another unit that is resized differently",
                place=str(graph.node(node_of(name))),
            )
    return plan


def _maps(labels: UnitLabels, plan: Plan) -> Iterator[tuple[str, UnitMap]]:
    """Yield a map for every node with changed units; nodes that hand the same units on share one."""
    known = np.fromiter(sorted(plan), dtype=np.int64, count=len(plan))
    rows = [np.asarray(plan[int(value)], dtype=np.float64) for value in known]
    made: dict[int, UnitMap | None] = {}
    for node, owned in labels.of.items():
        if id(owned) not in made:  # nodes that hand the same units on have one array
            made[id(owned)] = _map(owned, labels.offsets[node], known, rows)
        found = made[id(owned)]
        if found is not None:
            yield node, found


def _map(
    labels: Labels,  # [units]  of one axis
    offsets: Labels,  # [units]  in the block of the label
    known: Labels,  # [changed labels], sorted
    rows: Sequence[NDArray[np.float64]],  # [changed labels][copies]  outgoing coefficients, NaN for fresh units
) -> UnitMap | None:
    """Expand every block of an axis by the copies of its label; None when nothing changes."""
    if not len(known):
        return None
    place = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    changed = known[place] == labels
    if not changed.any():
        return None
    flat = np.concatenate(rows)
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    begin = np.flatnonzero(runs(labels, offsets))
    size = np.diff(np.r_[begin, len(labels)])
    copies = np.where(changed[begin], lengths[place[begin]], 1)
    total = size * copies
    within = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)  # entry number in its expanded block
    copy, entry = np.divmod(within, np.repeat(size, total))
    start = (np.cumsum(lengths) - lengths)[place[begin]]
    coefficient = np.ones(len(within))
    touched = np.repeat(changed[begin], total)
    coefficient[touched] = flat[np.repeat(start, total)[touched] + copy[touched]]
    fresh = np.isnan(coefficient)
    index = np.where(fresh, FRESH, np.repeat(begin, total) + entry)
    return UnitMap(index, np.where(fresh, 0.0, coefficient), old_units=len(labels))


def _rebuilt(graph: Graph, maps: Mapping[str, UnitMap]) -> Graph:
    editor = graph.edit()
    changed: list[str] = []
    inner = [name for name in maps if "." in name]
    ops: dict[str, Op] = {}
    for address in inner:
        for name in graph.tied(node_of(address)):
            axis = address.partition(".")[2]
            ops[name] = graph.op(name).inner_resized(axis, len(maps[address]), *graph.input_shapes(name))
            editor.replace(name, ops[name])
    nodes = [name for name in maps if "." not in name]
    slices = (user for name in nodes for user in graph.users(name) if isinstance(graph.rule(user), Select))
    for name in dict.fromkeys((*nodes, *slices)):  # a slice moves when units in front of it come or go
        units = len(maps[name]) if name in maps else graph.shape(name).units
        shapes = [
            shape.resized(len(maps[source])) if source in maps else shape
            for source, shape in zip(graph.node(name).inputs, graph.input_shapes(name), strict=True)
        ]
        op = ops.get(name, graph.op(name))
        sources = tuple(maps.get(source) for source in graph.node(name).inputs)
        if (resized := op.follow(sources, units, *shapes)) is not op:  # shapes reach the others by themselves
            editor.replace(name, resized)
            changed.append(name)
    try:
        after = editor.finish()
    except GraphError as error:
        raise MoveRefused(f"the resized graph would not be valid: {error.what}", place=error.place) from error
    for name in changed:  # a depthwise convolution of one channel is a plain one: its tensors have other axes
        if type(after.rule(name)) is not type(graph.rule(name)):
            raise MoveRefused(
                f"node {name!r} would hand its units on no longer, with {after.shape(name).units} of them left",
                place=f"{graph.node(name)}\n{after.node(name)}",
            )
    return after
