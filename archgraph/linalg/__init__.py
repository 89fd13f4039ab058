"""Linear algebra batched over units: extreme eigenpairs of many small symmetric matrices at once."""

from __future__ import annotations

from archgraph.linalg.eigen import Eigenpairs, extreme_eigenpairs, fix_signs, smallest_eigenpairs

__all__ = ["Eigenpairs", "extreme_eigenpairs", "fix_signs", "smallest_eigenpairs"]
