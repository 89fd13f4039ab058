"""From costs, which are to be small, to outcomes that a Gaussian process fits well, which are to be great.

Letters: ``N`` observations, ``M`` objectives, ``C`` constraints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

FLOOR = 1e-2
"""Of the smallest positive number of the initial design: what counts as that at least, so that zero has a logarithm."""


@dataclass(frozen=True)
class Scale:
    """How the costs of one objective become an outcome; increasing outcomes are decreasing costs.

    Args:
        offset: added to the cost before its logarithm: 1 for a fraction that is to be great, so that its complement
            counts; None for the cost as it is.
        floor: smallest number whose logarithm is taken.
    """

    offset: float | None = None
    floor: float = 0.0

    @classmethod
    def of(
        cls,
        costs: Tensor,  # [N]
    ) -> Self:
        """Choose by the costs of an initial design, so that it stays as it is.

        Positive ones, such as errors, losses, sizes and times, are compared by their ratios; so are the complements of
        fractions that are to be great, such as accuracies. All others are taken as they are.
        """
        if not len(costs) or bool((costs == 0.0).all()):
            return cls()
        low, high = float(costs.min()), float(costs.max())
        offset = 0.0 if low >= 0.0 else 1.0 if low >= -1.0 and high <= 0.0 else None
        if offset is None:
            return cls()
        numbers = costs + offset
        return cls(offset, FLOOR * float(numbers[numbers > 0.0].min()))

    def outcome(
        self,
        costs: Tensor,  # [N]
    ) -> Tensor:  # [N]
        """Return the outcomes of costs."""
        return -costs if self.offset is None else -(costs + self.offset).clamp_min(self.floor).log()

    def cost(
        self,
        outcomes: Tensor,  # [N]
    ) -> Tensor:  # [N]
        """Return the costs of outcomes."""
        return -outcomes if self.offset is None else (-outcomes).exp() - self.offset


@dataclass(frozen=True, eq=False)
class Standard:
    """Outcomes less their mean, over their standard deviation.

    Args:
        centre: [M] means.
        spread: [M] standard deviations; 1 where all are equal.
    """

    centre: Tensor
    spread: Tensor

    @classmethod
    def of(
        cls,
        Y: Tensor,  # [N, M]
    ) -> Self:
        """Return what standardises these outcomes."""
        spread = Y.std(0) if len(Y) > 1 else torch.ones_like(Y[0])
        return cls(Y.mean(0), torch.where(spread > 1e-12 * Y.abs().amax(0).clamp_min(1e-300), spread, 1.0))

    def __call__(
        self,
        Y: Tensor,  # [..., M]
    ) -> Tensor:  # [..., M]
        """Return standardised outcomes."""
        return (Y - self.centre) / self.spread

    def back(
        self,
        Z: Tensor,  # [..., M]
    ) -> Tensor:  # [..., M]
        """Return outcomes from standardised ones."""
        return Z * self.spread + self.centre


def reference_point(
    Y: Tensor,  # [N, M]
) -> Tensor:  # [M]
    """Return the point from which the hypervolume of outcomes counts: the worst of a design less a tenth of its range.

    It is found once, from the initial design, since with one that moves neither a search that carries on nor a curve of
    hypervolumes would be what it was.

    Args:
        Y: outcomes of the initial design.
    """
    worst, best = Y.amin(0), Y.amax(0)
    spread = torch.where(best > worst, best - worst, best.abs().clamp_min(1.0))
    return worst - 0.1 * spread
