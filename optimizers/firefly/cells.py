"""The copies of a cell: named node by node, by the beginnings of names, or found; and what they have grown to.

A cell-based network repeats one small graph. Growth that is to do the same to every copy must know which node of one is
which node of another, so a copy is the tuple of its nodes' names, all copies in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from archgraph.errors import SettingError, UnknownName
from archgraph.graph import Absorb, Graph, rule_of
from optimizers.firefly.parts import Cell

REPEATED = "repeated"
"""Says that the copies are to be found."""

Given = str | Sequence[str | Sequence[str]]
"""How cells are named: :data:`REPEATED`, or copies, each by its nodes' names or by what these begin with."""


def cells_of(graph: Graph, given: Given) -> tuple[Cell, ...]:
    r"""Return the copies of a cell, the names of the nodes of each, in the same order.

    Args:
        graph: the graph.
        given: ``"repeated"`` for :func:`repeated`; or a copy after the other, each as a tuple of names, or as a text
            with which the names of all its nodes begin. None at all leaves every node to itself.

    Raises:
        SettingError: when there are no copies, or they are not alike: not two at least, not as many nodes each, not the
            same kinds of ops in the same order, or a node in two of them.
        UnknownName: when a node is not known, or no name begins so.

    >>> graph = Graph.parse(
    ...     "x = Input((6,))\na1 = Linear(4)(x)\na2 = Tanh()(a1)\nb1 = Linear(4)(a2)\nb2 = Tanh()(b1)\nreturn b2"
    ... )
    >>> cells_of(graph, ("a", "b"))
    (('a1', 'a2'), ('b1', 'b2'))
    >>> cells_of(graph, "repeated")
    (('a1', 'a2'), ('b1', 'b2'))
    """
    if given == REPEATED:
        return repeated(graph)
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(_is_copy(one) for one in given):
        raise SettingError(
            "cells are the copies of one cell",
            expected=f"'{REPEATED}', or a tuple of copies: each a tuple of names, or what its names begin with",
            got=repr(given),
        )
    found = tuple(_beginning(graph, one) if isinstance(one, str) else tuple(one) for one in given)
    if found:
        _check(graph, found)
    return found


def repeated(graph: Graph) -> tuple[Cell, ...]:
    """Return the copies of the cell that saves most: whose copies but for the first have the most nodes.

    A cell is a run of nodes, in the graph's order, with weights; its copies have equal ops that read each other alike.
    Where they read nodes outside, any will do.

    Raises:
        SettingError: when nothing is repeated.
    """
    names = [name for name in graph.nodes if name not in graph.inputs]
    place = {name: number for number, name in enumerate(names)}
    ops = [repr(graph.op(name)) for name in names]
    back = [tuple(at - place.get(one, -len(names)) for one in graph.node(name).inputs) for at, name in enumerate(names)]
    makes = [isinstance(rule_of(graph, name), Absorb) for name in names]

    best: tuple[int, list[int]] = (0, [])
    for size in range(1, len(names) // 2 + 1):
        starts: dict[tuple[object, ...], list[int]] = {}
        for start in range(len(names) - size + 1):
            if any(makes[start : start + size]):
                inside = (tuple(one if one <= nth else 0 for one in back[start + nth]) for nth in range(size))
                own = starts.setdefault((*ops[start : start + size], *inside), [])
                if not own or own[-1] + size <= start:
                    own.append(start)
        best = max([best, *((size, own) for own in starts.values())], key=lambda one: one[0] * max(0, len(one[1]) - 1))
    size, own = best
    if len(own) < 2:
        raise SettingError("no cell is repeated in the graph", hint="name the nodes of each copy")
    return tuple(tuple(names[start : start + size]) for start in own)


def grown_cells(before: Graph, after: Graph, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the copies with the nodes that growth has put into them, at the same positions of all.

    A new node belongs to a copy where all that it reads, over other new nodes, lies in it. What is not in every copy
    alike is left out.

    Args:
        before: the graph in which the copies were named.
        after: what it has grown to.
        cells: the copies.
    """
    fresh = [name for name in after.nodes if name not in before]
    sources: dict[str, frozenset[str]] = {}
    for name in fresh:
        read = after.node(name).inputs
        sources[name] = frozenset().union(*(sources.get(one, frozenset([one])) for one in read))
    found: list[list[tuple[tuple[object, ...], str]]] = []
    for cell in cells:
        place = {name: position for position, name in enumerate(cell)}
        own = [name for name in fresh if sources[name] <= place.keys()]
        kinds = {name: (tuple(sorted(place[one] for one in sources[name])), _kind(after, name)) for name in own}
        found.append(sorted(((kinds[name], name) for name in own), key=lambda one: one[0]))
    if any([key for key, _ in one] != [key for key, _ in found[0]] for one in found):
        return tuple(cells)
    return tuple((*cell, *(name for _, name in own)) for cell, own in zip(cells, found, strict=True))


def _beginning(graph: Graph, text: str) -> Cell:
    found = tuple(name for name in graph.nodes if name.startswith(text)) if text else ()
    if not found:
        raise UnknownName.among("beginning of names", text, graph.nodes)
    return found


def _is_copy(given: object) -> bool:
    """Whether this is a text, or several: the names of the nodes of a copy."""
    return isinstance(given, str) or (isinstance(given, Sequence) and all(isinstance(one, str) for one in given))


def _check(graph: Graph, cells: Sequence[Cell]) -> None:
    if len(cells) < 2 or len({len(cell) for cell in cells}) > 1:
        raise SettingError(
            "cells are the copies of one cell, two at least, with as many nodes each",
            got=f"{len(cells)} with {', '.join(str(len(cell)) for cell in cells)} nodes",
        )
    names = [name for cell in cells for name in cell]
    for name in names:
        if name not in graph:
            raise UnknownName.among("node", name, graph.nodes)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingError("a node stands in one copy of a cell, once", got=twice)
    for one, other in _pairs(cells):
        if _kind(graph, one) != _kind(graph, other):
            raise SettingError(
                "the copies of a cell have the same kinds of ops in the same order",
                got=f"{graph.node(one)} where another copy has {graph.node(other)}",
            )


def _pairs(cells: Sequence[Cell]) -> Iterable[tuple[str, str]]:
    """Yield the nodes at one position of two copies."""
    return ((one, other) for alike in zip(*cells, strict=True) for one, other in combinations(alike, 2))


def _kind(graph: Graph, name: str) -> str:
    return type(graph.op(name)).__name__
