"""How well a mixture of kernels explains outcomes: the log marginal likelihood of a Gaussian process, and its gradient.

The covariance is ``A = sum_l a_l K_l + s I`` with given Gram matrices: only variances are to be found, so the closed
form (:mod:`optimizers.bayesian.likelihood`) costs no more than one inverse.

Letters: ``N`` observations, ``L`` Gram matrices, ``G`` graphs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optimizers.bayesian.likelihood import likelihood

VARIANCE_SCALE = 1.5
"""Standard deviation of a variance's logarithm, a priori; all variances together are 1 in the middle."""
NOISE_MEAN, NOISE_SCALE = -4.0, 1.0
"""Mean and standard deviation of the noise variance's logarithm, a priori."""
VARIANCES = (1e-4, 5e1)
NOISES = (1e-4, 3e0)
"""Between which variances are looked for, of a standardised outcome."""
ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Mixture:
    """What was fitted to one outcome.

    Args:
        variances: [L] of the Gram matrices, ``a_l``.
        noise: variance of the noise, ``s``.
        mean: constant that the outcome tends to far from observations.
        density: log posterior density of these, up to a constant of the data.
    """

    variances: Tensor
    noise: float
    mean: float
    density: float

    @property
    def scale(self) -> float:
        """Variance of the outcome without noise, where Gram matrices have a diagonal of ones."""
        return float(self.variances.sum())

    @property
    def weights(self) -> Tensor:  # [L]
        """Share of every Gram matrix in that."""
        return self.variances / self.variances.sum()

    def gram(
        self,
        grams: Tensor,  # [L, ...]
    ) -> Tensor:  # [...]
        """Return the covariances without noise."""
        return torch.tensordot(self.variances, grams, 1)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The log posterior density of variances.

    Args:
        grams: [L, N, N] of the observed graphs.
        y: [N] outcomes, standardised.
    """

    grams: Tensor
    y: Tensor

    def likelihood(
        self,
        theta: Tensor,  # [L + 1]  logarithms of the variances and of the noise variance
    ) -> tuple[Tensor, Tensor, Tensor]:  # [], [L + 1], []
        """Return the log marginal likelihood, its gradient and the mean that maximises it.

        Raises:
            torch.linalg.LinAlgError: when the covariance is not positive definite.
        """
        levels = len(self.grams)
        variances = theta.exp()
        A = torch.tensordot(variances[:levels], self.grams, 1)
        A.diagonal().add_(variances[levels])
        value, W, mean = likelihood(A, self.y)
        traces = torch.cat([self.grams.flatten(1) @ W.flatten(), W.diagonal().sum()[None]])
        return value, 0.5 * variances * traces, mean

    def __call__(self, theta: Tensor) -> tuple[float, Tensor, float]:
        """Return the log posterior density with its gradient, and the mean; priors are normal in the logarithms."""
        value, gradient, mean = self.likelihood(theta)
        z = (theta - self._centre) / self._spread
        return float(value - 0.5 * z.square().sum()), gradient - z / self._spread, float(mean)

    @property
    def _centre(self) -> Tensor:
        levels = len(self.grams)
        return self.y.new_tensor([-math.log(levels)] * levels + [NOISE_MEAN])

    @property
    def _spread(self) -> Tensor:
        return self.y.new_tensor([VARIANCE_SCALE] * len(self.grams) + [NOISE_SCALE])

    def fit(self) -> Mixture:
        """Maximise the density from its middle by L-BFGS-B; where a covariance is singular it counts as very low."""
        from scipy.optimize import minimize

        def descent(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            try:
                value, gradient, _ = self(torch.from_numpy(theta))
            except torch.linalg.LinAlgError:
                return 1e10, np.zeros_like(theta)
            return -value, -gradient.numpy()

        bounds = [_logs(VARIANCES)] * len(self.grams) + [_logs(NOISES)]
        options = {"maxiter": ITERATIONS}
        end = minimize(descent, self._centre.numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        theta = torch.from_numpy(np.ascontiguousarray(end.x))
        density, _, mean = self(theta)
        variances = theta.exp()
        return Mixture(variances[:-1], float(variances[-1]), mean, density)


def _logs(ends: tuple[float, float]) -> tuple[float, float]:
    return math.log(ends[0]), math.log(ends[1])
