"""Costs, outcomes, standardised outcomes and the reference point."""

from __future__ import annotations

import math

import pytest
import torch

from optimizers.bayesian import Scale, Standard, reference_point


@pytest.mark.parametrize(
    ("costs", "scale"),
    [
        ([0.2, 0.5, 0.1], Scale(0.0, 0.001)),
        ([0.0, 30.0, 200.0], Scale(0.0, 0.3)),
        ([-0.9, -0.95, -0.2], Scale(1.0, 0.0005)),
        ([-3.0, -2.0], Scale()),
        ([-0.5, 0.5], Scale()),
        ([0.0, 0.0], Scale()),
    ],
    ids=["errors", "sizes with a zero", "accuracies", "rewards", "both signs", "nothing"],
)
def test_scales(costs: list[float], scale: Scale) -> None:
    found = Scale.of(torch.tensor(costs, dtype=torch.float64))
    assert found.offset == scale.offset
    assert found.floor == pytest.approx(scale.floor)


@pytest.mark.parametrize("scale", [Scale(), Scale(0.0, 1e-3), Scale(1.0, 1e-3)])
def test_less_cost_is_more_outcome_and_comes_back(scale: Scale) -> None:
    costs = torch.tensor([-0.95, -0.3, -0.1] if scale.offset == 1.0 else [0.02, 0.3, 0.7], dtype=torch.float64)
    outcomes = scale.outcome(costs)
    assert (outcomes.diff() < 0.0).all()
    assert torch.allclose(scale.cost(outcomes), costs)


def test_zero_has_a_logarithm() -> None:
    scale = Scale.of(torch.tensor([0.1, 0.4], dtype=torch.float64))
    found = scale.outcome(torch.tensor([0.0, 0.1], dtype=torch.float64))
    assert found[0] == pytest.approx(-math.log(1e-3))
    assert found[1] == pytest.approx(-math.log(0.1))


def test_standardised_outcomes_come_back() -> None:
    Y = torch.tensor([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]], dtype=torch.float64)
    standard = Standard.of(Y)
    Z = standard(Y)
    assert Z[:, 0].std() == pytest.approx(1.0)
    assert Z[:, 1].tolist() == [0.0, 0.0, 0.0]
    assert torch.allclose(standard.back(Z), Y)


def test_the_reference_is_below_all_of_the_design() -> None:
    Y = torch.tensor([[1.0, 10.0], [3.0, 30.0], [2.0, 20.0]], dtype=torch.float64)
    assert reference_point(Y).tolist() == pytest.approx([0.8, 8.0])
    assert (reference_point(Y[:1]) < Y[0]).all()
