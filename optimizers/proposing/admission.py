"""What may be trained: constraints on what is known of a graph are looked at before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from archgraph.graph import Graph
from archgraph.search import Goal
from archgraph.spaces.space import shown
from optimizers.proposing.proposal import Refused

REPEATED = "trained before"
"""Why a point is refused that was trained as often as it may be."""


class Admission:
    """Tells which constraints of a goal a graph breaks, as far as that is known without training.

    Args:
        goal: what the study is after.
        describe: metrics of a graph that are known before it is trained; params, MACs, units and depth, say.
    """

    def __init__(self, goal: Goal, describe: Callable[[Graph], Mapping[str, float]]) -> None:
        self.goal, self.describe = goal, describe

    def broken(self, graph: Graph) -> tuple[str, float]:
        """Return the first constraint that a graph is known to break, with by how much; an empty text and 0 if none."""
        if self.goal.constraints:
            known = self.describe(graph)
            for one in self.goal.constraints:
                if one.name in known and one.violation(known) > 0.0:
                    return str(one), one.violation(known)
        return "", 0.0


def account(refused: Sequence[Refused]) -> str:
    """Return in words how often proposals were refused and why, with the point that came nearest to each constraint.

    Args:
        refused: proposals, at least one.
    """
    parts = []
    for reason, count in Counter(one.reason for one in refused).most_common():
        nearest = min((one for one in refused if one.reason == reason), key=lambda one: one.broken)  # or the first
        told = f"{count} {'break' if nearest.broken < float('inf') else 'were'} {reason}"
        if nearest.broken < float("inf"):
            told += f" (the nearest by {nearest.broken:.6g}, at {shown(nearest.proposal.values)})"
        elif nearest.detail:
            told += f" (the first {nearest.detail})"
        parts.append(told)
    return ", ".join(parts[:3]) + (f", and {len(parts) - 3} other reasons" if len(parts) > 3 else "")
