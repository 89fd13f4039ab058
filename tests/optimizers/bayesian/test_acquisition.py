"""Acquisitions against known values: expected improvement in closed form, hypervolumes of posterior samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archgraph.search import hypervolume
from archgraph.spaces import Column
from optimizers.bayesian import Cube, Standard, Surrogate, fit

CUBE = Cube((Column("a", None, "a"), Column("b", None, "b")))


def surrogate(outcomes: int, *, count: int = 9) -> tuple[Surrogate, Tensor, Tensor, Standard]:
    """Return a surrogate without noise, its points, their standardised outcomes and what standardised them."""
    X = torch.rand(count, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    Y = torch.stack([(4.0 * X[:, 0]).sin(), (3.0 * X[:, 1]).cos() - X[:, 0], X[:, 1] - 0.4], 1)[:, :outcomes]
    standard = Standard.of(Y)
    Z = standard(Y)
    variance = torch.full_like(Z, 1e-5)
    return Surrogate.build(X, Z, fit(X, Z, variance), variance), X, Z, standard


def points(count: int) -> Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def improvement(built: Surrogate, X: Tensor, standard: Standard, *, objectives: int = 1, **given: Tensor | None):
    from optimizers.bayesian.acquisition import improvement

    reference, pending = given.get("reference"), given.get("pending")
    reference = torch.zeros(objectives, dtype=torch.float64) if reference is None else reference
    return improvement(
        built.model, X, objectives=objectives, standard=standard, reference=reference, pending=pending, seed=1
    )


def test_without_noise_it_is_the_expected_improvement() -> None:
    built, X, Z, standard = surrogate(1)
    acquisition, asked = improvement(built, X, standard), points(40)
    with torch.no_grad():
        found = acquisition(asked[:, None, :]).exp()
    mean, variance = built.moments(asked)
    normal, deviation = torch.distributions.Normal(0.0, 1.0), variance.sqrt()
    u = (mean - Z.max()) / deviation
    expected = deviation * (u * normal.cdf(u) + normal.log_prob(u).exp())
    assert torch.allclose(found, expected[:, 0], rtol=0.05, atol=0.003)
    assert found.argmax() == expected.argmax()


def test_with_two_objectives_it_is_the_expected_hypervolume() -> None:
    built, X, Z, standard = surrogate(2)
    reference = Z.amin(0) - 0.1
    acquisition, asked = improvement(built, X, standard, objectives=2, reference=reference), points(12)
    with torch.no_grad():
        found = acquisition(asked[:, None, :]).exp()
    mean, variance = built.moments(asked)
    samples = mean + variance.sqrt() * torch.randn(4000, 12, 2, generator=torch.Generator().manual_seed(0)).double()
    costs = (-Z).tolist()
    before = hypervolume(costs, (-reference).tolist())
    for place in range(12):
        after = [hypervolume([*costs, (-one).tolist()], (-reference).tolist()) for one in samples[:500, place]]
        expected = sum(after) / len(after) - before
        assert float(found[place]) == pytest.approx(expected, rel=0.2, abs=0.01)


def test_where_a_constraint_is_broken_nothing_is_to_be_won() -> None:
    (built, X, Z, standard), (without, _, _, own) = surrogate(3), surrogate(2)
    reference = Z[:, :2].amin(0) - 2.0
    asked = torch.tensor([[0.4, 0.05], [0.4, 0.95]], dtype=torch.float64)  # the third outcome is b - 0.4, held below 0
    with torch.no_grad():
        free = improvement(without, X, own, objectives=2, reference=reference)(asked[:, None, :])
        held = improvement(built, X, standard, objectives=2, reference=reference)(asked[:, None, :])
    assert held[1] < free[1] - 5.0
    assert held[0] > held[1] + 5.0


def test_what_is_pending_is_not_won_twice() -> None:
    built, X, _, standard = surrogate(1)
    asked = points(40)
    with torch.no_grad():
        alone = improvement(built, X, standard)(asked[:, None, :])
        best = asked[alone.argmax()]
        again = improvement(built, X, standard, pending=best[None])(best[None, None])
    assert again[0] < alone.max() - 1.0


def test_terms_are_added_and_context_is_put_in() -> None:
    from optimizers.bayesian.acquisition import Acquisition

    built, X, _, standard = surrogate(1)
    inner = improvement(built, X, standard)
    only = Cube((Column("a", None, "a"),))
    whole = Acquisition(inner, only, terms=[lambda X: 2.0 * X[..., 0]], context=(0.7,), starts=X[:, :1])
    asked = points(5)[:, :1]
    with torch.no_grad():
        full = torch.cat([asked, torch.full_like(asked, 0.7)], 1)
        assert torch.allclose(whole(asked[:, None, :]), inner(full[:, None, :]) + 2.0 * asked[:, 0])
