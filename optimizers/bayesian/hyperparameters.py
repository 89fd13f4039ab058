"""Fitting the hyperparameters of Gaussian processes, one outcome after the other.

Letters: ``N`` observations, ``D`` columns, ``M`` outcomes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optimizers.bayesian.marginal import NOISE_MEAN, NOISE_SCALE, Marginal, length_mean

LENGTHS = (2.5e-2, 1e4)
NOISES = (1e-4, 1e1)
"""Between which lengths and noise variances are looked for; the lower ends are those of BoTorch."""

COLD, WARM = 200, 30
"""Iterations at most: from the prior, and from an earlier fit."""


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """Those of one outcome.

    Args:
        lengths: [D] over which the outcome changes, a column each, in the unit cube.
        noise: variance of the noise of a standardised outcome; NaN when it is known for every observation.
        mean: constant that the outcome tends to far from observations.
        density: their log posterior density, up to a constant of the data.
    """

    lengths: Tensor
    noise: float
    mean: float
    density: float


def fit(
    X: Tensor,  # [N, D]
    Y: Tensor,  # [N, M]
    variance: Tensor | None = None,  # [N, M]
    *,
    start: tuple[Hyperparameters, ...] | None = None,
) -> tuple[Hyperparameters, ...]:
    """Maximise the posterior density of the hyperparameters of every outcome.

    From the prior's mode and from one with short lengths the better end is taken; from an earlier fit there is one
    start alone, and few iterations.

    Args:
        X: points.
        Y: standardised outcomes.
        variance: of the noise, in units of the standardised outcomes; None to infer one an outcome.
        start: an earlier fit, to be improved.
    """
    columns = X.shape[1]
    found = []
    for outcome in range(Y.shape[1]):
        marginal = Marginal(X, Y[:, outcome], None if variance is None else variance[:, outcome])
        if start is not None:
            ends = [_climb(marginal, _theta(start[outcome], marginal), WARM)]
        else:
            mode = length_mean(columns) - 3.0  # log-normal: mean of the logarithm less its variance
            ends = [_climb(marginal, _beginning(marginal, level), COLD) for level in (mode, mode - 1.0)]
        found.append(max(ends, key=lambda one: one.density))
    return tuple(found)


def _beginning(marginal: Marginal, level: float) -> NDArray[np.float64]:
    lengths = np.full(marginal.X.shape[1], level)
    return lengths if marginal.variance is not None else np.append(lengths, NOISE_MEAN - NOISE_SCALE**2)


def _theta(earlier: Hyperparameters, marginal: Marginal) -> NDArray[np.float64]:
    lengths = earlier.lengths.log().numpy()
    if marginal.variance is not None:
        return lengths
    noise = NOISE_MEAN - NOISE_SCALE**2 if math.isnan(earlier.noise) else math.log(earlier.noise)
    return np.append(lengths, noise)


def _climb(marginal: Marginal, theta: NDArray[np.float64], iterations: int) -> Hyperparameters:
    """Run L-BFGS-B; where a covariance is singular the density counts as very low."""
    from scipy.optimize import minimize

    columns = marginal.X.shape[1]
    bounds = [tuple(map(math.log, LENGTHS))] * columns + [tuple(map(math.log, NOISES))] * (len(theta) - columns)

    def descent(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        try:
            value, gradient, _ = marginal(torch.from_numpy(theta))
        except torch.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        return -value, -gradient.numpy()

    theta = np.clip(theta, *np.array(bounds).T)
    end = minimize(descent, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
    best = torch.from_numpy(np.ascontiguousarray(end.x))
    density, _, mean = marginal(best)
    noise = float(best[columns].exp()) if marginal.variance is None else math.nan
    return Hyperparameters(best[:columns].exp(), noise, mean, density)
