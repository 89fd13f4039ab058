from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional

from archgraph.errors import SettingError
from optimizers.natural_gradient import ExactNaturalGradient, Fisher, Shares, likelihood_of
from tests.optimizers.natural_gradient.nets import EDGES, ROWS, error, features, gcn, labels


def told(model: torch.nn.Module, optimizer: ExactNaturalGradient) -> torch.Tensor:
    optimizer.zero_grad()
    outputs = model(features(), EDGES)
    loss = functional.cross_entropy(outputs[ROWS], labels()[ROWS])
    optimizer.curvature(outputs, loss, rows=ROWS)
    loss.backward()
    return loss.detach()


def test_a_step_solves_the_damped_system():
    model = gcn(4, 5, 3)
    optimizer = ExactNaturalGradient(
        model, iterations=200, damping=1e-2, kl_clip=0.0, tolerance=1e-12, weight_decay=0.1
    )
    parameters = list(model.parameters())
    outputs = model(features(), EDGES)
    fisher = Fisher(outputs, parameters, likelihood_of("cross-entropy"), Shares.of(outputs, rows=ROWS))
    F = fisher.matrix()
    before = fisher.join([p.detach() for p in parameters])
    told(model, optimizer)
    grads = fisher.join([p.grad + (0.1 * p.detach() if p.ndim > 1 else 0.0) for p in parameters])
    optimizer.step()
    wanted = torch.linalg.solve(F + 1e-2 * torch.eye(len(F), dtype=F.dtype), grads)
    assert error(before - fisher.join([p.detach() for p in parameters]), wanted) < 1e-6


def test_it_trains_and_is_clipped():
    model = gcn(4, 5, 3)
    optimizer = ExactNaturalGradient(model)
    losses = []
    for _ in range(15):
        losses.append(float(told(model, optimizer)))
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_a_saved_run_goes_on():
    model, other = gcn(4, 5, 3), gcn(4, 5, 3)
    optimizer, fresh = ExactNaturalGradient(model, momentum=0.5), ExactNaturalGradient(other, momentum=0.5)
    for _ in range(3):
        told(model, optimizer)
        optimizer.step()
    other.load_state_dict(model.state_dict())
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((model, optimizer), (other, fresh)):
        told(one, its)
        its.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_what_is_missing_is_said():
    model = gcn(4, 3)
    with pytest.raises(SettingError, match="curvature"):
        ExactNaturalGradient(model).step()
    wrong: list[dict[str, Any]] = [{"damping": -1.0}, {"iterations": 0}, {"warm": 1.5}, {"lr": "high"}]
    for one in wrong:
        with pytest.raises(SettingError, match=next(iter(one))):
            ExactNaturalGradient(model, **one)


def test_a_loss_that_is_no_number_is_no_error_of_the_system():
    model = gcn(4, 3)
    optimizer = ExactNaturalGradient(model)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    told(model, optimizer)
    optimizer.step()
    assert not all(torch.isfinite(one).all() for one in model.parameters())
