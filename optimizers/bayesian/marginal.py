"""The log marginal likelihood of a Gaussian process, and its gradient, in closed form.

Rasmussen and Williams, *Gaussian Processes for Machine Learning* (MIT Press 2006), equations 5.8 and 5.9. The model is
that of ``botorch.models.SingleTaskGP``: a constant mean, a squared-exponential kernel with a length a column and unit
variance, noise, and its priors (Hvarfner, Hellsten and Nardi, *Vanilla Bayesian Optimization Performs Great in High
Dimensions*, ICML 2024, for the lengths). Automatic differentiation through GPyTorch takes some ten times as long at the
sizes of an architecture search, where the overhead of a call counts more than its arithmetic.

Letters: ``N`` observations, ``D`` columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from optimizers.bayesian.likelihood import likelihood

LENGTH_SCALE = math.sqrt(3.0)
"""Standard deviation of a length's logarithm, a priori."""
NOISE_MEAN, NOISE_SCALE = -4.0, 1.0
"""Mean and standard deviation of the noise variance's logarithm, a priori."""


def length_mean(columns: int) -> float:
    """Return the prior mean of a length's logarithm, which grows with the diagonal of the cube."""
    return math.sqrt(2.0) + 0.5 * math.log(columns)


@dataclass(frozen=True, eq=False)
class Marginal:
    """The log posterior density of the hyperparameters of one outcome, up to a constant.

    Args:
        X: [N, D] points.
        y: [N] outcomes, standardised.
        variance: [N] known variances of the noise; None when one variance is to be inferred.
    """

    X: Tensor
    y: Tensor
    variance: Tensor | None = None

    @cached_property
    def squares(self) -> Tensor:  # [D, N * N]
        """Squared differences, column by column."""
        return (self.X.T[:, :, None] - self.X.T[:, None, :]).square().flatten(1)

    def __call__(
        self,
        theta: Tensor,  # [D + 1], or [D] with known noise: logarithms of the lengths and of the noise variance
    ) -> tuple[float, Tensor, float]:
        """Return the log density, its gradient in ``theta`` and the mean that maximises it.

        ``A = K + noise``.

        Raises:
            torch.linalg.LinAlgError: when the covariance is not positive definite.
        """
        count, columns = self.X.shape
        inverse_squares = (-2.0 * theta[:columns]).exp()
        K = (-0.5 * (inverse_squares @ self.squares)).exp().view(count, count)
        noise = theta[columns].exp() if self.variance is None else self.variance
        A = K.clone()
        A.diagonal().add_(noise)
        value, W, mean = likelihood(A, self.y)
        gradient = torch.zeros_like(theta)
        gradient[:columns] = 0.5 * inverse_squares * (self.squares @ (W * K).flatten())
        if self.variance is None:
            gradient[columns] = 0.5 * noise * W.diagonal().sum()
        return *self._with_priors(theta, value, gradient), float(mean)

    def _with_priors(self, theta: Tensor, value: Tensor, gradient: Tensor) -> tuple[float, Tensor]:
        """Add the log-normal densities: ``-(t - m)^2 / 2 s^2 - t``, the last term because they are of ``exp(t)``."""
        means = torch.full_like(theta, length_mean(self.X.shape[1]))
        scales = torch.full_like(theta, LENGTH_SCALE)
        if self.variance is None:
            means[-1], scales[-1] = NOISE_MEAN, NOISE_SCALE
        z = (theta - means) / scales
        constant = theta.numel() * 0.5 * math.log(2.0 * math.pi) + float(scales.log().sum())
        value = value - (0.5 * z.square() + theta).sum() - constant
        return float(value), gradient - z / scales - 1.0
