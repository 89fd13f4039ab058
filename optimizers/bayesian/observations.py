"""What a search has seen, as tensors.

Letters: ``N`` observations, ``D`` columns, ``M`` objectives, ``C`` constraints, ``F`` failures, ``B`` pending points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optimizers.proposing import History, Told
from optimizers.proposing.admission import REPEATED

Encode = Callable[[Mapping[str, Any]], np.ndarray]
Key = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, eq=False)
class Observations:
    """Trainings with numbers, points without, and points whose numbers are awaited.

    Args:
        X: [N, D] encoded points, one row a training.
        costs: [N, M] what is to be small.
        slack: [N, C] by how much constraints are broken; ``<= 0`` where they hold.
        share: [N] of the recipe that a training got.
        spent: [N] what it cost, for a surrogate of that; NaN where nobody knows.
        point: [N] number of the point; equal ones are replicates, at one fidelity.
        settled: how many of the first rows decide scales and the reference point.
        bad: [F, D] points that failed or were refused.
        pending: [B, D] points whose numbers are awaited.
    """

    X: Tensor
    costs: Tensor
    slack: Tensor
    share: Tensor
    spent: Tensor
    point: Tensor
    settled: int
    bad: Tensor
    pending: Tensor

    def __len__(self) -> int:
        return len(self.X)

    @property
    def several_fidelities(self) -> bool:
        """Whether some trainings got less than their whole recipe."""
        return bool((self.share < 1.0).any())

    @property
    def inputs(self) -> Tensor:  # [N, D] or [N, D + 1]
        """Points as the surrogate takes them: with the fidelity as a last column where there are several."""
        return torch.cat([self.X, self.share[:, None]], 1) if self.several_fidelities else self.X

    @property
    def context(self) -> tuple[float, ...]:
        """What the surrogate is asked about besides the point: the whole recipe."""
        return (1.0,) if self.several_fidelities else ()

    @property
    def places(self) -> Tensor:  # [N', D]
        """The distinct points, in the order of their first trainings."""
        return distinct(self.X)

    @property
    def awaited(self) -> Tensor:  # [B', D]
        """Pending points of which nothing is known yet."""
        if not len(self.pending) or not len(self):
            return distinct(self.pending)
        known = (self.pending[:, None, :] == self.X[None]).all(-1).any(1)
        return distinct(self.pending[~known])


def prefix(data: Observations, count: int) -> Observations:
    """Return what was known after the first ``count`` observations, as far as the surrogate is concerned."""
    held = {name: getattr(data, name)[:count] for name in ("X", "costs", "slack", "share", "spent", "point")}
    return replace(data, **held, settled=min(data.settled, count))


def distinct(
    X: Tensor,  # [N, D]
) -> Tensor:  # [N', D]
    """Return the distinct rows, in the order of their first occurrences."""
    first = {tuple(row): place for place, row in reversed(list(enumerate(X.tolist())))}
    return X[sorted(first.values())]


def gather(
    history: History,
    encode: Encode,
    key: Key,
    *,
    epochs: int,
    settled: int,
    spent: Callable[[Told], float] = lambda told: math.nan,
) -> Observations:
    """Return a history as tensors.

    Args:
        history: what was told; of candidates trained in stages all stages.
        encode: a point as numbers.
        key: a point as text.
        epochs: of the whole recipe.
        settled: of the trainings told, failed ones too, how many decide scales and the reference point.
        spent: what one cost.
    """
    rows = stages(history)
    good = [one for one in rows if not one.failed and all(map(math.isfinite, (*one.costs, *one.violation)))]
    left = set(map(id, good))
    bad = [one.values for one in rows if id(one) not in left]
    bad += [one.proposal.values for one in history.refused if one.reason != REPEATED]
    shares = [one.report.fidelity.share(epochs) for one in good]
    names = [(key(one.values), share) for one, share in zip(good, shares, strict=True)]
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    beginning = set(map(id, rows[:settled]))
    vectors = [encode(one.values) for one in good]
    width = len(vectors[0]) if vectors else 0
    return Observations(
        _rows(vectors, width),
        _rows([one.costs for one in good]),
        _rows([one.violation for one in good]),
        torch.tensor(shares, dtype=torch.float64),
        torch.tensor([spent(one) for one in good], dtype=torch.float64),
        torch.tensor([order[name] for name in names]),
        sum(id(one) in beginning for one in good),
        _rows([encode(values) for values in bad], width),
        _rows([encode(one.values) for one in history.pending], width),
    )


def stages(history: History) -> tuple[Told, ...]:
    """Return all trainings of a history: of candidates that were trained in stages every stage, once."""
    heard = getattr(history, "heard", ())
    known = {one.report.key for one in heard}
    return (*heard, *(one for one in history.told if one.report.key not in known or not heard))


def _rows(vectors: Sequence[Any], width: int = 0) -> Tensor:
    return torch.tensor(np.array([tuple(one) for one in vectors]).reshape(len(vectors), -1 if vectors else width))
