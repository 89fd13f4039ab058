"""What a suggester proposes, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archgraph.evaluation import Report
from archgraph.graph import Graph


@dataclass(frozen=True)
class Proposal:
    """A point of a space that is to be trained.

    Args:
        values: the named parameters; canonical ones once it is proposed.
        seed: of the graph, where the space draws one, and of its training; None for one that is derived from the run's
            seed and the number of the proposal.
        note: anything worth a column, as text.
    """

    values: Mapping[str, Any]
    seed: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Refused:
    """A proposal that was not trained.

    Args:
        proposal: what was proposed.
        number: its number among all proposals.
        reason: why: a constraint (``"params<=1000.0"``), ``"trained before"``, or what its graph lacks.
        broken: by how much it breaks the constraint; infinite for all other reasons.
        detail: more of why, that may differ from point to point.
    """

    proposal: Proposal
    number: int
    reason: str
    broken: float = math.inf
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Told:
    """A proposal that was trained, with what is to be learnt from it.

    Args:
        proposal: what was proposed, with its seed.
        number: its number among all proposals, those that were refused too.
        graph: what was trained.
        report: the answer.
        costs: one number an objective of the study, all to be made small; NaN when it failed.
        violation: one number a constraint of the study, ``<= 0`` where it holds and by how much; NaN when it failed.
        failed: whether it raised, diverged or has no number for an objective.
    """

    proposal: Proposal
    number: int
    graph: Graph
    report: Report
    costs: tuple[float, ...]
    violation: tuple[float, ...] = ()
    failed: bool = False

    @property
    def values(self) -> Mapping[str, Any]:
        """The named parameters."""
        return self.proposal.values

    @property
    def broken(self) -> float:
        """By how much it breaks the constraints in all: 0 when they hold, infinity when it failed."""
        return math.inf if self.failed else math.fsum(max(0.0, by) for by in self.violation)

    @property
    def rank(self) -> tuple[float, ...]:
        """What orders proposals, the best first: the constraints, then one objective after the other."""
        return (math.inf,) * (1 + len(self.costs)) if self.failed else (self.broken, *self.costs)
