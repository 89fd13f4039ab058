"""The area under the ROC curve against scikit-learn, over batches, with ties, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from archgraph.errors import DataError
from archgraph.metrics.predictions import evaluate, evaluate_batches
from archgraph.metrics.ranking import roc_auc


def scored(samples: int = 53, positions: tuple[int, ...] = (), steps: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    targets = torch.randint(2, (samples, *positions), generator=generator)
    outputs = torch.randn(samples, 2, *positions, generator=generator, dtype=torch.float64)
    outputs[:, 1] += targets
    return (outputs * steps).round() if steps else outputs, targets


@pytest.mark.parametrize("positions", [(), (5,)], ids=["plain", "sequence"])
@pytest.mark.parametrize("steps", [0, 1], ids=["different", "ties"])
def test_matches_scikit_learn(positions: tuple[int, ...], steps: int) -> None:
    outputs, targets = scored(positions=positions, steps=steps)
    wanted = roc_auc_score(targets.flatten(), (outputs[:, 1] - outputs[:, 0]).flatten())
    assert 0.6 < wanted < 0.95
    assert roc_auc(outputs, targets) == pytest.approx(wanted, abs=1e-14)
    parts = zip(outputs.split((3, 0, 43, 7)), targets.split((3, 0, 43, 7)), strict=True)
    assert evaluate_batches(["accuracy", "roc-auc"], parts) == evaluate(["accuracy", "roc-auc"], outputs, targets)


def test_it_counts_pairs() -> None:
    outputs, targets = scored(17, steps=1)
    scores = (outputs[:, 1] - outputs[:, 0]).tolist()
    ones = [score for score, label in zip(scores, targets.tolist(), strict=True) if label]
    zeros = [score for score, label in zip(scores, targets.tolist(), strict=True) if not label]
    right = sum((a > b) + (a == b) / 2 for a in ones for b in zeros)
    assert roc_auc(outputs, targets) == pytest.approx(right / (len(ones) * len(zeros)), abs=1e-15)


def test_columns_of_probabilities_have_the_mean_of_theirs() -> None:
    generator = torch.Generator().manual_seed(3)
    outputs, targets = torch.randn(41, 3, generator=generator), torch.rand(41, 3, generator=generator)
    wanted = roc_auc_score((targets > 0.5).int(), outputs, average="macro")
    assert roc_auc(outputs, targets) == pytest.approx(wanted, abs=1e-14)
    assert roc_auc(outputs[:, 0], targets[:, 0]) == pytest.approx(
        roc_auc_score(targets[:, 0] > 0.5, outputs[:, 0]), abs=1e-14
    )


def test_one_class_and_scores_that_are_no_numbers_have_none() -> None:
    outputs, targets = scored()
    assert math.isnan(roc_auc(outputs, torch.ones_like(targets)))
    outputs[5, 1] = torch.nan
    assert math.isnan(roc_auc(outputs, targets))


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (torch.zeros(4, 3), torch.tensor([0, 1, 1, 0])),
        (torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])),
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(4, 2), torch.zeros(4)),
    ],
    ids=["three classes", "a third label", "lengths", "values"],
)
def test_refuses(outputs: Tensor, targets: Tensor) -> None:
    with pytest.raises(DataError, match="two classes"):
        roc_auc(outputs, targets)
