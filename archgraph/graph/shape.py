"""The shape of a tensor without its batch axis, and which axis holds the units."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archgraph.errors import ShapeError

LARGEST = 2**31 - 1
"""Longest axis."""

SAMPLES, GRAPHS = "samples", "graphs"
"""What the rows of a batch usually are; and, of a network on graphs, whose samples are nodes, behind a pooling."""

EDGES, SOME_EDGES, WEIGHTS, MEMBERSHIPS = "edges", "some edges", "edge weights", "memberships"
"""What the rows of other tensors of such a network are; some of the edges are left where others are dropped."""


@dataclass(frozen=True, repr=False)
class Shape:
    """The dimensions of one sample, with the axis along which its units (channels, features, neurons) lie.

    A sample without axes, ``Shape(())``, is one number: a time step, a class, a prediction. It counts as one unit,
    which lies on no axis and cannot be resized.

    Args:
        dims: sizes of all axes but the batch axis, all positive.
        unit_axis: index into ``dims`` of the units: 0 for images ``(C, H, W)``, the last for tokens ``(T, D)``; 0 where
            there are no axes.
        rows: what the entries of the batch axis are: samples. Networks on graphs have others: their samples are nodes,
            and there are edges too, and graphs.

    Raises:
        ShapeError: for a size below one, or an axis out of range.

    >>> Shape((16, 4, 4)).units, Shape((16, 4, 4)).positions, Shape(()).units
    (16, 16, 1)
    """

    dims: tuple[int, ...]
    unit_axis: int = 0
    rows: str = SAMPLES

    def __post_init__(self) -> None:
        dims = tuple(self.dims)
        if any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in dims):
            raise ShapeError("every axis of a shape needs a positive integer size", got=self.dims)
        if max(dims, default=1) > LARGEST:
            raise ShapeError("an axis is longer than any tensor can be", expected=f"at most {LARGEST}", got=max(dims))
        axes = len(dims) or 1
        if not -axes <= self.unit_axis < axes:
            raise ShapeError(f"unit axis {self.unit_axis} does not exist", expected=f"an axis of {dims}")
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "unit_axis", self.unit_axis % axes)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.dims[self.unit_axis] if self.dims else 1

    @property
    def others(self) -> tuple[int, ...]:
        """Sizes of the axes that are not the unit axis: height and width of an image, length of a sequence."""
        return self.dims[: self.unit_axis] + self.dims[self.unit_axis + 1 :]

    @property
    def positions(self) -> int:
        """Entries per unit: 1 for a vector, height times width for an image."""
        return math.prod(self.others)

    @property
    def size(self) -> int:
        """Entries in all."""
        return math.prod(self.dims)

    def resized(self, units: int) -> Shape:
        """Return this shape with another number of units.

        Raises:
            ShapeError: when a sample is one number, or there would be no units.
        """
        if not self.dims:
            raise ShapeError("a sample is one number, and lies along no axis of units")
        dims = (*self.dims[: self.unit_axis], units, *self.dims[self.unit_axis + 1 :])
        return Shape(dims, self.unit_axis, self.rows)

    @property
    def mixes(self) -> bool:
        """Whether its rows are those that layers compute with: samples, or graphs; not edges or memberships."""
        return self.rows in (SAMPLES, GRAPHS)

    def __str__(self) -> str:
        return ("x".join(map(str, self.dims)) or "scalar") + (f" of {self.rows}" if self.rows != SAMPLES else "")

    def __repr__(self) -> str:
        axis = f", unit_axis={self.unit_axis}" if self.unit_axis else ""
        rows = f", rows={self.rows!r}" if self.rows != SAMPLES else ""
        return f"Shape({self.dims}{axis}{rows})"
