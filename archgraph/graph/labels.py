"""Coupled units: which units must be resized together, found by propagating labels through the size rules.

Every op with units of its own gives each a fresh label; element-wise ops hand labels on and tie those that meet; concat
lines them up; flatten and depthwise convolution turn a unit into a block of entries that share its label and are told
apart by their offset in the block; a pixel shuffle makes a unit of such a block. Two units are coupled when their
labels end in the same class. Where the blocks of a class do not line up, its units are pinned. All of it is vectorised
over units, and near-linear in the part of the graph that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from archgraph.graph.axis import Along, node_of, parts_of
from archgraph.graph.graph import Graph
from archgraph.graph.label_table import Axis, Labels, Table
from archgraph.graph.op import Op
from archgraph.graph.size_rule import HANDS_ON, Absorb, Fixed, Invariant, Merge, Select, SizeRule, Stack
from archgraph.graph.unit_labels import UnitLabels


def rule_of(graph: Graph, name: str) -> SizeRule:
    """Return the size rule of a node."""
    return graph.rule(name)


def region(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the nodes whose output units may be coupled to those of ``name``, in topological order.

    Units of an inner axis are coupled to no others, but for tiles of the output axis. The walk follows ops that hand
    units on and weights that are shared, and stops where units are absorbed; it costs in proportion to what it finds.
    """
    if "." in name:
        address = inner_address(graph, name)
        return (*region(graph, node_of(address)), address) if _is_tiles(graph, address) else (address,)
    found: set[str] = set()
    makers: set[str] = set()  # owners of shared weights whose output units were followed
    readers: set[tuple[str, int]] = set()  # and whose units of an input were
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        node = graph.node(here)
        if isinstance(graph.rule(here), HANDS_ON):
            waiting += node.inputs
        if node.owner not in makers:
            makers.add(node.owner)
            waiting += graph.tied(here)
        for user in graph.users(here):
            rule = graph.rule(user)
            if isinstance(rule, HANDS_ON):
                waiting.append(user)
            elif isinstance(rule, Absorb):
                tied, reader = graph.tied(user), graph.node(user)
                for position, source in enumerate(reader.inputs if len(tied) > 1 else ()):
                    if source == here and (reader.owner, position) not in readers and _reads(graph, user, position):
                        readers.add((reader.owner, position))
                        waiting += [graph.node(other).inputs[position] for other in tied]
    return _ordered(graph, found)


def _is_tiles(graph: Graph, address: str) -> bool:
    """Whether an address is that of an inner axis whose units are the tiles of its node's output axis."""
    name, _, axis = address.partition(".")
    rule = graph.rule(name) if axis else None
    return isinstance(rule, Absorb) and rule.tiles == axis


def inner_address(graph: Graph, address: str) -> str:
    """Return the address of an inner axis at the node that owns the weights.

    Raises:
        UnknownName: when there is no such node or inner axis.
    """
    name, _, axis = address.partition(".")
    graph.units(address)
    return f"{graph.node(name).owner}.{axis}"


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
    """Label units.

    Args:
        graph: the graph.
        names: of whole regions in topological order; all nodes and inner axes by default, which a graph does once.
    """
    return graph.labels if names is None else propagate(graph, names)


def around(graph: Graph, name: str) -> UnitLabels:
    """Return the labels of the region of a node or of an inner axis; a graph labels each of its regions once."""
    known = graph._regions.get(name)
    if known is None:
        names = region(graph, name)
        if _is_tiles(graph, names[-1]):  # the nodes are labelled by tiles here, and not by the units within
            known = propagate(graph, names, names[-1])
            graph._regions |= dict.fromkeys((name, names[-1]), known)
        else:
            known = propagate(graph, names)
            graph._regions |= dict.fromkeys((name, *names), known)
    return known


def propagate(graph: Graph, names: Iterable[str] | None = None, tiles: str = "") -> UnitLabels:
    """Label units anew: :func:`label` without what the graph knows already.

    Args:
        graph: the graph.
        names: as in :func:`label`.
        tiles: address of an inner axis of tiles by which the output units of its node are labelled.
    """
    addresses = (*graph.nodes, *_inner(graph)) if names is None else tuple(names)
    chosen = [name for name in addresses if "." not in name]
    table = Table()
    axes: dict[str, Axis] = {}
    nodes, shapes = graph._nodes, graph._shapes
    for name in chosen:
        rule = graph.rule(name)
        known = [axes[source] for source in nodes[name].inputs if source in axes] if isinstance(rule, HANDS_ON) else []
        if tiles and nodes[name].owner == node_of(tiles):
            whole = table.fresh(graph.units(tiles))
            axes[name] = table.stack([whole], Stack(repeat=shapes[name].units // whole.size))
            axes.setdefault(tiles, whole)
        else:
            axes[name] = _handed_on(table, rule, known) if known else _own(table, rule, shapes[name].units)
    if graph._ties:
        _tie_shared(graph, axes, table)
    inner = [address for address in addresses if "." in address and address not in axes]
    axes |= {address: table.fresh(graph.units(address)) for address in inner}
    table.close()
    of: dict[str, Labels] = {}
    offsets: dict[str, Labels] = {}
    for name, axis in axes.items():
        of[name], offsets[name] = table.read(axis)
    obstacles = list(_obstacles(graph, chosen, of, offsets))
    if tiles:
        obstacles += _others_tiled(graph, chosen, of, node_of(tiles))
    return UnitLabels(of, offsets, obstacles)


def _others_tiled(
    graph: Graph, names: Sequence[str], of: Mapping[str, Labels], owner: str
) -> Iterator[tuple[Labels, str, str]]:
    """Yield labels of other nodes with tiles: the same axis cannot be a row of both tiles."""
    for name in names:
        rule = graph.rule(name)
        if isinstance(rule, Absorb) and rule.tile > 1 and graph.node(name).owner != owner:
            yield of[name], name, "lays out its units in tiles of its own"


def _own(table: Table, rule: SizeRule, units: int) -> Axis:
    """Return the axis of an op with units of its own."""
    if isinstance(rule, Absorb) and rule.tile > 1:
        return table.stack([table.fresh(units // rule.tile)], Stack(tile=rule.tile))
    return table.fresh(units)


def _handed_on(table: Table, rule: SizeRule, known: list[Axis]) -> Axis:
    """Return the axis of an op that hands units on, from those of its inputs."""
    if isinstance(rule, Select):
        return table.select(known[0], rule)
    if isinstance(rule, Stack):
        return table.stack(known, rule)
    if isinstance(rule, Merge):  # what it reads are the blocks of its units
        units = table.fresh(known[0].size // rule.size)
        table.tie(table.stack([units], Stack(repeat=rule.size)), known[0])
        return units
    if isinstance(rule, Invariant) and rule.broadcast:
        known = [axis for position, axis in enumerate(known) if position not in rule.broadcast]
    for other in known[1:]:
        table.tie(known[0], other)
    return known[0]


def _inner(graph: Graph) -> list[str]:
    owners = (node for node in graph if type(node.op).inner is not Op.inner and node.tie is None)
    return [f"{node.name}.{axis}" for node in owners for axis in graph.inner(node.name)]


def runs(labels: Labels, offsets: Labels) -> NDArray[np.bool_]:
    """Return for every entry of an axis whether it begins a block: a run of one label with growing offsets."""
    return np.r_[True, (labels[1:] != labels[:-1]) | (offsets[1:] != offsets[:-1] + 1)]


def _tie_shared(graph: Graph, axes: Mapping[str, Axis], table: Table) -> None:
    """Nodes that share weights have their output units tied, and what they absorb their input units."""
    for name in axes:
        tie = graph.node(name).tie
        if tie is not None and tie in axes:
            table.tie(axes[tie], axes[name])
        for user in graph.users(name):
            node = graph.node(user)
            if node.tie is not None and isinstance(graph.rule(user), Absorb):
                for position, other in enumerate(graph.node(node.tie).inputs):
                    if node.inputs[position] == name and _reads(graph, user, position):
                        table.tie(axes[other], axes[name])


def _reads(graph: Graph, name: str, position: int) -> bool:
    """Whether weights of a node run along the units of an input; those of an embedding do not run along its tokens."""
    return any(
        isinstance(one, Along) and one.units == "in" and one.position == position
        for spec in graph.tensors(name).values()
        for role, size in zip(spec.axes, spec.shape, strict=True)
        for part in parts_of(role, size)
        for one in part
    )


def _obstacles(
    graph: Graph, names: Sequence[str], of: Mapping[str, Labels], offsets: Mapping[str, Labels]
) -> Iterator[tuple[Labels, str, str]]:
    """Yield labels that may not be resized, the node in the way and the reason."""
    rules, users, outputs = graph._rules, graph._users, frozenset(graph.outputs)
    suspects: list[str] = []  # may couple units in ways in which they cannot be resized
    for name in names:
        rule = rules[name]
        if isinstance(rule, Fixed):
            yield of[name], name, rule.reason
        elif isinstance(rule, Select | Stack | Merge) or (isinstance(rule, Invariant) and rule.broadcast):
            suspects.append(name)
        if name in outputs:
            yield of[name], name, "is an output of the network"
        for user in users.get(name, ()):
            if isinstance(reads := rules.get(user) or graph.rule(user), Fixed):
                yield of[name], user, reads.reason
    for name in suspects:
        rule, inputs, labels = rules[name], graph.node(name).inputs, of[name]
        if isinstance(rule, Invariant):
            for position in rule.broadcast:
                if inputs[position] in of:
                    yield of[inputs[position]], name, "spreads this unit over all others"
        elif isinstance(rule, Select) and inputs[0] in of:
            begins = np.r_[runs(of[inputs[0]], offsets[inputs[0]]), True]
            cut = [place for place, edge in ((0, rule.start), (-1, rule.stop)) if not begins[edge]]
            if cut:
                yield labels[cut], name, "cuts through the block of a unit"
        elif isinstance(rule, Merge) and inputs[0] in of:
            blocks = _repeated(runs(labels, offsets[name]), Stack(repeat=rule.size))
            uneven = of[inputs[0]][blocks != runs(of[inputs[0]], offsets[inputs[0]])]
            if len(uneven):
                yield uneven, name, "couples units in blocks that do not line up"
        elif isinstance(rule, Stack) and inputs[0] in of:
            parts = [_repeated(runs(of[source], offsets[source]), rule) for source in inputs]
            uneven = labels[np.concatenate(parts) != runs(labels, offsets[name])]
            if len(uneven):
                yield uneven, name, "couples units in blocks that do not line up"


def _repeated(begins: NDArray[np.bool_], rule: Stack) -> NDArray[np.bool_]:
    """Return where blocks begin on an axis whose entries are repeated and tiled."""
    if rule.repeat == rule.tile == 1:
        return begins
    inside = np.zeros((len(begins), rule.repeat), dtype=np.bool_)
    inside[:, 0] = begins
    return np.tile(inside.reshape(-1), rule.tile)
