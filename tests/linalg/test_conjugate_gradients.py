from __future__ import annotations

import pytest
import torch

from archgraph.errors import DataError, SettingError
from archgraph.linalg import conjugate_gradients


def matrix(size: int, rank: int) -> torch.Tensor:
    rows = torch.randn(rank, size, dtype=torch.float64)
    return rows.mT @ rows


def test_as_many_products_as_unknowns_solve_it():
    A, b = matrix(7, 11), torch.randn(7, dtype=torch.float64)
    found = conjugate_gradients(A.mv, b, steps=7)
    assert (found.x - torch.linalg.solve(A, b)).norm() < 1e-8 * b.norm()
    assert found.steps == 7
    assert abs(found.residual - float((b - A @ found.x).norm() / b.norm())) < 1e-10


def test_each_product_is_the_best_of_its_krylov_space():
    A, b = matrix(6, 9), torch.randn(6, dtype=torch.float64)
    exact = torch.linalg.solve(A, b)
    basis = [b]
    for steps in range(1, 5):
        K = torch.stack(basis, dim=1)
        best = K @ torch.linalg.solve(K.mT @ A @ K, K.mT @ b)
        assert (conjugate_gradients(A.mv, b, steps=steps).x - best).norm() < 1e-6 * exact.norm()
        basis.append(A @ basis[-1])


def test_a_start_at_the_solution_takes_no_product():
    A, b = matrix(5, 8), torch.randn(5, dtype=torch.float64)
    exact = torch.linalg.solve(A, b)
    found = conjugate_gradients(A.mv, b, start=exact, steps=9, tolerance=1e-8)
    assert found.steps == 0
    assert torch.equal(found.x, exact)


def test_tolerance_stops_early():
    A, b = matrix(30, 60), torch.randn(30, dtype=torch.float64)
    found = conjugate_gradients(A.mv, b, steps=300, tolerance=1e-3)
    assert found.residual <= 1e-3
    assert found.steps < 30


def test_a_singular_system_gives_the_least_solution():
    A = matrix(8, 3)
    b = A @ torch.randn(8, dtype=torch.float64)
    found = conjugate_gradients(A.mv, b, steps=3)
    assert (found.x - torch.linalg.pinv(A, rtol=1e-10) @ b).norm() < 1e-8 * found.x.norm()


def test_a_flat_direction_ends_it():
    found = conjugate_gradients(torch.zeros_like, torch.ones(4), steps=5)
    assert found.steps == 1
    assert torch.equal(found.x, torch.zeros(4))


def test_zero_is_solved_by_zero():
    found = conjugate_gradients(torch.diag(torch.ones(3)).mv, torch.zeros(3))
    assert (found.steps, found.residual) == (0, 0.0)


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(SettingError):
        conjugate_gradients(torch.zeros_like, torch.ones(2), steps=-1)
    with pytest.raises(DataError):
        conjugate_gradients(torch.zeros_like, torch.tensor([1.0, float("nan")]))
