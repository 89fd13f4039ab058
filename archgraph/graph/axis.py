"""What the axes of a tensor run along, and where their entries come from after an edit.

Most axes run along the output units of their node (``"out"``), along the units of its first input (``"in"``) or along
neither (None). Others are composed: the rows of an LSTM are four gates times its units, and the rows of attention's
projections are heads times the width of a head, for queries, keys and values one after the other. Such widths are
*inner axes*: units that no other node sees. Their address is ``"node.axis"``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from archgraph.graph.unit_map import FRESH, UnitMap


@dataclass(frozen=True)
class Along:
    """A factor of an axis that runs along units.

    Args:
        units: ``"out"`` for the node's output units, ``"in"`` for those of an input, or the name of an inner axis.
        reads: whether the tensor reads those units, so that their outgoing coefficients apply to it, or makes them.
        position: of the input, for ``"in"``.
        inverse: whether the tensor is divided by the coefficients: it multiplies a tensor that they multiply, where
            the product stays what it was.
    """

    units: str
    reads: bool = False
    position: int = 0
    inverse: bool = False


Factor = Along | int
"""What an axis is a product of: units, or a number of entries that never changes."""


@dataclass(frozen=True)
class Parts:
    """An axis made of parts that stand one after the other, each a product of factors of which the last runs fastest.

    >>> Parts(((4, Along("out")),))  # four gates times the units of an LSTM
    Parts(parts=((4, Along(units='out', reads=False, position=0, inverse=False)),))
    """

    parts: tuple[tuple[Factor, ...], ...]


Role = str | None | Along | Parts
"""The role of an axis: ``"out"`` and ``"in"`` are short for ``Along("out")`` and ``Along("in", reads=True)``."""


def parts_of(role: Role, size: int) -> tuple[tuple[Factor, ...], ...]:
    """Return a role as parts of factors.

    Args:
        role: of an axis.
        size: of that axis, for one that runs along no units.
    """
    if isinstance(role, Parts):
        return role.parts
    if role is None:
        return ((size,),)
    return ((role if isinstance(role, Along) else Along(role, reads=role == "in"),),)


def makes(role: Role) -> bool:
    """Whether the tensor makes some of the units that an axis with this role runs along."""
    return any(isinstance(one, Along) and not one.reads for part in parts_of(role, 1) for one in part)


def length(role: Role, size: int, units: Mapping[Along, int]) -> int:
    """Return the number of entries of an axis from the numbers of the units that it runs along."""
    return sum(
        math.prod(units[one] if isinstance(one, Along) else one for one in part) for part in parts_of(role, size)
    )


def node_of(address: str) -> str:
    """Return the node of an address: of a node itself, or of one of its inner axes.

    >>> node_of("attention1.heads"), node_of("linear1")
    ('attention1', 'linear1')
    """
    return address.partition(".")[0]


@dataclass(frozen=True, eq=False)
class AxisMap:
    """For every new entry of an axis, the old one that it continues, and the coefficients of the units it belongs to.

    Args:
        index: ``[new]`` old entries, or ``FRESH``.
        made: ``[new]`` product of the outgoing coefficients of the units that the tensor makes.
        read: ``[new]`` likewise of those that it reads.
        old: number of entries before.
    """

    index: NDArray[np.int64]
    made: NDArray[np.float64]
    read: NDArray[np.float64]
    old: int

    @classmethod
    def of(cls, units: UnitMap, *, reads: bool, inverse: bool = False) -> AxisMap:
        """Return the map of an axis that runs along units alone."""
        ones = np.ones(len(units))
        if inverse:  # and so its gradient has the coefficient twice: from the copy, and from what it is multiplied with
            known = np.where(units.coefficient == 0.0, 1.0, units.coefficient)
            return cls(units.index, known**2, 1.0 / known, units.old_units)
        made, read = (ones, units.coefficient) if reads else (units.coefficient, ones)
        return cls(units.index, made, read, units.old_units)

    @classmethod
    def concat(cls, maps: list[AxisMap]) -> AxisMap:
        """Return the map of an axis from those of the parts that stand one after the other."""
        if len(maps) == 1:
            return maps[0]
        starts = np.cumsum([0, *(part.old for part in maps)])
        index = [np.where(part.fresh, FRESH, part.index + start) for part, start in zip(maps, starts, strict=False)]
        made, read = ([getattr(part, name) for part in maps] for name in ("made", "read"))
        return cls(np.concatenate(index), np.concatenate(made), np.concatenate(read), int(starts[-1]))

    def times(self, inner: AxisMap) -> AxisMap:
        """Return the map of the product of this axis with one that runs faster."""
        lost = self.fresh[:, None] | inner.fresh
        index = np.where(lost, FRESH, self.index[:, None] * inner.old + inner.index)
        made, read = np.multiply.outer(self.made, inner.made), np.multiply.outer(self.read, inner.read)
        return AxisMap(index.reshape(-1), made.reshape(-1), read.reshape(-1), self.old * inner.old)

    @property
    def fresh(self) -> NDArray[np.bool_]:
        """``[new]`` which entries continue no old one."""
        return self.index == FRESH

    @property
    def is_identity(self) -> bool:
        """Whether every entry stays where and what it is."""
        return (
            len(self.index) == self.old
            and bool((self.index == np.arange(self.old)).all())
            and bool((self.made == 1.0).all() and (self.read == 1.0).all())
        )


def product(maps: list[AxisMap]) -> AxisMap:
    """Return the map of a product of axes, the last of which runs fastest."""
    return reduce(AxisMap.times, maps)
