from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph.errors import DataError, SettingError
from optimizers.natural_gradient import Shares

OUTPUTS = torch.zeros(5, 2, dtype=torch.float64)


def dense(shares: Shares) -> list[float]:
    return shares.spread(shares.sizes).tolist()


def test_a_mean_shares_evenly():
    assert dense(Shares.of(OUTPUTS)) == [0.2] * 5
    assert dense(Shares.of(OUTPUTS, rows=torch.tensor([3, 1]))) == [0.0, 0.5, 0.0, 0.5, 0.0]


def test_a_mask_and_places_are_the_same():
    mask = torch.tensor([False, True, False, True, False])
    assert dense(Shares.of(OUTPUTS, rows=mask)) == dense(Shares.of(OUTPUTS, rows=torch.tensor([1, 3])))


def test_weights_sum_and_scale():
    rows, weights = torch.tensor([0, 4]), torch.tensor([1.0, 3.0])
    assert dense(Shares.of(OUTPUTS, rows=rows, weights=weights)) == [0.25, 0.0, 0.0, 0.0, 0.75]
    assert dense(Shares.of(OUTPUTS, rows=rows, weights=weights, reduction="sum", scale=2.0)) == [2.0, 0, 0, 0, 6.0]


def test_a_row_given_twice_has_two_shares():
    assert dense(Shares.of(OUTPUTS, rows=torch.tensor([1, 1, 2]), reduction="sum")) == [0.0, 2.0, 1.0, 0.0, 0.0]


def test_others_count_with_their_weight():
    found = Shares.of(OUTPUTS, rows=torch.tensor([0]), others=0.25)
    assert dense(found) == [0.5, 0.125, 0.125, 0.125, 0.125]


@pytest.mark.parametrize(
    "bad",
    [
        {"rows": torch.tensor([5])},
        {"rows": torch.tensor([-1])},
        {"rows": torch.tensor([0.5])},
        {"rows": torch.zeros(4, dtype=torch.bool)},
        {"rows": torch.zeros(5, dtype=torch.bool)},
        {"rows": torch.tensor([], dtype=torch.int64)},
        {"weights": torch.ones(4)},
        {"weights": torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0])},
        {"weights": torch.zeros(5)},
    ],
)
def test_rows_that_cannot_be(bad: dict[str, torch.Tensor]):
    with pytest.raises(DataError):
        Shares.of(OUTPUTS, **bad)


@pytest.mark.parametrize("bad", [{"reduction": "median"}, {"scale": 0.0}, {"scale": -1.0}, {"scale": float("inf")}])
def test_losses_that_cannot_be(bad: dict[str, Any]):
    with pytest.raises(SettingError):
        Shares.of(OUTPUTS, **bad)
