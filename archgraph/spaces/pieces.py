"""Pieces: parts of networks that ask for their own parameters, and ways to put them together.

A *piece* reads one node and adds others: ``piece(p, build, x) -> name of the last``. Ops are pieces, too. What is put
together is a piece again, so that chains, repeats, branches, optional parts and cells nest as they like:

    def conv(p, build, x):
        x = build(ops.Conv2d(p.ordered("width", (8, 16, 32)), kernel_size=3, padding=1), x)
        return build(ops.ReLU(), build(ops.BatchNorm(), x))

    net = space(network(ops.Input((1, 8, 8)), repeat("stage", conv, 1, 4), ops.GlobalAvgPool(), ops.Linear(10)))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from archgraph.errors import SpaceError
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.ops import Add
from archgraph.spaces.parameters import Parameters

Piece = Callable[[Parameters, GraphBuilder, str], str]
"""Adds nodes that read a node, with parameters it asks for, and returns the name of the last."""
Part = Piece | Op


def network(first: Op, *parts: Part) -> Callable[[Parameters], Graph]:
    """Return the build function of a space: an input, and parts one after the other.

    Args:
        first: an op without inputs.
        *parts: what follows it.
    """
    whole = chain(*parts)

    def build(p: Parameters) -> Graph:
        builder = GraphBuilder()
        return builder.graph(whole(p, builder, builder(first)))

    return build


def chain(*parts: Part) -> Piece:
    """Put parts one after the other; without any, the piece hands on what it reads."""
    pieces = [_piece(part) for part in parts]

    def piece(p: Parameters, build: GraphBuilder, x: str) -> str:
        for one in pieces:
            x = one(p, build, x)
        return x

    return piece


def scoped(name: str, *parts: Part) -> Piece:
    """Put ``name.`` before the names of all parameters of some parts, one after the other."""
    inner = chain(*parts)
    return lambda p, build, x: inner(p.within(name), build, x)


def repeat(name: str, part: Part, low: int, high: int | None = None, *, shared: bool = False) -> Piece:
    """Repeat a part; how often is the parameter ``name.times``, unless it is always the same.

    Args:
        name: of the repeats; the parameters of the first begin with ``name1.``.
        part: what is repeated.
        low: the least number of times.
        high: the greatest; by default ``low``, and there is no parameter.
        shared: whether all repeats have the same parameters, which begin with ``name.``, as the cells of a network do.
    """
    inner = _piece(part)

    def piece(p: Parameters, build: GraphBuilder, x: str) -> str:
        times = low if high is None else p.within(name).int("times", low, high)
        for number in range(1, times + 1):
            x = inner(p.within(name if shared else f"{name}{number}"), build, x)
        return x

    return piece


def one_of(name: str, parts: Mapping[str, Part] | Sequence[Part]) -> Piece:
    """Take one of several parts, by the parameter ``name``.

    Args:
        name: of the parameter; those of the part that is taken begin with ``name.option.`` where it has a name of its
            own in a dict, else they are as the part asks for them.
        parts: what there is to choose from.
    """
    named = dict(parts) if isinstance(parts, Mapping) else list(parts)

    def piece(p: Parameters, build: GraphBuilder, x: str) -> str:
        if isinstance(named, list):
            return _piece(p.choice(name, named))(p, build, x)
        label = p.choice(name, tuple(named))
        return _piece(named[label])(p.within(f"{name}.{label}"), build, x)

    return piece


def optional(name: str, *parts: Part) -> Piece:
    """Take some parts, one after the other, or none of them, by the parameter ``name``."""
    inner = chain(*parts)
    return lambda p, build, x: inner(p, build, x) if p.bool(name) else x


def branches(*parts: Part, merge: Op | None = None) -> Piece:
    """Let several parts read the same node, and merge what they return.

    Args:
        *parts: the branches; the parameters of the first begin with ``branch1.``. A branch that hands on what it reads
            (:func:`chain` without parts) is a shortcut.
        merge: an op that takes any number of inputs, :class:`~archgraph.ops.Add` by default; not used for a single one.
    """
    pieces, merged = [_piece(part) for part in parts], merge or Add()
    if not pieces:
        raise SpaceError("branches need at least one part")

    def piece(p: Parameters, build: GraphBuilder, x: str) -> str:
        ends = [one(p.within(f"branch{number}"), build, x) for number, one in enumerate(pieces, start=1)]
        return ends[0] if len(ends) == 1 else build(merged, *ends)

    return piece


def edge(name: str, *parts: Part, merge: Op | None = None) -> Piece:
    """Put a shortcut around some parts, or none, by the parameter ``name``: an optional edge.

    Args:
        name: of the parameter.
        *parts: one after the other; they must keep the shape.
        merge: what merges the shortcut with what the parts return, :class:`~archgraph.ops.Add` by default.
    """
    inner = chain(*parts)
    return lambda p, build, x: _around(inner, merge or Add(), p, build, x) if p.bool(name) else inner(p, build, x)


def _around(inner: Piece, merge: Op, p: Parameters, build: GraphBuilder, x: str) -> str:
    y = inner(p, build, x)
    return y if y == x else build(merge, y, x)


def cell(
    name: str, nodes: int, parts: Mapping[str, Part], *, reads: int | None = None, merge: Op | None = None
) -> Piece:
    """Wire nodes of a cell, each of which merges earlier ones, every edge one of some parts.

    With ``reads=None`` every node reads all earlier ones (NAS-Bench-201); else each reads so many that are drawn, not
    all different (DARTS reads two). Node 0 is what the cell reads; the cell returns its last node, or, with ``reads``,
    the sum of those that no other reads.

    Args:
        name: what the parameters begin with: ``name.edge2_0`` is what leads from node 0 to node 2; with ``reads``,
            ``name.from2_1`` is what the first edge of node 2 comes from, and ``name.edge2_1`` what it does.
        nodes: how many, node 0 not counted.
        parts: what an edge can be; each must keep the shape.
        reads: edges of a node.
        merge: what merges the edges of a node, :class:`~archgraph.ops.Add` by default.
    """
    if nodes < 1 or (reads is not None and reads < 1):
        raise SpaceError("a cell needs at least one node, and a node one edge", got=(nodes, reads))

    def piece(p: Parameters, build: GraphBuilder, x: str) -> str:
        p, made, heard = p.within(name), [x], set[str]()
        for number in range(1, nodes + 1):
            sources = range(number) if reads is None else range(1, reads + 1)
            ends = []
            for one in sources:
                place = one if reads is None else _source(p, number, one)
                heard.add(made[place])
                ends.append(one_of(f"edge{number}_{one}", parts)(p, build, made[place]))
            made.append(ends[0] if len(ends) == 1 else build(merge or Add(), *ends))
        loose = [node for node in made[1:-1] if node not in heard] if reads is not None else []
        return build(Add(), *loose, made[-1]) if loose else made[-1]

    return piece


def _source(p: Parameters, number: int, one: int) -> int:
    return p.choice(f"from{number}_{one}", tuple(range(number))) if number > 1 else 0


def _piece(part: Part) -> Piece:
    if isinstance(part, Op):
        return lambda _, build, x: build(part, x)
    if not callable(part):
        raise SpaceError("a part is an op or a function of (p, build, x)", got=repr(part))
    return part
