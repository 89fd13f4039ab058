"""The paper's preconditioner against its formula, written out with dense matrices."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph.errors import SettingError
from optimizers.natural_gradient import SSP
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, error, features, gcn, labels


def told(model: nn.Module, optimizer: SSP, unlabelled: float | None = None) -> None:
    optimizer.zero_grad()
    outputs = model(features(), EDGES)
    loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
    optimizer.curvature(outputs, loss, rows=ROWS, unlabelled=unlabelled)
    loss.backward()


def by_hand(model: nn.Module, epsilon: float, count: float) -> list[Tensor]:
    """Preconditioned gradients ``[W, b]`` of the two layers."""
    adjacency = torch.zeros(9, 9, dtype=torch.float64)
    adjacency[EDGES[1], EDGES[0]] = 1.0
    adjacency += torch.eye(9, dtype=torch.float64)
    scale = adjacency.sum(1).rsqrt()
    P = scale[:, None] * adjacency * scale
    (one, two), x = model.layers, features()
    first = (P @ x @ one.lin.weight.mT + one.bias).detach().requires_grad_()
    second = P @ first.relu() @ two.lin.weight.mT + two.bias
    second.retain_grad()
    functional.cross_entropy(second[ROWS], labels()[ROWS]).backward()
    found = []
    for layer, inputs, outputs in ((one, x, first), (two, first.detach().relu(), second)):
        rows = torch.cat((P @ inputs, torch.ones(9, 1, dtype=torch.float64)), dim=1)
        g = outputs.grad * layer.out_channels
        A, G = rows.mT @ rows / count, g.mT @ g / count
        grad = outputs.grad.mT @ rows  # [W, b] stacked
        eye = [torch.eye(len(M), dtype=torch.float64) * epsilon**0.5 for M in (A, G)]
        found.append(torch.linalg.inv(G + eye[1]) @ grad @ torch.linalg.inv(A + eye[0]))
    return found


@pytest.mark.parametrize(("unlabelled", "count"), [(None, 4.0), (0.5, 6.5)])
def test_a_step_of_sgd_is_the_formula(unlabelled: float | None, count: float):
    model = gcn(4, 5, 3)
    optimizer = SSP(model, base="sgd", lr=0.1, epsilon=0.2)
    wanted = by_hand(copy.deepcopy(model), 0.2, count)
    before = copy.deepcopy(model)
    told(model, optimizer, unlabelled)
    optimizer.step()
    for layer, old, natural in zip(model.layers, before.layers, wanted, strict=True):
        moved = torch.cat((old.lin.weight - layer.lin.weight, (old.bias - layer.bias)[:, None]), dim=1)
        assert error(moved, 0.1 * natural) < 1e-10


def test_adam_steps_along_the_preconditioned_gradient():
    model, other = gcn(4, 5, 3), gcn(4, 5, 3)
    optimizer, adam = SSP(model, epsilon=0.2), torch.optim.Adam(other.parameters(), lr=0.01, weight_decay=5e-4)
    wanted = by_hand(copy.deepcopy(model), 0.2, 4.0)
    for layer, natural in zip(other.layers, wanted, strict=True):
        layer.lin.weight.grad, layer.bias.grad = natural[:, :-1].clone(), natural[:, -1].clone()
    adam.step()
    told(model, optimizer)
    optimizer.step()
    for mine, its in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, its, atol=1e-9)


@pytest.mark.parametrize("base", ["adam", "sgd"])
def test_factors_are_computed_every_so_many_steps_and_saved(base: str):
    model = gcn(4, 5, 3)
    optimizer = SSP(model, base=base, interval=3)
    weight, seen = model.layers[0].lin.weight, []
    for _ in range(5):
        told(model, optimizer)
        optimizer.step()
        seen.append(optimizer.state[weight]["input_inverse"].clone())
        assert optimizer.due == (len(seen) == 3)
    changes = [not torch.equal(a, b) for a, b in pairwise(seen)]
    assert changes == [False, False, False, False]  # the first layer reads the same all the time
    other = gcn(4, 5, 3)
    other.load_state_dict(model.state_dict())
    fresh = SSP(other, base=base, interval=3)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        for one, its in ((model, optimizer), (other, fresh)):
            told(one, its)
            its.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("bad", [{"base": "lion"}, {"epsilon": 0.0}, {"interval": 0}], ids=str)
def test_settings_that_cannot_be(bad: dict[str, Any]):
    with pytest.raises(SettingError):
        SSP(gcn(4, 3), **bad)
