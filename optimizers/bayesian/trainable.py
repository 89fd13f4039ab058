"""What a search cannot foresee: the probability that a point can be trained at all.

Whether an evaluation fails or is refused is a yes or no; a Gaussian process on labels 1 and -1 with inferred noise
gives ``P(trainable) = Phi(mean / sqrt(variance + noise))``. Failures thus never become outcomes.

Letters: ``N`` observations, ``D`` columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from optimizers.bayesian.hyperparameters import fit
from optimizers.bayesian.surrogate import Surrogate


@dataclass(frozen=True, eq=False)
class Trainable:
    """The probability that a point can be trained.

    Args:
        surrogate: of the standardised labels.
        centre: mean of the labels.
        spread: their standard deviation.
    """

    surrogate: Surrogate
    centre: float
    spread: float

    @classmethod
    def learn(
        cls,
        good: Tensor,  # [N, D]
        bad: Tensor,  # [N', D]
    ) -> Self | None:
        """Learn from points that were trained and points that were not; None when one of them is missing."""
        if not len(good) or not len(bad):
            return None
        X = torch.cat([good, bad])
        labels = torch.cat([torch.ones(len(good), dtype=X.dtype), -torch.ones(len(bad), dtype=X.dtype)])
        centre, spread = labels.mean(), labels.std()
        Y = ((labels - centre) / spread)[:, None]
        return cls(Surrogate.build(X, Y, fit(X, Y)), float(centre), float(spread))

    def log_probability(
        self,
        X: Tensor,  # [..., D]
    ) -> Tensor:  # [...]
        """Return the logarithm of the probability; differentiable."""
        posterior = self.surrogate.model.posterior(X[..., None, :])
        mean, variance = posterior.mean[..., 0, 0], posterior.variance[..., 0, 0]
        noise = self.surrogate.hyperparameters[0].noise
        return torch.special.log_ndtr((mean + self.centre / self.spread) / (variance + noise).sqrt())
