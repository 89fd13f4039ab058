"""The log likelihood against torch's normal distribution, its slopes against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from optimizers.bayesian.likelihood import likelihood


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    root = torch.randn(count, count + 2, generator=numbers, dtype=torch.float64)
    return root @ root.T / count + 0.1 * torch.eye(count), torch.randn(count, generator=numbers, dtype=torch.float64)


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (7, 1)])
def test_the_density_at_the_mean_that_is_most_likely(count: int, seed: int) -> None:
    A, y = drawn(count, seed)
    found = likelihood(A, y)
    free = found.mean.clone().requires_grad_()
    expected = MultivariateNormal(free.expand(count), A).log_prob(y)
    assert float(found.value) == pytest.approx(expected.item(), abs=1e-10)
    (slope,) = torch.autograd.grad(expected, free)
    assert float(slope) == pytest.approx(0.0, abs=1e-10)


def test_slopes_are_those_of_autograd() -> None:
    """``dA`` is symmetric, so the slope along ``A[i, j]`` and ``A[j, i]`` together is ``W[i, j]``."""
    A, y = drawn(5, 2)
    free = A.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(likelihood(free, y).value, free)
    symmetric = 0.5 * (gradient + gradient.T)
    assert torch.allclose(likelihood(A, y).slopes, 2.0 * symmetric, rtol=0.0, atol=1e-10)


def test_a_covariance_that_is_none() -> None:
    with pytest.raises(torch.linalg.LinAlgError):
        likelihood(-torch.eye(3), torch.ones(3))
