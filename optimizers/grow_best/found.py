"""What a search has found that may be grown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from archgraph.evaluation import Recipe, Report, Train
from archgraph.net import Network
from archgraph.search import Goal


@dataclass(frozen=True, eq=False)
class Found:
    """A network that a search has trained.

    Args:
        report: on its training; it has the network.
        recipe: by which it was trained.
        whole: whether by all of it.
        rank: what orders networks, the best first.
    """

    report: Report
    recipe: Recipe
    whole: bool
    rank: tuple[float, ...]

    @property
    def network(self) -> Network:
        """The trained network."""
        assert self.report.network is not None
        return self.report.network

    @classmethod
    def of(cls, request: Train, report: Report, goal: Goal) -> Self | None:
        """Return what a training has found; None when it has no number for an objective.

        Args:
            request: what was asked.
            report: the answer; it succeeded.
            goal: what the study is after.
        """
        costs = goal.costs(report.metrics)
        if any(math.isnan(cost) for cost in costs):
            return None
        fidelity = request.fidelity.within(request.recipe.epochs)
        ties = (report.metrics.get("val.loss", 0.0), report.metrics.get("params", 0.0))
        rank = (-fidelity.share(request.recipe.epochs), goal.violation(report.metrics), *costs, *ties)
        return cls(report, request.recipe, fidelity.full, rank)
