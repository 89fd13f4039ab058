"""The surrogate: independent Gaussian processes on the same points, one an outcome, as one batched BoTorch model.

Letters: ``N`` observations, ``D`` columns, ``M`` outcomes, ``Q`` points asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from optimizers.bayesian.alone import load_botorch
from optimizers.bayesian.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Gaussian processes with their hyperparameters.

    Args:
        model: batched over outcomes, in double precision, in eval mode.
        hyperparameters: one an outcome.
    """

    model: SingleTaskGP
    hyperparameters: tuple[Hyperparameters, ...]

    @classmethod
    def build(
        cls,
        X: Tensor,  # [N, D]
        Y: Tensor,  # [N, M]
        hyperparameters: tuple[Hyperparameters, ...],
        variance: Tensor | None = None,  # [N, M]
    ) -> Self:
        """Condition Gaussian processes on observations.

        Args:
            X: points.
            Y: standardised outcomes.
            hyperparameters: as they were fitted to these.
            variance: of the noise, where it is known.
        """
        load_botorch()
        from botorch.models import SingleTaskGP

        model = SingleTaskGP(X, Y, train_Yvar=variance, outcome_transform=None)
        lengths = torch.stack([one.lengths for one in hyperparameters])  # [M, D]
        means = torch.tensor([one.mean for one in hyperparameters], dtype=X.dtype)
        several = Y.shape[1] > 1
        model.covar_module.lengthscale = lengths[:, None, :] if several else lengths
        model.mean_module.constant.data.copy_(means if several else means[0])
        if variance is None:
            noises = torch.tensor([one.noise for one in hyperparameters], dtype=X.dtype)
            model.likelihood.noise = noises[:, None] if several else noises
        model.requires_grad_(requires_grad=False).eval()
        return cls(model, hyperparameters)

    def moments(
        self,
        X: Tensor,  # [Q, D]
    ) -> tuple[Tensor, Tensor]:  # [Q, M], [Q, M]
        """Return mean and variance of the outcomes without noise."""
        with torch.no_grad():
            posterior = self.model.posterior(X[:, None, :])  # every point by itself: no covariances between them
            return posterior.mean[:, 0, :], posterior.variance[:, 0, :]

    def mean(
        self,
        X: Tensor,  # [Q, D]
    ) -> Tensor:  # [Q, M]
        """Return the mean of the outcomes."""
        return self.moments(X)[0]
