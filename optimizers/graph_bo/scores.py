"""From costs, which are to be small, to normal scores, which are to be great: what counts is the order.

Trainings of architectures have outcomes with a long tail, since some do not learn at all: by their differences a
surrogate would see little else. The ``i``-th of ``N`` in order gets the normal quantile of ``(i + 1/2) / N``, as in
Salinas, Shen and Perrone, *A Quantile-based Approach for Hyperparameter Transfer Learning* (ICML 2020).

Letters: ``N`` observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scores:
    """A decreasing map from costs to scores of mean 0 and variance 1, linear between what was observed.

    Args:
        costs: [K] distinct ones, ascending.
        scores: [K] descending.
    """

    costs: Tensor
    scores: Tensor

    @classmethod
    def of(
        cls,
        costs: Tensor,  # [N]
    ) -> Self:
        """Learn the order of costs; equal ones get the mean of their scores."""
        from scipy.special import ndtri

        distinct, group, times = costs.unique(sorted=True, return_inverse=True, return_counts=True)
        quantiles = ndtri((np.arange(len(costs)) + 0.5) / len(costs))[::-1].copy()
        order = group.sort(stable=True).values  # the group of every place in ascending order of cost
        scores = torch.zeros(len(distinct), dtype=torch.float64).index_add_(0, order, torch.from_numpy(quantiles))
        scores = scores / times
        every = scores[group]
        spread = every.std(unbiased=False) if len(distinct) > 1 else torch.ones((), dtype=torch.float64)
        return cls(distinct, (scores - every.mean()) / spread)

    def __call__(
        self,
        costs: Tensor,  # [...]
    ) -> Tensor:  # [...]
        """Return the scores of costs; beyond those observed it goes on as between the two last."""
        return _through(costs, self.costs, self.scores)

    def cost(
        self,
        scores: Tensor,  # [...]
    ) -> Tensor:  # [...]
        """Return the costs of scores, none beyond those observed."""
        inside = scores.clamp(float(self.scores.min()), float(self.scores.max()))
        return _through(inside, self.scores.flip(0), self.costs.flip(0))


def _through(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Return the line through points at ``xs``, ascending, linear beyond the ends."""
    if len(xs) == 1:
        return torch.full_like(x, float(ys))
    left = (torch.searchsorted(xs, x.contiguous(), right=True) - 1).clamp(0, len(xs) - 2)
    slope = (ys[left + 1] - ys[left]) / (xs[left + 1] - xs[left])
    return ys[left] + slope * (x - xs[left])
