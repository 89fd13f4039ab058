"""A unit that may be grown: where it is, into which copies, where they would move, and what that promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from archgraph.criteria import Scheme
from archgraph.graph import makes
from archgraph.net import Network

HALVES = (0.5, 0.5)
"""Outgoing weights of a mirrored pair."""

ROW_FLOOR = 1e-6
"""Rows shorter than this are moved as if they were this long, in units of the weight."""


@dataclass(frozen=True, eq=False)
class Site:
    """One way to split one unit; several sites may name the same unit.

    The copies have outgoing weights ``w_k`` that sum to one and displacements ``delta_k`` with
    ``sum_k w_k delta_k = 0`` and ``|delta_k| <= 1``. The loss changes by ``(eps^2 / 2) sum_k w_k delta_k^T S delta_k``
    to second order in the step ``eps``, ``S`` being the unit's splitting matrix.

    Args:
        node: its node.
        unit: its number.
        index: the sum ``sum_k w_k delta_k^T S delta_k``; negative promises a lower loss.
        weights: ``M`` outgoing weights of the copies.
        displacements: ``[M, D]`` where the copies go, in units of the step; a last coordinate beyond the weight row is
            the bias's.
        row: length of its weight row.
        noise: standard error of the index.
        fresh: the number of a new unit that is proposed beside this one, and does not exclude others; None for a split.
    """

    node: str
    unit: int
    index: float
    weights: tuple[float, ...]
    displacements: Tensor
    row: float
    noise: float = 0.0
    fresh: int | None = None

    @classmethod
    def pair(
        cls,
        node: str,
        unit: int,
        index: float,
        direction: Tensor,  # [D]  v, of length one
        row: float,
        noise: float = 0.0,
    ) -> Self:
        """Return the split in two halves that move by ``+v`` and ``-v``; its index is ``v^T S v``."""
        return cls(node, unit, index, HALVES, torch.stack([direction, -direction]), row, noise)

    @classmethod
    def along(
        cls,
        node: str,
        unit: int,
        scheme: Scheme,
        lowest: Tensor,  # [D]  v_min, of length one
        highest: Tensor,  # [D]  v_max, of length one, orthogonal to v_min
        row: float,
        noise: float = 0.0,
    ) -> Self:
        """Return the split by a scheme of :mod:`archgraph.criteria.signed`; its index is the scheme's value."""
        return cls(node, unit, scheme.value, scheme.weights, scheme.displacements(lowest, highest), row, noise)

    @property
    def mirrored(self) -> Self:
        """The same copies, each moved the other way: equal to second order, different at ``eps^3``."""
        return replace(self, displacements=-self.displacements)

    @property
    def is_even(self) -> bool:
        """Whether :attr:`mirrored` is the same split with its copies in another order, whatever the step."""
        copies = list(zip(self.weights, self.displacements.tolist(), strict=True))
        turned = [(weight, [-one for one in move]) for weight, move in copies]
        return sorted(copies) == sorted(turned)

    @property
    def copies(self) -> int:
        """Number of units that stand in the place of this one afterwards."""
        return len(self.weights)

    @property
    def length(self) -> float:
        """What steps are measured in: the length of the row."""
        return max(self.row, ROW_FLOOR)

    @property
    def rank(self) -> float:
        """Index for a displacement as long as the row, which does not depend on the row's scale under batch norm."""
        return self.index * self.length**2

    def predicted(self, step: float) -> float:
        """Return the predicted change of the loss for a displacement of ``step`` times the row's length."""
        return 0.5 * (step * self.length) ** 2 * self.index


def rows(network: Network, node: str) -> Tensor:
    """Return ``[U]`` the lengths of the weight rows of a node, of several tensors side by side in a graph layer."""
    graph, tensors = network.graph, network.tensors(node)
    names, _ = graph.op(node).rows_of_unit(*graph.input_shapes(node))
    specs = graph.tensors(node)
    axes = [[makes(role) for role in specs[name].axes].index(True) for name in names]  # 1 in a transposed convolution
    parts = [tensors[name].double().movedim(axis, 0).flatten(1) for name, axis in zip(names, axes, strict=True)]
    return torch.cat(parts, dim=1).norm(dim=1)
