"""What follows from a fitted surrogate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archgraph.spaces import Column
from optimizers.bayesian import Belief, Cube, Observations, alone
from optimizers.bayesian.belief import Price

CUBE = Cube(tuple(Column(name, None, name) for name in "abc"))


def observations(
    count: int = 31, *, share: Tensor | None = None, spent: Tensor | None = None, seed: int = 0
) -> Observations:
    """Return points whose cost depends on the second column, with the third under a constraint."""
    numbers = torch.Generator().manual_seed(seed)
    X = torch.rand(count, 3, generator=numbers, dtype=torch.float64)
    noise = 0.02 * torch.randn(count, generator=numbers, dtype=torch.float64)
    costs = torch.stack([0.2 + (X[:, 1] - 0.6) ** 2 + noise, 10.0 + X[:, 0]], 1)
    share = torch.ones(count, dtype=torch.float64) if share is None else share
    costs[:, 0] += 0.5 * (1.0 - share)
    spent = torch.full((count,), math.nan, dtype=torch.float64) if spent is None else spent
    slack = (X[:, 2] - 0.7)[:, None]
    return Observations(X, costs, slack, share, spent, torch.arange(count), 10, X[:0], X[:0])


def test_lengths_and_expectations() -> None:
    with alone(0):
        belief = Belief.of(observations())
        mean, deviation = belief.expected(torch.tensor([[0.5, 0.6, 0.2], [0.5, 0.0, 0.9]], dtype=torch.float64))
    assert belief.lengths.shape == (2, 3)
    assert belief.lengths.argmin(1).tolist() == [1, 0]
    cost = belief.scales[0].cost(mean[:, 0])
    assert torch.allclose(cost, torch.tensor([0.2, 0.56], dtype=torch.float64), atol=0.05)
    assert torch.allclose(mean[:, 2], torch.tensor([-0.5, 0.2], dtype=torch.float64), atol=0.05)
    assert (deviation > 0.0).all()


def test_the_recommendation_is_expected_to_keep_the_constraints() -> None:
    with alone(0):
        data = observations()
        best = Belief.of(data).recommended()
    assert (best == data.X).all(1).any()
    assert best[2] < 0.72
    assert abs(best[1] - 0.6) < 0.15


def test_a_lucky_observation_is_not_recommended() -> None:
    data = observations(40)
    lucky = int(((data.X[:, 1] - 0.6).abs() - 0.25).abs().argmin())
    data.costs[lucky, 0] = float(data.costs[:, 0].min()) - 0.01  # better than any
    with alone(0):
        assert not torch.equal(Belief.of(data).recommended(), data.X[lucky])


def test_the_reference_point_stays() -> None:
    with alone(0):
        references = [Belief.of(observations(count)).reference for count in (31,)]
        more = observations()
        more.costs[10:] *= 3.0
        references.append(Belief.of(more).reference)
    assert torch.equal(*references)


def test_lower_fidelities_tell_of_the_whole_recipe() -> None:
    share = torch.where(torch.arange(31) % 3 > 0, 0.25, 1.0).double()
    with alone(0):
        belief = Belief.of(observations(share=share))
        mean, _ = belief.expected(torch.tensor([[0.5, 0.6, 0.2]], dtype=torch.float64))
        assert belief.surrogate.hyperparameters[0].lengths.shape == (4,)
        assert abs(float(belief.scales[0].cost(mean[:, 0])) - 0.2) < 0.06
        asked = belief.acquisition(CUBE, 1)
        assert asked(torch.rand(5, 1, 3, dtype=torch.float64)).shape == (5,)
    assert belief.lengths.shape == (2, 3)


def test_thrift_prefers_what_costs_less() -> None:
    numbers = torch.Generator().manual_seed(0)
    spent = (3.0 * torch.rand(31, 3, generator=numbers, dtype=torch.float64)[:, 0]).exp()  # by the first column
    data = observations(spent=spent)
    Z = torch.tensor([[[0.1, 0.5, 0.1]], [[0.9, 0.5, 0.1]]], dtype=torch.float64)
    with alone(0), torch.no_grad():
        belief = Belief.of(data)
        price = Price.learn(data)
        free, thrifty = belief.acquisition(CUBE, 1)(Z), belief.acquisition(CUBE, 1, thrift=0.5)(Z)
        assert torch.allclose(price(Z[:, 0]), torch.tensor([0.3, 2.7], dtype=torch.float64), atol=0.2)
        assert torch.allclose(thrifty - free, -0.5 * price(Z[:, 0]))


def test_unknown_costs_are_all_the_same() -> None:
    with alone(0), torch.no_grad():
        price = Price.learn(observations())
        found = price(torch.rand(4, 3, dtype=torch.float64))
    assert torch.allclose(found, torch.zeros(4, dtype=torch.float64), atol=1e-6)


def test_failures_lower_the_acquisition_where_they_are() -> None:
    data = observations()
    bad = torch.rand(12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bad[:, 0] = 0.8 + 0.2 * bad[:, 0]
    Z = torch.tensor([[[0.2, 0.5, 0.1]], [[0.95, 0.5, 0.1]]], dtype=torch.float64)
    with alone(0), torch.no_grad():
        before = Belief.of(data).acquisition(CUBE, 1)(Z)
        held = {name: getattr(data, name) for name in data.__dataclass_fields__} | {"bad": bad}
        after = Belief.of(Observations(**held)).acquisition(CUBE, 1)(Z)
    drop = before - after
    assert drop[1] > drop[0] + 0.5
