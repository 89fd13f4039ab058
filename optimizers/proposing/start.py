"""Where a search over a space begins: points that a user names, as values, graphs, trials or earlier studies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from archgraph.errors import SettingError, SpaceError
from archgraph.graph import Graph
from archgraph.search import Study, Trial
from archgraph.search.ranking import TIES
from archgraph.spaces import Space, Value

Start = Mapping[str, Any] | Graph | Trial | Study
"""What stands for points: named parameters, a graph of the space, a trial of a search over it, or such a search."""

BEST = 5
"""Points of an earlier study, the best first."""
LOOKED_AT = 20_000
"""Points of a space at most among which a graph is looked for."""


def points(
    space: Space,
    given: Iterable[Start],
) -> tuple[dict[str, Value], ...]:
    """Return the points that are meant, canonical ones, each once, in the order given.

    Args:
        space: of which they are.
        given: values are taken as they are, those of a trial are the ones it was made from; of a study the
            :data:`BEST` points are taken, and a graph is looked for among the points of the space.

    Raises:
        SpaceError: when something is no point of the space.
        SettingError: when something stands for no points at all.
    """
    if isinstance(given, Mapping | Graph | Trial | Study | str):
        raise SettingError("points to begin with are several", expected="a list or a tuple of them", got=repr(given))
    distinct: dict[str, dict[str, Value]] = {}
    for one in given:
        for values in _meant(space, one):
            distinct.setdefault(space.key(values), space.canonical(values))
    return tuple(distinct.values())


def best(study: Study) -> list[Trial]:
    """Return the best trials of a study that were made from values, one a point.

    First count those trained by more of their recipe, then those that break the constraints less, then the objectives,
    the most important first, then what decides among equals for :attr:`Study.best`, too.

    Args:
        study: an earlier search over a space.

    Raises:
        SettingError: when there are none.
    """
    goal = study.goal

    def rank(trial: Trial) -> tuple[float, ...]:
        metrics = trial.metrics
        costs = (math.inf if cost != cost else cost for cost in goal.costs(metrics))
        return (-trial.share, goal.violation(metrics), *costs, *(metrics.get(name, 0.0) for name in TIES))

    good = [trial for trial in study if trial.ok and trial.values]
    if not good:
        raise SettingError(f"study {study.name!r} has no successful trial that was made from a point of a space")
    distinct: dict[str, Trial] = {}
    for trial in sorted(good, key=rank):
        distinct.setdefault(repr(sorted(trial.values.items())), trial)
    return list(distinct.values())[:BEST]


def _meant(space: Space, given: Start) -> list[Mapping[str, Any]]:
    if isinstance(given, Mapping):
        return [given]
    if isinstance(given, Study):
        return [trial.values for trial in best(given)]
    if isinstance(given, Trial):
        if not given.values:
            raise SettingError(f"trial {given.number} was not made from a point of a space", hint="give its values")
        return [given.values]
    if isinstance(given, Graph):
        return [_sought(space, given)]
    raise SettingError("this stands for no point", expected="values, a graph, a trial or a study", got=repr(given))


def _sought(space: Space, graph: Graph) -> Mapping[str, Any]:
    """Return the first point that a graph is built from.

    Raises:
        SpaceError: when there is none, or the space has too many points, or draws its graphs.
    """
    if set(space.domains) == {"graph"} and space.domains["graph"].find(graph) is not None:
        return {"graph": graph}
    if space.random or space.size > LOOKED_AT:
        why = "draws its graphs at random" if space.random else f"has {space.size:.6g} points"
        raise SpaceError(
            f"the space {why}, so it is not known from which values a graph is made",
            expected=f"a space of at most {LOOKED_AT} points" if not space.random else None,
            hint="give the values, or the trial of the graph",
        )
    wanted = graph.hash
    for values in space.points():
        try:
            if space.build(values).hash == wanted:
                return values
        except SpaceError:
            continue
    raise SpaceError("no point of the space makes this graph", place=str(graph))
