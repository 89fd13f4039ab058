"""Layered layout of a directed acyclic graph of equal boxes, top to bottom (Sugiyama, Tagawa and Toda 1981).

Layers by longest path; an edge over several layers runs through a point in each of them, shared by all such edges of
one source; order within layers by barycentres; positions by least squares under that order (pool adjacent violators),
then chains and long edges are brought in line.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
Item = tuple[str, int]
"""A node at its layer, or the point in a layer through which edges of a node pass."""


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    Args:
        layers: layer of every node, from 0.
        places: x of every node and of every point that its edges pass through, in pixels, the least being 0.
    """

    layers: Mapping[str, int]
    places: Mapping[Item, float]

    def x(self, name: str) -> float:
        """Return the centre of a node."""
        return self.places[name, self.layers[name]]

    def way(self, source: str, target: str) -> list[Item]:
        """Return the points, one a layer, between a node and one that reads it."""
        return [(source, layer) for layer in range(self.layers[source] + 1, self.layers[target])]


def arrange(inputs: Mapping[str, Sequence[str]], *, width: float, gap: float, lane: float) -> Layout:
    """Lay a graph out.

    Args:
        inputs: for every node, in topological order, the nodes that it reads.
        width: width of a box, in pixels.
        gap: least distance of two boxes.
        lane: least distance of an edge that passes by from a box or from another edge.
    """
    layers = _layers(inputs)
    links: dict[Item, dict[Item, None]] = {}  # to the layer below
    for name, sources in inputs.items():
        for source in sources:
            way = [(source, layer) for layer in range(layers[source], layers[name])] + [(name, layers[name])]
            for upper, lower in pairwise(way):
                links.setdefault(upper, {})[lower] = None
    items = dict.fromkeys((name, layers[name]) for name in inputs)
    items |= dict.fromkeys(lower for lowers in links.values() for lower in lowers)
    rows: list[list[Item]] = [[] for _ in range(max(layers.values()) + 1)]
    for item in items:
        rows[item[1]].append(item)
    below = {item: list(links.get(item, ())) for item in items}
    above: dict[Item, list[Item]] = {item: [] for item in items}
    for upper, lowers in below.items():
        for lower in lowers:
            above[lower].append(upper)
    rows = _ordered(rows, above, below)
    real = {item for item in items if layers[item[0]] == item[1]}
    return Layout(layers, _placed(rows, above, below, real, width=width, gap=gap, lane=lane))


def _layers(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the longest path from a source to every node; sources stand right above their first reader."""
    layers: dict[str, int] = {}
    first: dict[str, int] = {}
    for name, sources in inputs.items():
        layers[name] = max((layers[source] + 1 for source in sources), default=0)
        for source in sources:
            first[source] = min(first.get(source, layers[name]), layers[name])
    return {name: first.get(name, 1) - 1 if not inputs[name] else layer for name, layer in layers.items()}


# ---------------------------------------------------------------------- order
def _ordered(
    rows: list[list[Item]], above: Mapping[Item, list[Item]], below: Mapping[Item, list[Item]]
) -> list[list[Item]]:
    """Sort rows by the mean place of neighbours, downwards and upwards in turn; return the order that crosses least."""
    best, fewest = rows, _crossings(rows, below)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        rows = [list(row) for row in rows]
        neighbours = above if downwards else below
        order = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for number in order:
            beside = rows[number - 1] if downwards else rows[number + 1]
            rank = {item: place for place, item in enumerate(beside)}
            here = {item: place for place, item in enumerate(rows[number])}
            keys = {item: (_mean([rank[n] for n in neighbours[item]], place), place) for item, place in here.items()}
            rows[number].sort(key=keys.__getitem__)
        count = _crossings(rows, below)
        if count < fewest:
            best, fewest = rows, count
    return best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Sequence[Sequence[Item]], below: Mapping[Item, list[Item]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        rank = {item: place for place, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(rank[other] for other in below[item])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


# ---------------------------------------------------------------------- places
def _placed(
    rows: Sequence[Sequence[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    real: set[Item],
    *,
    width: float,
    gap: float,
    lane: float,
) -> dict[Item, float]:
    offsets = {}
    for row in rows:
        reach = 0.0
        for number, item in enumerate(row):
            if number:
                boxes = (item in real) + (row[number - 1] in real)
                reach += (lane, width / 2 + lane, width + gap)[boxes]
            offsets[item] = reach
        for item in row:
            offsets[item] -= reach / 2
    places = dict(offsets)
    downwards, upwards = [(row, (above,)) for row in rows], [(row, (below,)) for row in reversed(rows)]
    both = [(row, (above, below)) for row in rows]
    for row, sides in (downwards + upwards) * SWEEPS + both * 2:
        wanted = [_wanted(item, sides, places, real) for item in row]
        weights = [1000.0 if item in real else 1.0 for item in row]  # boxes stay in line, edges give way
        level = _isotonic([want - offsets[item] for want, item in zip(wanted, row, strict=True)], weights)
        for item, value in zip(row, level, strict=True):
            places[item] = value + offsets[item]
    columns = _columns(rows, above, below, real)
    for _ in range(3):
        _straighten(rows, columns, offsets, places)
    least = min(place - (width / 2 if item in real else 0) for item, place in places.items())
    return {item: round(place - least, 1) for item, place in places.items()}


def _columns(
    rows: Sequence[Sequence[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    real: set[Item],
) -> list[list[Item]]:
    """Return what should stand in one line: chains of boxes that read one another alone, and the points of one edge."""
    following: dict[Item, Item] = {}
    for item in (item for row in rows for item in row):
        alike = [other for other in below[item] if (other in real) == (item in real)]
        if len(alike) != 1 or len(above[alike[0]]) > 2:
            continue
        if sum((other in real) == (item in real) for other in above[alike[0]]) == 1:
            following[item] = alike[0]
    columns = []
    for item in sorted(above.keys() - set(following.values()), key=lambda item: (item not in real, item[1], item[0])):
        column = [item]
        while column[-1] in following:
            column.append(following[column[-1]])
        if len(column) > 1:
            columns.append(column)
    return columns


def _straighten(
    rows: Sequence[Sequence[Item]],
    columns: Sequence[Sequence[Item]],
    offsets: Mapping[Item, float],
    places: dict[Item, float],
) -> None:
    """Bring the items of every column to one x, as far as their neighbours leave room, in as few pieces as it takes."""
    beside = {}
    for row in rows:
        for item, left, right in zip(row, [None, *row[:-1]], [*row[1:], None], strict=True):
            beside[item] = (left, right)

    def room(item: Item) -> tuple[float, float]:
        left, right = beside[item]
        return (
            float("-inf") if left is None else places[left] + offsets[item] - offsets[left],
            float("inf") if right is None else places[right] + offsets[item] - offsets[right],
        )

    for column in columns:
        start = 0
        while start < len(column):
            low, high = room(column[start])
            end = start + 1
            while end < len(column):
                lower, upper = room(column[end])
                if max(low, lower) > min(high, upper):
                    break
                low, high, end = max(low, lower), min(high, upper), end + 1
            piece = column[start:end]
            level = min(max(_mean([places[item] for item in piece], 0.0), low), high)
            places.update(dict.fromkeys(piece, level))
            start = end


def _wanted(
    item: Item, sides: Sequence[Mapping[Item, list[Item]]], places: Mapping[Item, float], real: set[Item]
) -> float:
    """Return the mean place of neighbours: of those of the same kind where a side has one or two, else of all."""
    near: list[Item] = []
    for side in sides:
        alike = [other for other in side[item] if (other in real) == (item in real)]
        near += alike if alike and len(side[item]) < 3 else side[item]
    return _mean([places[other] for other in near], places[item])


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to ``values`` in weighted least squares (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        count = 1
        while pools and pools[-1][0] >= value:
            other, mass, size = pools.pop()
            value, weight, count = (value * weight + other * mass) / (weight + mass), weight + mass, count + size
        pools.append((value, weight, count))
    return [value for value, _, count in pools for _ in range(count)]
