"""The closed form against GPyTorch's own likelihood and automatic differentiation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from optimizers.bayesian.marginal import Marginal


def data(count: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    X = torch.rand(count, columns, generator=numbers, dtype=torch.float64)
    y = (4.0 * X[:, 0]).sin() + 0.1 * torch.randn(count, generator=numbers, dtype=torch.float64)
    return X, (y - y.mean()) / y.std()


@pytest.mark.parametrize(("count", "columns"), [(7, 2), (13, 5)])
def test_it_is_the_density_of_a_single_task_gp(count: int, columns: int) -> None:
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    X, y = data(count, columns, seed=count)
    theta = torch.linspace(-1.0, 0.7, columns + 1, dtype=torch.float64)
    value, _, mean = Marginal(X, y)(theta)
    model = SingleTaskGP(X, y[:, None], outcome_transform=None)
    model.covar_module.lengthscale = theta[:-1].exp()
    model.likelihood.noise = theta[-1].exp()
    model.mean_module.constant.data.fill_(mean)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    expected = likelihood(model(X), model.train_targets) * count  # it divides by the number of observations
    assert value == pytest.approx(float(expected.detach()), abs=1e-5)  # its priors are in single precision


@pytest.mark.parametrize("known", [False, True])
def test_the_gradient_is_that_of_differences(known: bool) -> None:
    X, y = data(11, 3, seed=1)
    variance = torch.linspace(0.01, 0.3, 11, dtype=torch.float64) if known else None
    marginal = Marginal(X, y, variance)
    theta = torch.tensor([-0.5, 0.3, 1.0] if known else [-0.5, 0.3, 1.0, -3.0], dtype=torch.float64)
    gradient = marginal(theta)[1]
    for place in range(len(theta)):
        step = torch.zeros_like(theta)
        step[place] = 1e-5
        slope = (marginal(theta + step)[0] - marginal(theta - step)[0]) / 2e-5
        assert float(gradient[place]) == pytest.approx(slope, abs=1e-5)


def test_known_noise_is_that_of_a_normal_distribution() -> None:
    X, y = data(9, 2, seed=2)
    variance = torch.linspace(0.02, 0.5, 9, dtype=torch.float64)
    theta = torch.tensor([0.2, -0.4], dtype=torch.float64)
    value, _, mean = Marginal(X, y, variance)(theta)
    scaled = X / theta.exp()
    K = torch.exp(-0.5 * torch.cdist(scaled, scaled).square()) + variance.diag()
    likelihood = torch.distributions.MultivariateNormal(torch.full((9,), mean, dtype=torch.float64), K).log_prob(y)
    centre, scale = (torch.tensor(one, dtype=torch.float64) for one in (2.0**0.5 + 0.5 * math.log(2.0), 3.0**0.5))
    priors = torch.distributions.LogNormal(centre, scale).log_prob(theta.exp())
    assert value == pytest.approx(float(likelihood + priors.sum()), abs=1e-8)
