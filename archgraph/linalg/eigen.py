"""Extreme eigenpairs of a batch of symmetric matrices, dense, in float64, with signs that do not depend on the machine.

Letters: ``U`` matrices (one a unit), ``D`` their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from archgraph.errors import DataError

_BLOCK_BYTES = 256 * 2**20  # float64 workspace: a block of matrices, its eigenvectors, LAPACK's copy
_TIE = 1e-6  # magnitudes closer than this count as equal: rounding must not choose a sign


class Eigenpairs(NamedTuple):
    """One eigenpair of each of ``U`` matrices."""

    values: Tensor  # [U]
    vectors: Tensor  # [U, D]  unit length, signs as fix_signs leaves them


@torch.no_grad()
def smallest_eigenpairs(
    matrices: Tensor,  # [U, D, D]  symmetric
) -> Eigenpairs:  # values [U], vectors [U, D]
    """Return the smallest eigenvalue of each matrix and its unit eigenvector.

    Where the smallest eigenvalue is repeated, the vector is one of its eigenspace.

    Args:
        matrices: symmetric matrices; only the lower triangle is read.

    Returns:
        The pairs, computed in float64 and given in the dtype of ``matrices``.

    Raises:
        DataError: when ``matrices`` is not [U, D, D] with D >= 1, or holds entries that are not finite.

    >>> pairs = smallest_eigenpairs(torch.tensor([[[2.0, 1.0], [1.0, 2.0]]]))
    >>> pairs.values
    tensor([1.])
    >>> pairs.vectors
    tensor([[ 0.7071, -0.7071]])
    """
    blocks = [(values[:, 0], vectors[:, :, 0]) for values, vectors in _decompositions(matrices)]
    return _gather(blocks, matrices.dtype)


@torch.no_grad()
def extreme_eigenpairs(
    matrices: Tensor,  # [U, D, D]  symmetric
) -> tuple[Eigenpairs, Eigenpairs]:  # smallest, largest
    """Return the pairs at both ends of each matrix's spectrum: the smallest, then the largest.

    Args:
        matrices: symmetric matrices; only the lower triangle is read.

    Returns:
        Smallest and largest pairs, computed in float64 and given in the dtype of ``matrices``.

    Raises:
        DataError: as :func:`smallest_eigenpairs`.
    """
    low, high = [], []
    for values, vectors in _decompositions(matrices):
        low.append((values[:, 0], vectors[:, :, 0]))
        high.append((values[:, -1], vectors[:, :, -1]))
    return _gather(low, matrices.dtype), _gather(high, matrices.dtype)


def fix_signs(
    vectors: Tensor,  # [..., D]
) -> Tensor:  # [..., D]
    """Return each vector or its negative, such that its coordinate of largest magnitude is positive.

    Of coordinates within one part in a million of the largest, the first decides, so that the choice does not hang on
    rounding. A zero vector stays zero.

    >>> fix_signs(torch.tensor([[1.0, -3.0], [-2.0, 2.0]]))
    tensor([[-1.,  3.],
            [ 2., -2.]])
    """
    magnitudes = vectors.abs()
    largest = magnitudes >= (1.0 - _TIE) * magnitudes.amax(dim=-1, keepdim=True)
    first = largest.to(torch.uint8).argmax(dim=-1, keepdim=True)
    return torch.where(vectors.gather(-1, first) < 0, -vectors, vectors)


def _decompositions(matrices: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ascending values [u, D] and columns of vectors [u, D, D], a block of matrices at a time."""
    if matrices.dim() != 3 or matrices.shape[1] != matrices.shape[2] or matrices.shape[1] == 0:
        raise DataError("not a batch of square matrices", expected="[U, D, D], D >= 1", got=tuple(matrices.shape))
    size = matrices.shape[-1]
    for block in matrices.split(max(1, _BLOCK_BYTES // (3 * 8 * size * size))):
        if not torch.isfinite(block).all():
            raise DataError(
                "a matrix has entries that are not finite, so no eigenvalues",
                hint="the network that produced it has probably diverged: lower its learning rate",
            )
        values, vectors = torch.linalg.eigh(block.double())
        yield values, vectors


def _gather(blocks: list[tuple[Tensor, Tensor]], dtype: torch.dtype) -> Eigenpairs:
    values = torch.cat([values for values, _ in blocks])
    vectors = torch.cat([vectors for _, vectors in blocks])
    return Eigenpairs(values.to(dtype), fix_signs(vectors).to(dtype))
