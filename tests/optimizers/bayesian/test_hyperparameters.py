"""Fits: as good as BoTorch's own, per outcome, and from an earlier one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optimizers.bayesian.hyperparameters import fit
from optimizers.bayesian.marginal import Marginal


def data(count: int = 23, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return two outcomes, of which one depends on the first column and one on the third."""
    numbers = torch.Generator().manual_seed(seed)
    X = torch.rand(count, 4, generator=numbers, dtype=torch.float64)
    Y = torch.stack([(6.0 * X[:, 0]).sin(), (5.0 * X[:, 2]).cos()], 1)
    Y = Y + 0.05 * torch.randn(count, 2, generator=numbers, dtype=torch.float64)
    return X, (Y - Y.mean(0)) / Y.std(0)


def test_it_is_at_least_as_dense_as_what_botorch_finds() -> None:
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    X, Y = data()
    for outcome, found in enumerate(fit(X, Y)):
        model = SingleTaskGP(X, Y[:, outcome : outcome + 1], outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        theta = torch.cat([model.covar_module.lengthscale[0].log(), model.likelihood.noise.log()]).detach()
        assert found.density >= Marginal(X, Y[:, outcome])(theta)[0] - 1e-3


def test_lengths_name_the_columns_that_matter() -> None:
    X, Y = data(41)
    first, second = fit(X, Y)
    assert first.lengths.argmin() == 0
    assert second.lengths.argmin() == 2
    assert first.lengths[0] < 1.0 < first.lengths[1:].min()
    assert 0.0 < first.noise < 0.05


def test_an_earlier_fit_is_improved_in_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section G 18: a warm start takes no longer than a cold one."""
    X, Y = data(31)
    start, asked, whole = fit(X[:27], Y[:27]), [], Marginal.__call__
    monkeypatch.setattr(Marginal, "__call__", lambda self, theta: asked.append(theta) or whole(self, theta))
    cold, times = fit(X, Y), len(asked)
    warm = fit(X, Y, start=start)
    assert 0 < len(asked) - times < times / 2
    for one, other in zip(cold, warm, strict=True):
        assert abs(one.density - other.density) < 1e-2


def test_known_noise_is_not_fitted() -> None:
    X, Y = data()
    variance = torch.full_like(Y, 0.01)
    found = fit(X, Y, variance)
    assert all(one.noise != one.noise for one in found)
    assert found[0].lengths.argmin() == 0
    assert fit(X, Y, variance, start=fit(X, Y))[0].lengths.argmin() == 0
    assert fit(X, Y, start=found)[0].noise > 0.0


def test_outcomes_that_never_change_can_be_fitted() -> None:
    X, _ = data()
    (found,) = fit(X, torch.zeros(len(X), 1, dtype=torch.float64))
    assert torch.isfinite(found.lengths).all()
