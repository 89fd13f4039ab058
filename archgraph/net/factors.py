"""Carrying Kronecker factors of curvature through an edit: they are matrices over the axes of a weight, not like it.

A weight with outputs on its first axis and inputs on the others has curvature ``A x G``: ``A`` the moment of what it
reads, ``G`` that of the gradients at its outputs. Where a unit is replaced by copies ``k`` with outgoing coefficients
``c_k``, readers see it as many times, and each copy gets ``c_k`` of the gradient:

    A'_kl = A,    G'_kl = c_k c_l G.

A fresh unit is independent of all others and of mean size: ``tr A / D``, or ``tr G / U``, on the diagonal.

Letters: ``U`` outputs, ``D`` inputs (with one more for the constant 1 of a bias), ``K`` rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from archgraph.graph import AxisMap, Edit, TensorSpec, UnitMap
from archgraph.graph.axis import product

INPUT, ROWS, OUTPUT = "input_factor", "input_rows", "output_factor"
"""Names of entries of an optimizer's state: ``A [D, D]``; ``B [K, D]`` with ``A = B^T B``; ``G [U, U]``."""

INVERSES = ("input_inverse", "output_inverse")
"""Names of what is computed from them, and anew after an edit."""


def is_factor(entry: str) -> bool:
    """Whether an entry of an optimizer's state is a factor, or computed from one."""
    return entry in (INPUT, ROWS, OUTPUT, *INVERSES)


def factor_fits(entry: str, shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a factor is one of a tensor.

    Args:
        entry: its name.
        shape: its shape.
        whole: shape of the tensor.
    """
    if len(shape) != 2 or (entry != ROWS and shape[0] != shape[1]):
        return False
    if entry in INVERSES:  # of rows it is as large as these are many
        return True
    inputs = int(np.prod(whole[1:], dtype=np.int64))
    return shape[1] == whole[0] if entry == OUTPUT else shape[1] in (inputs, inputs + 1)


def inherit_factors(
    edit: Edit, name: str, spec: TensorSpec, whole: tuple[int, ...], factors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the factors of a tensor after an edit; inverses are left out.

    Args:
        edit: the rewrite.
        name: the node that owns the tensor.
        spec: of the tensor.
        whole: its shape before.
        factors: its factors before.
    """
    maps = [edit.axis_map(name, role, size) for role, size in zip(spec.axes, whole, strict=True)]
    result = {}
    if OUTPUT in factors:
        result[OUTPUT] = _taken(factors[OUTPUT], maps[0], maps[0].made)
    if len(maps) < 2:
        return result
    inputs = product(maps[1:])
    ones = np.ones(len(inputs.index) + 1)
    if ROWS in factors and not inputs.fresh.any():
        found = _with_constant(inputs, factors[ROWS])
        result[ROWS] = factors[ROWS].index_select(1, torch.from_numpy(found.index.copy()).to(factors[ROWS].device))
    elif ROWS in factors:
        dense = factors[ROWS].mT @ factors[ROWS]
        found = _with_constant(inputs, dense)
        result[INPUT] = _taken(dense, found, ones[: len(found.index)])
    elif INPUT in factors:
        found = _with_constant(inputs, factors[INPUT])
        result[INPUT] = _taken(factors[INPUT], found, ones[: len(found.index)])
    return result


def _with_constant(inputs: AxisMap, factor: Tensor) -> AxisMap:
    """Return the map of a factor's axis: that of the inputs, and the constant 1 where it has one."""
    if factor.shape[1] == inputs.old:
        return inputs
    return AxisMap.concat([inputs, AxisMap.of(UnitMap.identity(1), reads=False)])


def _taken(old: Tensor, found: AxisMap, coefficients: np.ndarray) -> Tensor:  # [old, old] -> [new, new]
    index = torch.from_numpy(found.index.clip(min=0)).to(old.device)
    factor = torch.from_numpy(np.where(found.fresh, 0.0, coefficients)).to(old)
    new = old.index_select(0, index).index_select(1, index) * factor.unsqueeze(1) * factor
    fresh = torch.from_numpy(found.fresh).to(old.device)
    new.diagonal()[fresh] = old.trace() / max(len(old), 1)
    return new
