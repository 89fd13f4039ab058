from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from archgraph.linalg.kronecker import row_core, solve_rows
from optimizers.natural_gradient import NaturalGradient, entries
from optimizers.natural_gradient.entries import Pattern, entries_of, few, remember
from tests.optimizers.natural_gradient.nets import error, features, gcn
from tests.optimizers.natural_gradient.test_state import advance, same


def sparse(count: int = 7, width: int = 11, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, width, generator=generator, dtype=torch.float64)
    return values * (torch.rand(count, width, generator=generator) < 0.2)


@pytest.mark.parametrize("damping", [0.3, 0.0])
def test_a_solution_is_that_of_all_numbers(damping: float):
    rows, vectors = sparse(), torch.randn(5, 11, dtype=torch.float64)
    core = row_core(rows @ rows.mT, damping)
    assert error(entries_of(rows).solve(vectors, core, damping), solve_rows(vectors, rows, core, damping)) < 1e-12


def test_a_pattern_may_have_places_that_are_zero_and_changes_no_bit():
    rows, wide, vectors = sparse(), sparse(), torch.randn(5, 11, dtype=torch.float64)
    wide[1, 2], wide[6, 10] = 3.0, 4.0
    again = rows.clone()
    remember(again, Pattern.of(wide.reshape(-1).nonzero().squeeze(1), (7, 11)))
    assert len(entries_of(again).rows.values()) > len(entries_of(rows).rows.values())
    core = row_core(rows @ rows.mT, 0.3)
    assert torch.equal(*(entries_of(one).solve(vectors, core, 0.3) for one in (rows, again)))


def test_rows_that_changed_are_read_anew():
    rows = sparse()
    before = entries_of(rows)
    assert entries_of(rows) is before
    rows[0, 0] += 1.0
    assert torch.equal(entries_of(rows).rows.to_dense(), rows)


def test_few_entries_of_many(monkeypatch: pytest.MonkeyPatch):
    assert not few(sparse())  # of so few numbers all are faster
    monkeypatch.setattr(entries, "MANY", 1)
    assert few(sparse()) and not few(torch.ones(2, 3))


def test_a_run_with_few_entries_steps_alike_and_goes_on_bit_for_bit(monkeypatch: pytest.MonkeyPatch):
    x = features().repeat(1, 10) * (torch.rand(9, 40, generator=torch.Generator().manual_seed(1)) < 0.1)
    model, plain = gcn(40, 5, 3), gcn(40, 5, 3)
    advance(plain, NaturalGradient(plain), 7, x)
    monkeypatch.setattr(entries, "MANY", 1)
    optimizer = NaturalGradient(model)
    advance(model, optimizer, 7, x)
    assert optimizer.state[model.layers[0].lin.weight]["input_few"] == 1.0
    assert error(model.layers[0].lin.weight, plain.layers[0].lin.weight) < 1e-10
    other = copy.deepcopy(plain)
    other.load_state_dict(model.state_dict())
    fresh = NaturalGradient(other)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(8):
        advance(model, optimizer, 1, x)
        advance(other, fresh, 1, x)
        assert same(model, other)
