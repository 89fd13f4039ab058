from __future__ import annotations

import os
import sys

import pytest
import torch
from torch import nn

from optimizers.natural_gradient import Fisher, Shares, likelihood_of
from tests.optimizers.natural_gradient.nets import (
    EDGES,
    ROWS,
    brute_force,
    error,
    features,
    gcn,
    mse_hessian,
    softmax_hessian,
)

WEIGHTS = torch.tensor([1.0, 3.0, 0.5, 2.0], dtype=torch.float64)


def shares(**settings: object) -> dict[int, float]:
    return dict(zip(ROWS.tolist(), (WEIGHTS / WEIGHTS.sum()).tolist(), strict=True))


@pytest.mark.parametrize(("loss", "hessian"), [("cross-entropy", softmax_hessian), ("mse", mse_hessian)])
def test_the_matrix_is_that_of_brute_force(loss: str, hessian: object):
    model, x = gcn(4, 5, 3), features()
    outputs = model(x, EDGES)
    given = Shares.of(outputs, rows=ROWS, weights=WEIGHTS)
    fisher = Fisher(outputs, list(model.parameters()), likelihood_of(loss), given)
    wanted = brute_force(lambda: model(x, EDGES), list(model.parameters()), hessian, shares())
    assert error(fisher.matrix(), wanted) < 1e-12


def test_enumerated_classes_are_the_same():
    model, x = gcn(4, 5, 3), features()
    outputs = model(x, EDGES)
    given = Shares.of(outputs, rows=ROWS)
    fisher = Fisher(outputs, list(model.parameters()), likelihood_of("cross-entropy"), given)
    total = 0.0
    for row in range(len(ROWS)):  # a sample at a time: their products have no cross terms
        one = Shares(ROWS[row : row + 1], given.sizes[row : row + 1], given.count)
        held = one.pick(outputs.detach())
        for column in likelihood_of("cross-entropy").columns(held):
            slope = fisher.pull(one.spread(column * one.roots(held)))
            total = total + torch.outer(slope, slope)
    assert error(fisher.matrix(), total) < 1e-8


@pytest.mark.filterwarnings("ignore")  # what it imports warns
def test_curvlinops_agrees():
    extra = os.environ.get("ARCHGRAPH_CURVLINOPS")  # a folder that has it, where it cannot be installed
    if extra:
        sys.path.append(extra)
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    model, x = gcn(4, 5, 3), features()

    class Labelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x, EDGES)[ROWS]

    whole, y = Labelled(), torch.tensor([0, 2, 1, 1])
    parameters = list(whole.parameters())
    operator = curvlinops.GGNLinearOperator(whole, nn.CrossEntropyLoss(), parameters, [(x, y)])
    wanted = operator @ torch.eye(sum(p.numel() for p in parameters), dtype=torch.float64)
    outputs = model(x, EDGES)
    fisher = Fisher(outputs, parameters, likelihood_of("cross-entropy"), Shares.of(outputs, rows=ROWS))
    assert error(fisher.matrix(), wanted) < 1e-8


def test_parameters_that_do_not_count_have_none():
    model, x = gcn(4, 5, 3), features()
    stranger = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
    outputs = model(x, EDGES)
    fisher = Fisher(outputs, [stranger], likelihood_of("mse"), Shares.of(outputs))
    assert torch.equal(fisher.matrix(), torch.zeros(6, 6, dtype=torch.float64))
