"""``unit i -> copies k with rows theta + delta_k ; outgoing w -> w_k w ; function kept as delta -> 0``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Graph, makes, node_of, resize
from archgraph.moves.move import Move, resizable, units_of

HALVES = (0.5, 0.5)


class Displacements:
    """How far the copies of split units move: one array ``[copies, *row]`` a unit, compared by content."""

    def __init__(self, arrays: Sequence[NDArray[np.float64]]) -> None:
        self.arrays = tuple(np.array(array, dtype=np.float64) for array in arrays)
        for array in self.arrays:
            array.flags.writeable = False
        content = b"".join(str(array.shape).encode() + array.tobytes() for array in self.arrays)
        self.key = hashlib.sha256(content).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Displacements) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, repr=False)
class Split(Move):
    """Split units of a linear or convolution node, transposed and graph ones included, into copies that move apart.

    Splitting steepest descent (arXiv 1910.02366) moves two halves by plus and minus a step along the lowest eigenvector
    of the splitting matrix; signed splitting (arXiv 2003.10392) uses other weights and displacements. Coordinates are
    those of the weight row before the split, so where adjacent layers are split together the later one goes first: the
    columns of its displaced rows are then copied and take their share, and the displacement stays what it was as a
    function of the input.

    The ``repr`` leaves displacements out: read back, it gives the same graph and unmoved copies.

    Args:
        node: a node with a weight of its own.
        units: which of its units.
        weights: for every unit, the outgoing weights of its copies, summing to one; halves by default.
        displacements: for every unit, ``[copies, *row]`` in units of the weight; unmoved by default.
        bias_displacements: likewise ``[copies]`` for the bias.
    """

    node: str
    units: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...] = ()
    displacements: Displacements | None = field(default=None, repr=False)
    bias_displacements: Displacements | None = field(default=None, repr=False)

    @classmethod
    def along(
        cls, node: str, units: Sequence[int], directions: Tensor, *, step: float | Sequence[float], bias: bool = False
    ) -> Self:
        """Split units in two halves, displaced by plus and minus ``step`` times a direction.

        Args:
            node: a node with a weight of its own.
            units: which of its units.
            directions: ``[len(units), D]`` or ``[len(units), *row]`` one direction a unit.
            step: length of the displacement, one for all units or one each, in units of the weight.
            bias: whether the last of ``D`` coordinates belongs to the bias.
        """
        steps = [float(step)] * len(units) if isinstance(step, int | float) else [float(one) for one in step]
        flat = directions.detach().cpu().double().reshape(len(units), -1)
        moved = flat * torch.tensor(steps, dtype=torch.float64).reshape(-1, 1)
        return cls.of(node, units, (HALVES,) * len(units), list(torch.stack([moved, -moved], dim=1)), bias=bias)

    @classmethod
    def of(
        cls,
        node: str,
        units: Sequence[int],
        weights: Sequence[Sequence[float]],
        displacements: Sequence[Tensor],  # of every unit [M, D] or [M, *row], in units of the weight
        *,
        bias: bool = False,
    ) -> Self:
        """Split units into any copies.

        Args:
            node: a node with a weight of its own.
            units: which of its units.
            weights: of every unit, the ``M`` outgoing weights of its copies, summing to one.
            displacements: of every unit, what is added to the rows of its copies.
            bias: whether the last of ``D`` coordinates belongs to the bias.
        """
        given = tuple(tuple(float(weight) for weight in row) for row in weights)
        moves = [one.detach().cpu().double().reshape(len(one), -1).numpy() for one in displacements]
        return cls(
            node,
            tuple(int(unit) for unit in units),
            () if all(row == HALVES for row in given) else given,
            Displacements([move[:, :-1] if bias else move for move in moves]),
            Displacements([move[:, -1] for move in moves]) if bias else None,
        )

    def plan(self, graph: Graph) -> Edit:
        units = units_of(graph, self.node, self.units)
        weights = self.weights or (HALVES,) * len(units)
        if not _has_rows(graph, self.node):
            raise MoveRefused(
                f"node {self.node!r} has no weight rows to move", place=str(graph.node(node_of(self.node)))
            )
        specs = graph.tensors(self.node)
        names, bias = graph.op(self.node).rows_of_unit(*graph.input_shapes(self.node))
        if len(weights) != len(units):
            raise MoveRefused("weights are given for every unit", expected=len(units), got=len(weights))
        for row in weights:
            if not abs(sum(row) - 1.0) <= 1e-9:  # NaN is refused too
                raise MoveRefused("the outgoing weights of a unit's copies must sum to one", got=row)
        edit = resize(graph, self.node, dict(zip(units, weights, strict=True)))
        moves: dict[str, NDArray[np.float64]] = {}
        owner = graph.node(self.node).owner
        sizes = [specs[key].size // graph.units(self.node) for key in names]
        for key, given in (*self._parts(names, sizes), (bias or "bias", self.bias_displacements)):
            if given is None:
                continue
            if key not in specs:
                raise MoveRefused(f"node {self.node!r} has no {key} to move", place=str(graph.node(self.node)))
            axis = [makes(role) for role in specs[key].axes].index(True)  # 1 in a transposed convolution's weight
            row = specs[key].shape[:axis] + specs[key].shape[axis + 1 :]
            moves[f"{owner}.{key}"] = np.moveaxis(self._spread(edit, key, given, weights, row), 0, axis)
        return Edit(edit.before, edit.after, edit.units, moves)

    def _parts(self, names: Sequence[str], sizes: Sequence[int]) -> Iterator[tuple[str, Displacements | None]]:
        """Yield the displacements of every tensor of rows; where there are several, a row is all of theirs."""
        if self.displacements is None or len(names) == 1:
            yield from ((key, self.displacements) for key in names)
            return
        flat = [array.reshape(len(array), -1) for array in self.displacements.arrays]
        for array in flat:
            if array.shape[1] != sum(sizes):
                raise MoveRefused(
                    f"a row of node {self.node!r} has other entries", expected=sum(sizes), got=array.shape
                )
        ends = np.cumsum(sizes)
        for key, size, end in zip(names, sizes, ends, strict=True):
            yield key, Displacements([array[:, end - size : end] for array in flat])

    def _spread(
        self,
        edit: Edit,
        key: str,
        given: Displacements,
        weights: tuple[tuple[float, ...], ...],
        row: tuple[int, ...],
    ) -> NDArray[np.float64]:
        """Put the displacements of the copies where the copies stand: ``[new units, *row]``."""
        units = edit.unit_map(self.node)
        shift = np.zeros((len(units), *row))
        if len(given.arrays) != len(self.units):
            raise MoveRefused("displacements are given for every unit", expected=len(self.units), got=len(given.arrays))
        for unit, array, parts in zip(self.units, given.arrays, weights, strict=True):
            if array.shape[:1] != (len(parts),) or array[0].size != np.prod(row, dtype=int):
                raise MoveRefused(
                    f"displacements of unit {unit} do not fit the {key} of node {self.node!r}",
                    expected=(len(parts), *row),
                    got=array.shape,
                )
            shift[np.flatnonzero(units.index == unit)] = array.reshape(len(parts), *row)
        return shift

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        for name, units in resizable(graph):
            if _has_rows(graph, name):
                for unit in units:
                    yield cls(name, (unit,))


def _has_rows(graph: Graph, name: str) -> bool:
    """Whether the units at an address are rows of weights, or columns as in a transposed convolution."""
    return "." not in name and bool(graph.op(name).rows_of_unit(*graph.input_shapes(name))[0])
