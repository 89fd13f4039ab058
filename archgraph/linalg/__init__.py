"""Linear algebra batched over units: extreme eigenpairs of many symmetric operators at once.

Dense matrices (``eigen``), operators known by their products (``lanczos``, ``conjugate_gradients``), noisy products
(``rayleigh_quotient``), factors of Kronecker products (``kronecker``).
"""

from __future__ import annotations

from archgraph.linalg.conjugate_gradients import Solution, conjugate_gradients
from archgraph.linalg.eigen import Eigenpairs, extreme_eigenpairs, fix_signs, smallest_eigenpairs
from archgraph.linalg.lanczos import Lanczos, lanczos
from archgraph.linalg.rayleigh_quotient import RayleighQuotient

__all__ = [
    "Eigenpairs",
    "Lanczos",
    "RayleighQuotient",
    "Solution",
    "conjugate_gradients",
    "extreme_eigenpairs",
    "fix_signs",
    "lanczos",
    "smallest_eigenpairs",
]
