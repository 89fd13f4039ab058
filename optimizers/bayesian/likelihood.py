"""The log likelihood of outcomes under a normal distribution, with the mean that maximises it, and its gradient.

Rasmussen and Williams, *Gaussian Processes for Machine Learning* (MIT Press 2006), equations 5.8 and 5.9. The sign of
the determinant matters: ``- 1/2 log |A|``; with the other one large covariances would be rewarded.

Letters: ``N`` observations.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Likelihood(NamedTuple):
    """The log likelihood of outcomes.

    Args:
        value: [] the log likelihood.
        slopes: [N, N] ``W = a a' - A^-1`` with ``a = A^-1 (y - mean)``: for any hyperparameter the gradient is
            ``1/2 tr(W dA)`` (5.9).
        mean: [] that maximises it: ``1' A^-1 y / 1' A^-1 1``.
    """

    value: Tensor
    slopes: Tensor
    mean: Tensor


def likelihood(
    A: Tensor,  # [N, N]  covariance, noise included
    y: Tensor,  # [N]  outcomes
) -> Likelihood:
    """Return ``-1/2 (y - mean)' A^-1 (y - mean) - 1/2 log |A| - N/2 log 2 pi`` (5.8), its slopes and the mean.

    Raises:
        torch.linalg.LinAlgError: when the covariance is not positive definite.

    >>> one, half = torch.eye(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> [round(float(number), 4) for number in likelihood(2.0 * one, half)[::2]]
    [-4.2965, 2.0]
    """
    L = torch.linalg.cholesky(A)
    inverse = torch.cholesky_inverse(L)
    weights = inverse.sum(0)
    mean = (weights @ y) / weights.sum()
    rest = y - mean
    a = inverse @ rest
    value = -0.5 * (rest @ a) - L.diagonal().log().sum() - 0.5 * len(y) * math.log(2.0 * math.pi)
    return Likelihood(value, torch.outer(a, a) - inverse, mean)
