"""All that a suggester may look at: what was told, what is still open, and its seed."""

from __future__ import annotations

from dataclasses import dataclass

from archgraph.evaluation import Report
from archgraph.graph import Graph
from archgraph.search import Goal
from optimizers.proposing.proposal import Proposal, Refused, Told


@dataclass(frozen=True, eq=False)
class History:
    """A search over a space so far.

    It depends on the run's seed and on the reports, and neither on time nor on the number of workers: a suggestion that
    is a function of it can be made again when a search carries on.

    Args:
        told: what was trained, in the order of proposing.
        pending: what was proposed and is not told yet.
        number: of the next proposal, counted from 0 over all, those that were refused too.
        seed: of the next proposal: all its randomness comes from it.
        refused: what was proposed and not trained, in order.
        heard: where another driver trains the candidates in stages, every stage that is done; of those that are told
            the last stage is the one that was told, or later.
    """

    told: tuple[Told, ...] = ()
    pending: tuple[Proposal, ...] = ()
    number: int = 0
    seed: int = 0
    refused: tuple[Refused, ...] = ()
    heard: tuple[Told, ...] = ()

    @property
    def good(self) -> tuple[Told, ...]:
        """What was trained and has not failed."""
        return tuple(one for one in self.told if not one.failed)

    @property
    def best(self) -> Told | None:
        """The best of them by :attr:`Told.rank`, of equal ones the first; None when there is none."""
        return min(self.good, key=lambda one: one.rank, default=None)


def told(proposal: Proposal, number: int, graph: Graph, report: Report, goal: Goal) -> Told:
    """Return what a suggester is told of a report.

    Args:
        proposal: what was proposed.
        number: its number.
        graph: what was trained.
        report: the answer.
        goal: what the study is after.
    """
    costs = goal.costs(report.metrics)
    failed = not report.ok or any(cost != cost for cost in costs)
    nan = float("nan")
    if failed:
        costs, slack = (nan,) * len(goal.objectives), (nan,) * len(goal.constraints)
    else:
        slack = tuple(one.slack(report.metrics) for one in goal.constraints)
    return Told(proposal, number, graph, report, costs, slack, failed)
