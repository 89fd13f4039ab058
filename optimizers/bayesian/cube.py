"""The unit cube as an optimiser of acquisitions walks through it: one dimension a parameter, options by their number.

Letters: ``D`` encoded columns, ``P`` dimensions; a batch of points has any leading shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from archgraph.spaces import Column


@dataclass(frozen=True)
class Dimension:
    """One parameter of a space.

    Args:
        name: of the parameter.
        start: its first encoded column.
        levels: the numbers it takes; None when it is continuous. Of options without an order they are 0, 1, 2, ...
        options: how many options without an order it has, each with a column of its own; 0 when it is a number.
    """

    name: str
    start: int
    levels: tuple[float, ...] | None
    options: int = 0


@dataclass(frozen=True)
class Cube:
    """Encoded columns grouped into dimensions.

    A space encodes options without an order as a 1 among 0s. Whoever moves from point to point must not leave these
    corners, so options become one dimension here that holds the number of the option.

    Args:
        columns: of the space.
    """

    columns: tuple[Column, ...]

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The parameters, in order."""
        found, start = [], 0
        for name, group in groupby(self.columns, lambda column: column.parameter):
            members = tuple(group)
            count = len(members)
            if count == 1:
                found.append(Dimension(name, start, members[0].levels))
            else:
                found.append(Dimension(name, start, tuple(float(number) for number in range(count)), count))
            start += count
        return tuple(found)

    @cached_property
    def bounds(self) -> Tensor:  # [2, P]
        """The least and the greatest number of every dimension."""
        ends = [(0.0, 1.0) if one.levels is None else (one.levels[0], one.levels[-1]) for one in self.dimensions]
        return torch.tensor(ends, dtype=torch.float64).T.reshape(2, -1).contiguous()

    @property
    def fixed(self) -> dict[int, float]:
        """Dimensions of a single number, with it."""
        return {
            place: one.levels[0]
            for place, one in enumerate(self.dimensions)
            if one.levels is not None and len(one.levels) == 1
        }

    @property
    def discrete(self) -> dict[int, list[float]]:
        """Dimensions of a few ordered numbers, with them."""
        return self._of(options=False)

    @property
    def categorical(self) -> dict[int, list[float]]:
        """Dimensions of options without an order, with their numbers."""
        return self._of(options=True)

    def _of(self, *, options: bool) -> dict[int, list[float]]:
        return {
            place: list(one.levels)
            for place, one in enumerate(self.dimensions)
            if one.levels is not None and len(one.levels) > 1 and bool(one.options) == options
        }

    def expand(
        self,
        Z: Tensor,  # [..., P]
    ) -> Tensor:  # [..., D]
        """Return the encoded columns of points; differentiable in the dimensions that are numbers."""
        parts = []
        for place, one in enumerate(self.dimensions):
            column = Z[..., place : place + 1]
            if one.options:
                ahead = torch.arange(one.options, dtype=Z.dtype, device=Z.device)
                column = (column.round().clamp(0, one.options - 1) == ahead).to(Z.dtype)
            parts.append(column)
        return torch.cat(parts, -1)

    def compress(
        self,
        X: Tensor,  # [..., D]
    ) -> Tensor:  # [..., P]
        """Return points by dimension: of options the number of the greatest column, the first of equal ones."""
        parts = [
            X[..., one.start : one.start + one.options].max(-1, keepdim=True).indices.to(X.dtype)
            if one.options
            else X[..., one.start : one.start + 1]
            for one in self.dimensions
        ]
        return torch.cat(parts, -1)

    def place(
        self,
        U: Tensor,  # [..., P]  in [0, 1)
    ) -> Tensor:  # [..., D]
        """Return the points that uniform numbers stand for, every level of a dimension as likely as the others."""
        Z = U.clone()
        for place, one in enumerate(self.dimensions):
            if one.levels is not None:
                levels = torch.tensor(one.levels, dtype=U.dtype)
                Z[..., place] = levels[(U[..., place] * len(levels)).long().clamp(0, len(levels) - 1)]
        return self.expand(Z)


def sobol(
    cube: Cube,
    count: int,
    seed: int,
) -> Tensor:  # [N, D]
    """Return the first points of a scrambled Sobol sequence.

    Args:
        cube: what the points are of.
        count: how many, N.
        seed: of the scrambling.
    """
    size = len(cube.dimensions)
    engine = torch.quasirandom.SobolEngine(size, scramble=True, seed=seed % (1 << 31))
    return cube.place(engine.draw(count, dtype=torch.float64))


def names(cube: Cube) -> Sequence[str]:
    """Return the names of the parameters, one a dimension."""
    return [one.name for one in cube.dimensions]
