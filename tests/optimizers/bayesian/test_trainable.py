"""The probability that a point can be trained."""

from __future__ import annotations

import torch

from optimizers.bayesian import Trainable


def test_without_failures_there_is_nothing_to_learn() -> None:
    X = torch.rand(5, 3, dtype=torch.float64)
    assert Trainable.learn(X, X[:0]) is None
    assert Trainable.learn(X[:0], X) is None


def test_it_finds_where_things_fail() -> None:
    X = torch.rand(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fails = X[:, 0] > 0.6
    found = Trainable.learn(X[~fails], X[fails])
    assert found is not None
    p = found.log_probability(torch.tensor([[0.1, 0.4], [0.95, 0.4]], dtype=torch.float64)).exp()
    assert p[0] > 0.9
    assert p[1] < 0.1


def test_failures_anywhere_lower_it_everywhere_alike() -> None:
    numbers = torch.Generator().manual_seed(1)
    X = torch.rand(100, 2, generator=numbers, dtype=torch.float64)
    fails = torch.arange(100) % 5 == 0
    found = Trainable.learn(X[~fails], X[fails])
    assert found is not None
    p = found.log_probability(torch.rand(50, 2, generator=numbers, dtype=torch.float64)).exp()
    assert abs(float(p.mean()) - 0.8) < 0.08


def test_gradients_and_batches() -> None:
    X = torch.rand(9, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = Trainable.learn(X[:6], X[6:])
    assert found is not None
    points = torch.rand(4, 3, 2, dtype=torch.float64, requires_grad=True)
    values = found.log_probability(points)
    assert values.shape == (4, 3)
    values.sum().backward()
    assert points.grad is not None
    assert points.grad.abs().sum() > 0.0
