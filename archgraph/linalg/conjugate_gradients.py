"""Linear systems of a symmetric positive semidefinite matrix that is known only by its products: conjugate gradients.

Hestenes, Stiefel, J. Res. Nat. Bur. Standards 49 (1952). After ``K`` products the solution is the best one, in the norm
of the matrix, within the first ``K`` Krylov directions.

Letters: ``D`` unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError


@dataclass(frozen=True, eq=False)
class Solution:
    """Where conjugate gradients stopped.

    Args:
        x: ``[D]`` the solution so far.
        residual: ``|b - A x| / |b|``; 0 where ``b`` is zero.
        steps: products taken.
    """

    x: Tensor
    residual: float
    steps: int


@torch.no_grad()
def conjugate_gradients(
    operator: Callable[[Tensor], Tensor],  # v [D] -> A v [D]
    b: Tensor,  # [D]
    *,
    start: Tensor | None = None,  # [D]
    steps: int = 10,
    tolerance: float = 0.0,
) -> Solution:
    """Solve ``A x = b``.

    A direction along which the matrix is flat or (by rounding) negative ends the iteration: the solution so far is
    returned, so a singular system gives the least solution that its products can reach.

    Args:
        operator: multiplies a vector by the matrix; it may compute gradients inside.
        b: the right side.
        start: where to begin; zero by default.
        steps: products to take at most.
        tolerance: relative residual at which to stop before.

    Raises:
        SettingError: when steps or tolerance are negative.
        DataError: when ``b`` is not a vector of finite numbers.

    >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(A.mv, torch.tensor([3.0, 4.0]), steps=2).x
    tensor([1.0000, 1.0000])
    """
    if steps < 0 or tolerance < 0.0:
        raise SettingError("conjugate gradients cannot stop", expected="steps, tolerance >= 0", got=(steps, tolerance))
    if b.ndim != 1 or not torch.isfinite(b).all():
        raise DataError("not the right side of a system", expected="[D], finite", got=tuple(b.shape))
    x = torch.zeros_like(b) if start is None else start.clone()
    rest = b.clone() if start is None else b - operator(start)
    direction = rest.clone()
    size, whole = rest.dot(rest), b.dot(b)
    taken = 0
    while taken < steps and float(size) > tolerance**2 * float(whole):
        product = operator(direction)
        bend = direction.dot(product)
        taken += 1
        if not float(bend) > 0.0:  # flat, negative, or not a number
            break
        step = size / bend
        x = x + step * direction
        rest = rest - step * product
        before, size = size, rest.dot(rest)
        direction = rest + (size / before) * direction
    return Solution(x, float((size / whole).sqrt()) if float(whole) > 0.0 else 0.0, taken)
