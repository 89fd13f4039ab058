"""The evidence against torch's normal distribution, its gradient against autograd, the fit against noise and signal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from optimizers.graph_bo.evidence import Evidence


def drawn(count: int, levels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    grams = []
    for level in range(levels):
        features = torch.randn(count, 3 + level, generator=generator, dtype=torch.float64)
        features = features / features.norm(dim=1, keepdim=True)
        grams.append(features @ features.T)
    return torch.stack(grams), torch.randn(count, generator=generator, dtype=torch.float64)


def test_it_is_the_density_of_a_normal_distribution() -> None:
    """Section G 21, a regression of F12: the sign of the determinant."""
    grams, y = drawn(7, 3)
    theta = torch.tensor([-0.3, 0.4, -1.1, -2.0], dtype=torch.float64)
    value, _, mean = Evidence(grams, y).likelihood(theta)
    A = torch.einsum("l,lij->ij", theta[:3].exp(), grams) + theta[3].exp() * torch.eye(7, dtype=torch.float64)
    expected = MultivariateNormal(mean.expand(7), A).log_prob(y)
    assert abs(float(value - expected)) < 1e-8


def test_the_mean_is_the_most_likely_one() -> None:
    grams, y = drawn(6, 2)
    theta = torch.tensor([0.2, -0.5, -1.0], dtype=torch.float64)
    value, _, mean = Evidence(grams, y).likelihood(theta)
    A = torch.einsum("l,lij->ij", theta[:2].exp(), grams) + theta[2].exp() * torch.eye(6, dtype=torch.float64)
    for step in (-1e-3, 1e-3):
        assert MultivariateNormal((mean + step).expand(6), A).log_prob(y) < value


def test_its_gradient_is_that_of_differences() -> None:
    evidence = Evidence(*drawn(9, 2))
    theta = torch.tensor([0.3, -0.7, -1.5], dtype=torch.float64)
    _, gradient, _ = evidence(theta)
    for place in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[place] = 1e-5
        difference = (evidence(theta + step)[0] - evidence(theta - step)[0]) / 2e-5
        assert abs(float(gradient[place]) - difference) < 1e-7


def test_what_explains_the_outcomes_gets_the_variance() -> None:
    grams, noise = drawn(40, 2, seed=3)
    generator = torch.Generator().manual_seed(1)
    root = torch.linalg.cholesky(grams[1] + 1e-9 * torch.eye(40, dtype=torch.float64))
    signal = root @ torch.randn(40, generator=generator, dtype=torch.float64)
    fitted = Evidence(grams, signal / signal.std() + 0.01 * noise).fit()
    assert fitted.weights[1] > 0.9
    assert fitted.noise < 0.02
    assert Evidence(grams, noise).fit().noise > 0.3
    assert abs(float(fitted.weights.sum()) - 1.0) < 1e-12


def test_equal_outcomes_and_singular_grams_are_survived() -> None:
    ones = torch.ones(2, 5, 5, dtype=torch.float64)
    assert Evidence(ones, torch.zeros(5, dtype=torch.float64)).fit().noise > 0.0
