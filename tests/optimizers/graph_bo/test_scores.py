"""Normal scores: order is kept, nothing else counts, and back again."""

from __future__ import annotations

import torch
from scipy.stats import norm

from optimizers.graph_bo.scores import Scores

COSTS = torch.tensor([0.3, 0.9, 0.1, 0.3, 0.5], dtype=torch.float64)


def test_by_hand() -> None:
    quantiles = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])  # of 0.9, 0.5, 0.3, 0.3, 0.1
    plain = torch.tensor([(quantiles[2] + quantiles[3]) / 2, quantiles[0], quantiles[4], 0.0, quantiles[1]])
    plain[3] = plain[0]
    expected = (plain - plain.mean()) / plain.std(unbiased=False)
    assert torch.allclose(Scores.of(COSTS)(COSTS), expected, atol=1e-12)


def test_only_the_order_counts() -> None:
    assert torch.equal(Scores.of(COSTS)(COSTS), Scores.of(COSTS.exp() * 7.0)(COSTS.exp() * 7.0))


def test_between_and_beyond() -> None:
    scores = Scores.of(COSTS)
    line = scores(torch.linspace(0.0, 2.0, 23, dtype=torch.float64))
    assert (line.diff() < 0.0).all()
    inside = torch.tensor([0.1, 0.22, 0.61, 0.9], dtype=torch.float64)
    assert torch.allclose(scores.cost(scores(inside)), inside, atol=1e-12)
    assert float(scores.cost(torch.tensor(99.0, dtype=torch.float64))) == 0.1


def test_equal_costs() -> None:
    scores = Scores.of(torch.full((4,), 0.5, dtype=torch.float64))
    assert scores(torch.tensor([0.5, 0.7], dtype=torch.float64)).tolist() == [0.0, 0.0]
    assert float(scores.cost(torch.tensor(1.0, dtype=torch.float64))) == 0.5
