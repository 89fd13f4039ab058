"""Graphs among which the next one is chosen: those near the best, mixtures of them, and any."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgraph import rng
from archgraph.errors import SpaceError
from archgraph.search.pareto import non_dominated
from archgraph.spaces import Space
from optimizers.graph_bo.gallery import Gallery
from optimizers.proposing import History, Proposal, Told

PARENTS = 10
"""Of the best graphs that many are varied."""
STEPS = 2
"""Steps at most from a parent to its child."""

_galleries: weakref.WeakKeyDictionary[Space, dict[tuple[Any, ...], Gallery]] = weakref.WeakKeyDictionary()


def key(space: Space, values: Mapping[str, Any], seed: int | None) -> str:
    """Return what a graph is known by: its point and, where the space draws graphs, the seed."""
    return f"{space.key(values)} {seed}" if space.random else space.key(values)


def varied(space: Space, history: History, count: int, seed: int) -> Iterator[Proposal]:
    """Yield graphs for a pool: half of them mutated from the best, a quarter mixed from two of them, a quarter drawn.

    Args:
        space: where.
        history: what was told.
        count: how many; the same may come twice.
        seed: of all of it.
    """
    parents, numbers = best(history, PARENTS), random.Random(seed)
    for number in range(count):
        own = rng.derive(seed, number)
        drawn = own if space.random else None
        if not parents or number % 4 == 3:
            yield Proposal(space.draw(own), drawn, "drawn")
            continue
        parent = parents[number % len(parents)] if number % 4 < 2 else numbers.choice(parents)
        values = parent.values
        if number % 4 == 2 and len(parents) > 1:
            other = numbers.choice([one for one in parents if one is not parent])
            yield Proposal(space.crossover(values, other.values, own), drawn, f"of {parent.number} and {other.number}")
            continue
        for step in range(1 + numbers.randrange(STEPS)):
            values = space.mutate(values, rng.derive(own, "step", step))
        yield Proposal(values, drawn, f"child of {parent.number}")


def best(history: History, count: int) -> list[Told]:
    """Return the best of what was trained: those that break constraints least, front by front."""
    left = sorted(history.good, key=lambda one: one.rank)
    found: list[Told] = []
    while left and len(found) < count:
        least = left[0].broken
        equal = [one for one in left if one.broken == least]
        front = {equal[place].number for place in non_dominated([one.costs for one in equal])}
        found += [one for one in equal if one.number in front]
        left = [one for one in left if one.broken > least or one.number not in front]
    return found[:count]


def whole(space: Space, kernel: str, depth: int, direction: str) -> Gallery:
    """Return the gallery of all points of a space, made once in a process.

    Args:
        space: with few points, none of them random.
        kernel: of the gallery.
        depth: of its colours.
        direction: of the neighbours that make a colour.
    """
    try:
        held = _galleries.setdefault(space, {})
    except TypeError:  # a space that cannot be a key
        held = {}
    name = kernel, depth, direction
    if name not in held:
        itself = weakref.ref(space)  # the gallery must not keep it alive

        def encode(values: Mapping[str, Any]) -> NDArray[np.float64]:
            alive = itself()
            assert alive is not None
            return alive.encode(values)

        held[name] = gallery = Gallery(kernel, encode, depth=depth, direction=direction)
        hang(gallery, space, (Proposal(values) for values in space.points()))
    return held[name]


def hang(gallery: Gallery, space: Space, proposals: Iterator[Proposal] | Sequence[Proposal]) -> list[int]:
    """Hang up the graphs of proposals and return their distinct rows; points without a valid graph are left out."""
    rows: dict[int, None] = {}
    for one in proposals:
        try:
            name = key(space, one.values, one.seed)
            if name not in gallery:
                gallery.add(name, one.values, space.build(one.values, one.seed or 0), one.seed)
        except SpaceError:
            continue
        rows[gallery.row(name)] = None
    return list(rows)
