"""What a search over graphs has seen, as rows of a gallery and tensors.

Letters: ``N`` observations, ``M`` objectives, ``C`` constraints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optimizers.bayesian.observations import stages
from optimizers.proposing import History, Proposal, Told
from optimizers.proposing.admission import REPEATED


@dataclass(frozen=True, eq=False)
class Seen:
    """Trainings with numbers, graphs without, and graphs whose numbers are awaited.

    Args:
        rows: [N] numbers of the graphs in the gallery, one a training.
        costs: [N, M] what is to be small.
        slack: [N, C] by how much constraints are broken; ``<= 0`` where they hold.
        spent: [N] what a training cost; NaN where nobody knows.
        settled: how many of the first rows decide the reference point.
        bad: rows of graphs that failed, or could not be trained.
        pending: rows of graphs whose numbers are awaited.
    """

    rows: tuple[int, ...]
    costs: Tensor
    slack: Tensor
    spent: Tensor
    settled: int
    bad: tuple[int, ...]
    pending: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)


def gather(
    history: History,
    row: Callable[[Proposal], int | None],
    *,
    settled: int,
    spent: Callable[[Told], float] = lambda told: math.nan,
) -> Seen:
    """Return a history as rows and tensors; of a candidate that was trained in stages the last stage counts.

    Args:
        history: what was told.
        row: number of a proposal's graph in the gallery; None when it has no graph.
        settled: of the trainings, failed ones too, how many decide the reference point.
        spent: what one cost.
    """
    last = {one.number: one for one in stages(history)}
    good = [one for one in last.values() if not one.failed and all(map(math.isfinite, (*one.costs, *one.violation)))]
    left = {one.number for one in good}
    bad = [one.proposal for one in last.values() if one.number not in left]
    bad += [one.proposal for one in history.refused if one.reason != REPEATED]
    beginning = {one.number for one in list(last.values())[:settled]}
    rows = [row(one.proposal) for one in good]
    assert None not in rows
    return Seen(
        tuple(one for one in rows if one is not None),
        _columns([one.costs for one in good]),
        _columns([one.violation for one in good]),
        torch.tensor([spent(one) for one in good], dtype=torch.float64),
        sum(one.number in beginning for one in good),
        _rows(map(row, bad)),
        _rows(map(row, history.pending)),
    )


def _rows(found: Sequence[int | None] | map[int | None]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _columns(numbers: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor([tuple(one) for one in numbers], dtype=torch.float64).reshape(
        len(numbers), len(numbers[0]) if numbers else 0
    )
