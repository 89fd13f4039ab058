"""Conformance of a space: what every search relies on, checked on draws of it; for authors of spaces."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from archgraph.errors import SpaceError, UnknownName, Unsatisfied
from archgraph.graph import Graph
from archgraph.spaces import Space

NOBODY = "no_parameter_is_called_so"


def check_space(space: Space, *, draws: int = 30, vectors: bool = True) -> None:
    """Check all that the contract of a space promises, on points drawn from it.

    Checked are: same seed, same point and graph; points are JSON, canonical, and stay so; graphs parse back and depend
    on the values alone (and on the seed, where the space says so); columns and vectors, there and back; what does not
    matter is ignored; mutation, crossover and neighbours give other points of the space, mutation one parameter's step
    away; a copy is the same space; a missing parameter, one out of its domain and an unknown one are errors that name
    it.

    Args:
        space: the space.
        draws: how many points.
        vectors: whether its points have a vector form.

    Raises:
        AssertionError: for the first promise that is broken, with the point.
    """
    last: dict[str, Any] | None = None
    for seed in range(draws):
        point = space.draw(seed)
        _expect(space.draw(seed) == point, space, "draws the same point for the same seed", point)
        _check_point(space, point)
        _check_graph(space, point, seed)
        if vectors:
            _check_vector(space, point)
        _check_steps(space, point, last or point, seed)
        last = point
    if last is not None:
        _expect(copy.deepcopy(space).sample(0) == space.sample(0), space, "can be copied after use", last)
        _check_refusals(space, last)


def _check_point(space: Space, point: dict[str, Any]) -> None:
    _expect(json.loads(json.dumps(point)) == point, space, "points are what JSON can hold", point)
    _expect(space.canonical(point) == point, space, "draws canonical points", point)
    again = space.canonical(json.loads(json.dumps(point)))
    _expect(again == point, space, "a point read from JSON is the same", point)
    known = list(space.domains)
    _expect(set(point) <= set(known), space, f"parameters are of its domains {known}", point)
    for name, value in point.items():
        found = space.domains[name].find(value)
        _expect(type(found) is type(value) and found == value, space, f"{name!r} is in its domain", point)
    shuffled = dict(reversed(point.items()))
    _expect(space.key(shuffled) == space.key(point), space, "the key does not depend on the order of values", point)


def _check_graph(space: Space, point: dict[str, Any], seed: int) -> None:
    graph = space.build(point, seed)
    _expect(isinstance(graph, Graph), space, "builds graphs", point)
    _expect(Graph.parse(str(graph)) == graph, space, "its graphs parse back", point)
    _expect(space.build(dict(point), seed) == graph, space, "builds the same graph again", point)
    _expect(space.sample(seed) == graph, space, "a sample is what is built at the point that is drawn", point)
    if not space.random:
        _expect(space.build(point, seed + 1) == graph, space, "is not random, so the seed does not matter", point)


def _check_vector(space: Space, point: dict[str, Any]) -> None:
    vector, columns = space.encode(point), space.columns
    right = vector.dtype == np.float64 and vector.shape == (len(columns),)
    _expect(right and bool(((vector >= 0) & (vector <= 1)).all()), space, "encodes into the unit cube", point)
    for number, column in zip(vector, columns, strict=True):
        if column.levels is not None and column.parameter in point:
            near = min(abs(number - level) for level in column.levels)
            _expect(near < 1e-12, space, f"column {column.name!r} takes its levels only", point)
    _expect(space.decode(vector) == point, space, "decodes what it encoded", point)
    try:
        moved = space.decode(1.0 - vector)
    except Unsatisfied:
        return
    _expect(space.decode(space.encode(moved)) == moved, space, "decodes what it encoded", moved)


def _check_steps(space: Space, point: dict[str, Any], other: Mapping[str, Any], seed: int) -> None:
    mutant = space.mutate(point, seed)
    _expect(space.mutate(point, seed) == mutant, space, "mutates alike for the same seed", point)
    _check_point(space, mutant)
    nearest = []
    for number, near in enumerate(space.neighbours(point)):
        if number == 5:
            break
        nearest.append(near)
        _check_point(space, near)
        _expect(space.key(near) != space.key(point), space, "a point is no neighbour of its own", point)
    _expect(not nearest or space.key(mutant) != space.key(point), space, "mutates where there are neighbours", point)
    child = space.crossover(point, other, seed)
    _expect(space.crossover(point, other, seed) == child, space, "crosses alike for the same seed", point)
    _check_point(space, child)


def _check_refusals(space: Space, point: dict[str, Any]) -> None:
    _refused(space, point | {NOBODY: 1}, UnknownName, NOBODY)
    for name in point:
        _refused(space, {other: value for other, value in point.items() if other != name}, SpaceError, name)
        _refused(space, point | {name: object()}, SpaceError, name)


def _refused(space: Space, values: dict[str, Any], kind: type[Exception], name: str) -> None:
    try:
        space.build(values)
    except kind as error:
        _expect(name in str(error), space, f"the error names {name!r}, but says: {error}", values)
    else:
        _expect(False, space, f"refuses these values for {name!r}", values)


def _expect(holds: bool, space: Space, what: str, point: Mapping[str, Any]) -> None:
    if not holds:
        raise AssertionError(f"{space!r}: {what}\n  not at: {dict(point)}")
