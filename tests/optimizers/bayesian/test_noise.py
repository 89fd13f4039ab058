"""Noise from replicates: bias of logarithms, and a better likelihood than one noise for all."""

from __future__ import annotations

import statistics

import torch
from torch import Tensor

from optimizers.bayesian import Standard, Surrogate, fit
from optimizers.bayesian.noise import ENOUGH, log_bias, smoothed_noise


def clean(X: Tensor) -> Tensor:
    return (3.0 * X[:, 0]).sin() + X[:, 1].square()


def deviation(X: Tensor) -> Tensor:
    """Standard deviation of the noise: ten times as large at one end as at the other."""
    return 0.05 * 10.0 ** X[:, 0]


def test_the_bias_is_that_of_log_sample_variances() -> None:
    numbers = torch.Generator().manual_seed(0)
    for degrees in (1, 2, 5):
        samples = torch.randn(200_000, degrees + 1, generator=numbers, dtype=torch.float64)
        logs = samples.var(1).log()
        assert abs(float(logs.mean() + log_bias(torch.tensor(float(degrees))))) < 0.02


def test_it_needs_enough_replicated_points() -> None:
    numbers = torch.Generator().manual_seed(1)
    X = torch.rand(ENOUGH + 3, 3, generator=numbers, dtype=torch.float64)
    Y = torch.randn(ENOUGH + 3, 2, generator=numbers, dtype=torch.float64)
    point = torch.arange(ENOUGH + 3)
    twice = torch.cat([X, X[: ENOUGH - 1]]), torch.cat([Y, Y[: ENOUGH - 1] + 0.1]), torch.cat([point, point[:-4]])
    assert len(twice[2]) == 2 * ENOUGH + 2
    assert smoothed_noise(*twice) is None
    once_more = (torch.cat([part, part[ENOUGH - 1 : ENOUGH]]) for part in twice)
    found = smoothed_noise(*once_more)
    assert found is not None
    assert found.shape == (2 * ENOUGH + 3, 2)
    assert (found > 0.0).all()


def test_it_follows_the_noise() -> None:
    numbers = torch.Generator().manual_seed(2)
    X = torch.rand(40, 2, generator=numbers, dtype=torch.float64).repeat_interleave(3, 0)
    y = clean(X) + deviation(X) * torch.randn(120, generator=numbers, dtype=torch.float64)
    found = smoothed_noise(X, y[:, None], torch.arange(40).repeat_interleave(3))
    assert found is not None
    ratio = found[:, 0].sqrt() / deviation(X)
    assert ratio.log().mean().abs() < 0.3
    assert torch.corrcoef(torch.stack([found[:, 0].log(), deviation(X).log()]))[0, 1] > 0.9


def test_held_out_observations_are_likelier_than_with_one_noise() -> None:
    """Section G 19: mean of 8 seeds, standard deviations that vary tenfold."""
    gains = []
    for seed in range(8):
        numbers = torch.Generator().manual_seed(seed)
        X = torch.rand(30, 2, generator=numbers, dtype=torch.float64).repeat_interleave(2, 0)
        y = clean(X) + deviation(X) * torch.randn(60, generator=numbers, dtype=torch.float64)
        other = torch.rand(200, 2, generator=numbers, dtype=torch.float64)
        new = clean(other) + deviation(other) * torch.randn(200, generator=numbers, dtype=torch.float64)
        standard = Standard.of(y[:, None])
        Y, point = standard(y[:, None]), torch.arange(30).repeat_interleave(2)
        variance = smoothed_noise(X, Y, point)
        assert variance is not None
        found = Surrogate.build(X, Y, fit(X, Y, variance), variance)
        one = Surrogate.build(X, Y, fit(X, Y))
        known = smoothed_noise(torch.cat([X, other]), torch.cat([Y, Y[:1].expand(200, 1)]), _unique(point, 200))
        assert known is not None
        gains.append(
            _likelihood(found, other, standard(new[:, None]), known[60:])
            - _likelihood(one, other, standard(new[:, None]), torch.full((200, 1), one.hyperparameters[0].noise))
        )
    assert statistics.mean(gains) > 0.05


def _unique(point: Tensor, count: int) -> Tensor:
    return torch.cat([point, torch.arange(1000, 1000 + count)])


def _likelihood(surrogate: Surrogate, X: Tensor, Y: Tensor, noise: Tensor) -> float:
    mean, variance = surrogate.moments(X)
    return float(torch.distributions.Normal(mean, (variance + noise).sqrt()).log_prob(Y).mean())
