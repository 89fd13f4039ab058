"""NSGA-II: evolution towards a whole Pareto front, by non-dominated sorting and crowding.

Deb, Pratap, Agarwal and Meyarivan, *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II* (IEEE TEVC 6(2),
2002), with its constraint domination. Here in the steady state: a child is made whenever something is to be trained.

Letters: ``N`` points, ``M`` objectives.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archgraph.errors import SettingError
from archgraph.search import Setting
from archgraph.spaces import Space
from optimizers.proposing import History, Proposal, Proposer, Source, Told, check_count

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class NSGA2(Proposer):
    """Train random points first, then children of two parents that won tournaments among the survivors.

    Survivors are the best ``population`` of all that was trained, front by front, of the last front those in the least
    crowded places. Of two points that one wins which breaks the constraints less, then that on the better front, then
    that in the less crowded place. With one objective it is an elitist genetic algorithm.

    Args:
        population: how many survive; as many random points are trained first.
        crossover: probability that a child has two parents; otherwise it has one.
        mutation: probability that a child of two parents is mutated too; that of one always is.
    """

    population: int = 20
    crossover: float = 0.9
    mutation: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("population", self.population, 2)
        for name in ("crossover", "mutation"):
            if isinstance(getattr(self, name), bool) or not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingError(f"{name} must be a probability", expected="0 to 1", got=repr(getattr(self, name)))

    def source(self, setting: Setting) -> Source:
        return NSGA2Source(self.space, self.population, self.crossover, self.mutation)


@dataclass(eq=False)
class NSGA2Source(Source):
    """Proposes children of the winners of tournaments; a function of the history alone."""

    space: Space
    population: int
    crossover: float
    mutation: float
    _sorted: tuple[Told | None, list[Told]] = field(
        default=(None, []), init=False
    )  # the last that was told, and the survivors then

    def propose(self, history: History) -> Proposal:
        good = history.good
        if len(good) < 2 or len(history.told) + len(history.pending) < self.population:
            return Proposal(self.space.draw(history.seed))
        numbers = random.Random(history.seed)
        alive = self._survivors(history, good)

        def winner() -> Told:
            return alive[min(numbers.sample(range(len(alive)), 2))]

        first, second = winner(), winner()
        if numbers.random() >= self.crossover:
            return Proposal(self.space.mutate(first.values, history.seed), note=f"child of {first.number}")
        values = self.space.crossover(first.values, second.values, history.seed)
        if numbers.random() < self.mutation:
            values = self.space.mutate(values, history.seed)
        return Proposal(values, note=f"child of {first.number} and {second.number}")

    def _survivors(self, history: History, good: Sequence[Told]) -> list[Told]:
        """Return the fittest, which are sorted once a report, not once a child that was trained before."""
        if self._sorted[0] is not history.told[-1]:
            self._sorted = history.told[-1], [good[place] for place in order(good)[: self.population]]
        return self._sorted[1]


def order(told: Sequence[Told]) -> list[int]:
    """Return the numbers of points, the fittest first: by front, then by crowding; of equals the earlier.

    Args:
        told: points that have not failed.
    """
    points = np.array([one.costs for one in told], dtype=np.float64)  # [N, M]
    places: list[int] = []
    for front in fronts(points, np.array([one.broken for one in told])):
        crowd = crowding(points[front])
        places += [front[place] for place in np.argsort(-crowd, kind="stable").tolist()]
    return places


def fronts(
    points: Rows,  # [N, M]  less is better
    broken: Rows,  # [N]  by how much constraints are broken, 0 where they hold
) -> list[list[int]]:
    """Sort points into fronts: none of a front is dominated but by points of the fronts before it.

    A point that breaks constraints less dominates one that breaks them more, whatever they are worth; of two that break
    them alike, one dominates that is nowhere worse and somewhere better.

    Args:
        points: one a row, without NaN.
        broken: one number a point.

    >>> fronts(np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [0.0, 0.0]]), np.array([0.0, 0.0, 0.0, 1.0]))
    [[0, 1], [2], [3]]
    """
    better = (points[:, None] <= points[None]).all(2) & (points[:, None] < points[None]).any(2)  # [N, N] row, column
    dominates = (broken[:, None] < broken[None]) | ((broken[:, None] == broken[None]) & better)
    left = dominates.sum(0)  # of each, the points that dominate it and are on no front yet
    result: list[list[int]] = []
    while (left == 0).any():
        front = np.flatnonzero(left == 0)
        result.append(front.tolist())
        left = left - dominates[front].sum(0)
        left[front] = -1
    return result


def crowding(
    points: Rows,  # [N, M]  of one front
) -> Rows:  # [N]
    """Return how far the neighbours of every point are apart, summed over objectives; infinite at the ends.

    >>> crowding(np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]
    """
    count, objectives = points.shape
    distance = np.zeros(count)
    for column in points.T[:objectives]:
        places = np.argsort(column, kind="stable")
        span = column[places[-1]] - column[places[0]]
        distance[places[[0, -1]]] = np.inf
        if span > 0 and count > 2:
            distance[places[1:-1]] += (column[places[2:]] - column[places[:-2]]) / span
    return distance
