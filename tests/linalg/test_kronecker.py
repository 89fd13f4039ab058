from __future__ import annotations

import pytest
import torch

from archgraph.linalg.kronecker import compress, damped_inverse, row_core, solve_rows, split_damping


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_split_damping_multiplies_back_and_follows_the_traces() -> None:
    a, b = split_damping(0.09, torch.tensor(8.0), torch.tensor(0.5))
    assert a * b == pytest.approx(0.09)
    assert a / b == pytest.approx(8.0 / 0.5)


@pytest.mark.parametrize("pair", [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_split_damping_of_vanishing_factors_is_finite(pair: tuple[float, float]) -> None:
    a, b = split_damping(1e-2, *map(torch.tensor, pair))
    assert a * b == pytest.approx(1e-2)
    assert a > 0.0
    assert b > 0.0


def test_damped_inverse() -> None:
    rows = randn(9, 5)
    A = rows.mT @ rows
    assert (damped_inverse(A, 0.3) - torch.linalg.inv(A + 0.3 * torch.eye(5, dtype=torch.float64))).abs().max() < 1e-12
    flat = randn(2, 5)
    assert (damped_inverse(flat.mT @ flat, 0.0) - torch.linalg.pinv(flat.mT @ flat)).abs().max() < 1e-8


def test_damped_inverse_of_what_rounding_makes_indefinite() -> None:
    rows = torch.randn(3, 40)
    A = (rows.mT @ rows) * 1e6  # float32: eigenvalues of rounding are far below -1e-6
    found = damped_inverse(A, 1e-6)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(("count", "width"), [(3, 8), (8, 3), (1, 6)])
@pytest.mark.parametrize("damping", [1e-1, 1e-3, 0.0])
def test_rows_and_matrix_invert_alike(count: int, width: int, damping: float) -> None:
    rows, vectors = randn(count, width), randn(4, width)
    dense = vectors @ damped_inverse(rows.mT @ rows, damping)
    found = solve_rows(vectors, rows, row_core(rows @ rows.mT, damping), damping)
    assert (found - dense).norm() < 1e-6 * dense.norm()


def test_rows_that_depend_on_each_other() -> None:
    rows = randn(3, 7)[[0, 1, 0, 2, 1]]
    vectors = randn(2, 7)
    dense = vectors @ torch.linalg.inv(rows.mT @ rows + 1e-2 * torch.eye(7, dtype=torch.float64))
    assert (solve_rows(vectors, rows, row_core(rows @ rows.mT, 1e-2), 1e-2) - dense).norm() < 1e-8 * dense.norm()


def test_compress_keeps_trace_and_leading_directions() -> None:
    sizes = torch.tensor([9.0, 7.0, 5.0, 0.1, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64)
    rows = torch.linalg.qr(randn(12, 8)).Q * sizes @ torch.linalg.qr(randn(8, 8)).Q.mT
    short, tail = compress(rows, 3, seed=1)
    assert short.shape == (3, 8)
    A = rows.mT @ rows
    B = short.mT @ short + tail * torch.eye(8, dtype=torch.float64)
    assert (A.trace() - B.trace()).abs() < 1e-9 * A.trace()
    assert torch.linalg.matrix_norm(A - B, 2) < 0.02 * torch.linalg.matrix_norm(A, 2)
    assert torch.equal(compress(rows, 3, seed=1)[0], short)


def test_compress_leaves_what_is_short_enough() -> None:
    rows = randn(4, 9)
    assert compress(rows, 4) == (rows, 0.0)
    assert compress(randn(9, 4), 5)[1] == 0.0
