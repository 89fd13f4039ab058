"""The part of one tensor of an over-grown network that gates and directions make.

Letters: ``R`` rows of the block, one for each learned slice; ``E`` entries of the tensor's axis that they go to; ``G``
gates. A tensor is ``W = C + sum over blocks``, with ``C`` what it is at zero gates. A block puts slices ``d_r`` at
entries ``e`` of one axis, times ``1`` (rows that make a fresh unit), ``e_g`` (columns that read one) or ``+-e_g`` (rows
of the halves of a split), and lets the other axes follow the units they run along as every tensor does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """Which slice of which tensor a row of a block is, in words that do not depend on other candidates.

    Args:
        gate: number of the gate.
        node: the node, or the role of an inserted one.
        key: the tensor.
        side: ``"in"`` for what makes a unit, ``"out"`` for what reads one.
        number: which of the slices of that gate, tensor and side.
    """

    gate: int
    node: str
    key: str
    side: str
    number: int


@dataclass(frozen=True, eq=False)
class Follow:
    """How an axis of the learned slices becomes that axis of the tensor.

    Args:
        axis: of the slices with their row axis.
        index: ``[new]`` old entries.
        factor: ``[new]`` what they are multiplied with; zero for fresh ones.
    """

    axis: int
    index: Tensor
    factor: Tensor

    def __call__(self, slices: Tensor) -> Tensor:
        factor = self.factor.reshape([-1 if axis == self.axis else 1 for axis in range(slices.ndim)])
        return slices.index_select(self.axis, self.index) * factor


@dataclass(frozen=True, eq=False)
class Block:
    """Learned slices along one axis of a tensor.

    Args:
        label: the tensor, ``"node.tensor"`` of the grown graph.
        axis: along which the slices lie; None when the one slice is the whole tensor.
        rows: ``[R]`` what each slice is.
        start: place of the first number in the flat vector of directions.
        rest: shape of a slice, in units of the graph before widths were resized.
        entries: ``[E]`` entries of the axis.
        which: ``[E]`` the row that goes there.
        gates: ``[E]`` its gate.
        signs: ``[E]`` 1 or -1.
        gated: ``[E]`` 1 where the slice is multiplied with the gate, 0 where it is not.
        follows: how the other axes follow.
        gain: what the tensor makes up for, as other units of the op come: slices are in the units of the graph before.
    """

    label: str
    axis: int | None
    rows: tuple[Row, ...]
    start: int
    rest: tuple[int, ...]
    entries: Tensor
    which: Tensor
    gates: Tensor
    signs: Tensor
    gated: Tensor
    follows: tuple[Follow, ...]
    gain: float = 1.0

    @property
    def stop(self) -> int:
        """Place behind the last number in the flat vector of directions."""
        return self.start + len(self.rows) * math.prod(self.rest)

    def slices(self, directions: Tensor) -> Tensor:
        """Return its part ``[R, *rest]`` of the flat vector of directions, a view."""
        return directions[self.start : self.stop].reshape(len(self.rows), *self.rest)

    def scales(self, gates: Tensor) -> Tensor:
        """Return ``[E]`` what the slice at each entry is multiplied with."""
        return self.signs * torch.where(self.gated > 0, gates.index_select(0, self.gates), 1.0)

    def added_to(
        self,
        tensor: Tensor,  # of the grown graph
        gates: Tensor,  # [G]
        directions: Tensor,  # [D]
    ) -> Tensor:
        """Return a tensor with this block's part added."""
        slices = self.slices(directions)
        for follow in self.follows:
            slices = follow(slices)
        shape = [-1] + [1] * (slices.ndim - 1)
        placed = slices.index_select(0, self.which) * (self.gain * self.scales(gates)).reshape(shape)
        if self.axis is None:
            return tensor + placed[0]
        return tensor.index_add(self.axis, self.entries, placed.movedim(0, self.axis))

    def to(self, device: torch.device, dtype: torch.dtype) -> Block:
        """Return the block with its factors in another type, on another device."""
        follows = tuple(Follow(one.axis, one.index.to(device), one.factor.to(device, dtype)) for one in self.follows)
        return Block(
            self.label,
            self.axis,
            self.rows,
            self.start,
            self.rest,
            self.entries.to(device),
            self.which.to(device),
            self.gates.to(device),
            self.signs.to(device, dtype),
            self.gated.to(device, dtype),
            follows,
            self.gain,
        )
