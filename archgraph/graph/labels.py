"""Coupled units: which units must be resized together, found by propagating labels through the size rules.

Every op with units of its own gives each a fresh label; element-wise ops hand labels on and tie those that meet; concat
lines them up; flatten and depthwise convolution turn a unit into a block of entries that share its label and are told
apart by their offset in the block. Two units are coupled when their labels end in the same class. All of it is vectorised
over units, and near-linear in the part of the graph that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgraph.graph.graph import Graph
from archgraph.graph.size_rule import Absorb, Fixed, Invariant, SizeRule, Stack

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UnitLabels:
    """The labels of a part of a graph.

    Args:
        of: for every node, ``[units]`` the label of each output unit; equal labels mean coupled units.
        offsets: for every node, ``[units]`` the place of each output unit in the block that its label makes there.
        pins: for labels that may not be resized, the node in the way and the reason.
    """

    of: Mapping[str, Labels]
    offsets: Mapping[str, Labels]
    pins: Mapping[int, tuple[str, str]]

    def coupled(self, name: str, unit: int) -> dict[str, tuple[int, ...]]:
        """Return all units coupled to one unit, by node."""
        label = self.of[name][unit]
        places = {node: np.flatnonzero(labels == label) for node, labels in self.of.items()}
        return {node: tuple(found.tolist()) for node, found in places.items() if len(found)}


def rule_of(graph: Graph, name: str) -> SizeRule:
    """Return the size rule of a node."""
    return graph.op(name).rule(*graph.input_shapes(name))


def region(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the nodes whose output units may be coupled to those of ``name``, in topological order.

    The walk follows ops that hand units on and weights that are shared, and stops where units are absorbed; it costs in
    proportion to what it finds.
    """
    found: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        node = graph.node(here)
        if isinstance(rule_of(graph, here), Invariant | Stack):
            waiting += node.inputs
        waiting += graph.tied(here)
        for user in graph.users(here):
            rule = rule_of(graph, user)
            if isinstance(rule, Invariant | Stack):
                waiting.append(user)
            elif isinstance(rule, Absorb):
                waiting += [graph.node(other).inputs[0] for other in graph.tied(user)]
    return _ordered(graph, found)


def _ordered(graph: Graph, names: set[str]) -> tuple[str, ...]:
    if len(names) * 8 > len(graph):
        return tuple(name for name in graph.nodes if name in names)
    order: list[str] = []
    done: set[str] = set()
    for start in sorted(names):  # depth first along inputs that belong to the part
        stack = [(start, False)]
        while stack:
            name, left = stack.pop()
            if left:
                order.append(name)
            elif name not in done:
                done.add(name)
                stack.append((name, True))
                stack += [(source, False) for source in graph.node(name).inputs if source in names]
    return tuple(order)


def label(graph: Graph, names: Iterable[str] | None = None) -> UnitLabels:
    """Label the units of the nodes ``names`` (all nodes by default; otherwise whole regions in topological order)."""
    chosen = tuple(graph.nodes) if names is None else tuple(names)
    inside = set(chosen)
    table = _Table()
    raw: dict[str, Labels] = {}
    ties: list[tuple[Labels, Labels]] = []
    pins: list[tuple[Labels, str, str]] = []
    for name in chosen:
        node, rule = graph.node(name), rule_of(graph, name)
        known = [raw[source] for source in node.inputs if source in raw]
        if isinstance(rule, Invariant) and known:
            raw[name] = known[0]
            ties += [(known[0], other) for other in known[1:]]
        elif isinstance(rule, Stack) and known:
            raw[name] = np.concatenate([np.tile(table.blocks(part, rule.repeat), rule.tile) for part in known])
        else:
            raw[name] = table.fresh(graph.shape(name).units)
        if isinstance(rule, Fixed):
            pins += [(labels, name, rule.reason) for labels in (raw[name], *known)]
        if name in graph.outputs:
            pins.append((raw[name], name, "is an output of the network"))
        if node.tie is not None and node.tie in raw:
            ties.append((raw[node.tie], raw[name]))
            if isinstance(rule, Absorb):
                first = graph.node(node.tie).inputs[0]
                if first in raw and node.inputs[0] in raw:
                    ties.append((raw[first], raw[node.inputs[0]]))
    for name in chosen:  # readers outside the part that forbid resizing
        for user in graph.users(name):
            if user not in inside and isinstance(rule := rule_of(graph, user), Fixed):
                pins.append((raw[name], user, rule.reason))
    classes, offsets = table.merge([pair for pair in ties if pair[0] is not pair[1]])
    reasons: dict[int, tuple[str, str]] = {}
    for labels, name, reason in pins:
        for value in np.unique(classes[labels]).tolist():
            reasons.setdefault(value, (name, reason))
    of = {name: classes[labels] for name, labels in raw.items()}
    return UnitLabels(of, {name: offsets[labels] for name, labels in raw.items()}, reasons)


class _Table:
    """Entry labels: for each the label of the unit it belongs to, and its offset in that unit's block."""

    def __init__(self) -> None:
        self.count = 0
        self.units: list[Labels] = []
        self.offsets: list[Labels] = []

    def fresh(self, units: int) -> Labels:
        labels = np.arange(self.count, self.count + units)
        self._add(labels, np.zeros(units, dtype=np.int64))
        return labels

    def blocks(self, labels: Labels, repeat: int) -> Labels:
        if repeat == 1:
            return labels
        units, offsets = self._columns()
        start = self.count
        place = np.repeat(offsets[labels], repeat) * repeat + np.tile(np.arange(repeat), len(labels))
        self._add(np.repeat(units[labels], repeat), place)
        return np.arange(start, self.count)

    def merge(self, ties: list[tuple[Labels, Labels]]) -> tuple[Labels, Labels]:
        """Return, for every entry label, the class of its unit and its offset, once tied entries are one."""
        units, offsets = self._columns()
        if not ties:
            return units, offsets
        left, right = (np.concatenate(side) for side in zip(*ties, strict=True))
        entry = _components(left, right, self.count)
        first = np.zeros(entry.max() + 1, dtype=np.int64)
        first[entry[::-1]] = np.arange(self.count)[::-1]  # the first member of every class of entries
        merged = _components(units, units[first[entry]], self.count)
        shared = np.zeros(entry.max() + 1, dtype=np.int64)
        np.maximum.at(shared, entry, offsets)
        return merged[units], shared[entry]

    def _add(self, units: Labels, offsets: Labels) -> None:
        self.units.append(units)
        self.offsets.append(offsets)
        self.count += len(units)

    def _columns(self) -> tuple[Labels, Labels]:
        if len(self.units) > 1:
            self.units, self.offsets = [np.concatenate(self.units)], [np.concatenate(self.offsets)]
        return (self.units[0], self.offsets[0]) if self.units else (np.arange(0), np.arange(0))


def _components(left: Labels, right: Labels, count: int) -> Labels:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)
