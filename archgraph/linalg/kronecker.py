"""Damped inverses of the factors of a Kronecker product ``A x G``, for wide factors through their few rows.

Martens, Grosse, *Optimizing Neural Networks with Kronecker-factored Approximate Curvature*, arXiv 1503.05671: damping
``gamma`` of the product is split over the factors, section 6.3,

    (A + pi sqrt(gamma) I) x (G + sqrt(gamma) / pi I),    pi^2 = (tr A / D) / (tr G / U).               (1)

A factor of ``K`` rows, ``A = B^T B``, is inverted in the space of its rows (Woodbury):

    (B^T B + a I)^-1 = (I - B^T (B B^T + a I)^-1 B) / a.                                               (2)

Letters: ``D`` inputs, ``U`` outputs, ``K`` rows, ``R`` rank.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archgraph.linalg.symmetric_power import symmetric_power

RATIO = (1e-4, 1e4)
"""Bounds of pi in (1): a factor that vanishes must not take all the damping, nor none."""


def split_damping(
    damping: float,
    input_mean: Tensor,  # []  tr A / D
    output_mean: Tensor,  # []  tr G / U
) -> tuple[float, float]:
    """Return the damping of the input factor and that of the output factor, (1).

    >>> split_damping(0.04, torch.tensor(4.0), torch.tensor(1.0))
    (0.4, 0.1)
    """
    a, g = float(input_mean), float(output_mean)
    ratio = math.sqrt(a / g) if a >= 0.0 and g > 0.0 else math.inf if a > 0.0 else 1.0
    pi = min(max(ratio, RATIO[0]), RATIO[1])
    return pi * damping**0.5, damping**0.5 / pi


def damped_inverse(
    matrix: Tensor,  # [D, D]  symmetric, positive semidefinite
    damping: float,
) -> Tensor:  # [D, D]
    """Return ``(A + a I)^-1``; with ``a = 0`` the Moore-Penrose inverse.

    By Cholesky in the matrix's own type; where that fails by rounding once more in float64, and then by eigenvalues.
    """
    if damping <= 0.0:
        return symmetric_power(matrix, -1.0)
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if not failed:
        return torch.cholesky_inverse(factor)
    factor, failed = torch.linalg.cholesky_ex(damped.double())
    if not failed:
        return torch.cholesky_inverse(factor).to(matrix.dtype)
    return symmetric_power(matrix, -1.0, damping=damping)


def row_core(
    gram: Tensor,  # [K, K]  B B^T
    damping: float,
) -> Tensor:  # [K, K]
    """Return the matrix in the middle of (2); :func:`solve_rows` applies it.

    With ``a = 0`` it is that of the Moore-Penrose inverse, ``(B^T B)^+ = B^T (B B^T)^+2 B``.
    """
    return symmetric_power(gram, -2.0) if damping <= 0.0 else damped_inverse(gram, damping)


def solve_rows(
    vectors: Tensor,  # [U, D]
    rows: Tensor,  # [K, D]
    core: Tensor,  # [K, K]
    damping: float,
) -> Tensor:  # [U, D]
    """Multiply vectors by ``(B^T B + a I)^-1``, (2), without forming it.

    Args:
        vectors: to be multiplied.
        rows: ``B``.
        core: what :func:`row_core` returned for them.
        damping: ``a``.
    """
    inner = (rows @ vectors.mT).mT @ core
    if damping <= 0.0:
        return inner @ rows
    return torch.addmm(vectors, inner, rows, beta=1.0 / damping, alpha=-1.0 / damping)


def compress(
    rows: Tensor,  # [K, D]
    rank: int,
    *,
    seed: int = 0,
) -> tuple[Tensor, float]:  # [R, D] and the tail
    """Return fewer rows and a multiple of the identity with nearly the same moment, and the same trace.

    The leading eigenpairs of ``B^T B`` come from a randomised range finder with one power iteration (Halko, Martinsson,
    Tropp, arXiv 0909.4061, algorithm 4.4); the others are replaced by their mean ``tau``: ``R^T R + tau I``.

    Args:
        rows: ``B``.
        rank: rows to keep; as many or fewer rows are returned as they are, with tail 0.
        seed: of the random directions.
    """
    count, width = rows.shape
    if count <= rank or width <= rank:
        return rows, 0.0
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(count, rank, generator=generator, dtype=rows.dtype).to(rows.device)
    basis = torch.linalg.qr(rows.mT @ (rows @ torch.linalg.qr(rows.mT @ start).Q)).Q  # [D, R]
    _, sizes, vectors = torch.linalg.svd(rows @ basis, full_matrices=False)
    values = sizes.square()
    tail = float(((rows.square().sum() - values.sum()) / (width - rank)).clamp(min=0.0))
    return (values - tail).clamp(min=0.0).sqrt().unsqueeze(1) * (vectors @ basis.mT), tail
