"""Noise that differs from place to place, estimated from replicates.

Sample variances of the replicates of a point are smoothed over the space: a Gaussian process is fitted to their
logarithms, whose expectation is too low by ``digamma(k / 2) - log(k / 2)`` at ``k`` degrees of freedom.

Letters: ``N`` observations, ``D`` columns, ``M`` outcomes, ``R`` replicated points.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optimizers.bayesian.hyperparameters import fit
from optimizers.bayesian.surrogate import Surrogate

ENOUGH = 8
"""Replicated points from which on noise is estimated place by place."""
LEAST = 1e-4
"""Noise variance at least, of a standardised outcome."""


def smoothed_noise(
    X: Tensor,  # [N, D]
    Y: Tensor,  # [N, M]
    point: Tensor,  # [N]
) -> Tensor | None:  # [N, M]
    """Return the variance of the noise of every observation, or None when too few points are replicated.

    Args:
        X: points.
        Y: standardised outcomes.
        point: number of the point that an observation is of; equal ones are replicates.
    """
    groups = [torch.nonzero(point == one).flatten() for one in point.unique()]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < ENOUGH:
        return None
    places = torch.stack([X[group[0]] for group in groups])  # [R, D]
    degrees = torch.tensor([len(group) - 1 for group in groups], dtype=X.dtype)  # [R]
    variances = torch.stack([Y[group].var(0) for group in groups]).clamp_min(LEAST)  # [R, M]
    logs = variances.log() + log_bias(degrees)[:, None]
    return smooth(places, logs, degrees, X).exp().clamp(LEAST, 10.0)


def log_bias(
    degrees: Tensor,  # [R]
) -> Tensor:  # [R]
    """Return what is to be added to the logarithm of a sample variance to make its expectation right.

    >>> round(float(log_bias(torch.tensor([1.0]))), 2)
    1.27
    """
    half = degrees / 2.0
    return half.log() - torch.digamma(half)


def smooth(
    places: Tensor,  # [R, D]
    logs: Tensor,  # [R, M]
    degrees: Tensor,  # [R]
    X: Tensor,  # [N, D]
) -> Tensor:  # [N, M]
    """Return the logarithms of variances at points, from those at some places.

    The noise of a logarithm is known: ``trigamma(k / 2)`` at ``k`` degrees of freedom.
    """
    centre, spread = logs.mean(0), logs.std(0).clamp_min(math.sqrt(LEAST))
    known = torch.polygamma(1, degrees / 2.0)[:, None] / spread.square()  # [R, M]
    Y = (logs - centre) / spread
    found = Surrogate.build(places, Y, fit(places, Y, known), known)
    return centre + spread * found.mean(X)
