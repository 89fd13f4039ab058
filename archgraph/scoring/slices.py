"""The numbers that a new unit brings along: its slices of the tensors of all nodes that make it or hear it.

They are the directions of a gate of an over-grown network (:mod:`archgraph.overgrown`), one after the other: slices of
the layers that make the unit (``"in"``: rows of weights, biases, filters of depthwise convolutions) and of those that
hear it (``"out"``: columns), in the order of the graph. That order is the same whatever else grows.

Letters: ``P`` numbers of a new unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from archgraph.net import Network
from archgraph.overgrown import NewUnits, Overlay, overgrow


@dataclass(frozen=True)
class Slice:
    """One of them.

    Args:
        node: whose tensor it is of.
        key: the tensor and the axis along which units lie: ``"weight 0"``.
        side: ``"in"`` or ``"out"``.
        number: which, where a unit stands at several places of the axis.
        start: of its numbers among those of the unit.
        shape: of the slice: that of the tensor without the axis.
    """

    node: str
    key: str
    side: str
    number: int
    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        """Place behind its last number."""
        return self.start + math.prod(self.shape)


@dataclass(frozen=True)
class Slices:
    """The slices of any new unit of a spot.

    Args:
        parts: in order.
    """

    parts: tuple[Slice, ...]

    @property
    def size(self) -> int:
        """P."""
        return self.parts[-1].stop if self.parts else 0

    @cached_property
    def heard(self) -> Tensor:
        """``[P]`` which numbers are outgoing weights."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        for part in self.parts:
            mask[part.start : part.stop] = part.side == "out"
        return mask

    def of(self, node: str, side: str) -> tuple[Slice, ...]:
        """Return the slices of a node on one side, in order; those of weights before that of the bias."""
        own = [part for part in self.parts if part.node == node and part.side == side]
        return tuple(sorted(own, key=lambda part: not part.shape))  # a graph convolution lists its bias first

    def rows(
        self,
        units: Tensor,  # [K, P]
        node: str,
    ) -> Tensor:  # [K, D]
        """Return the incoming rows of units at a layer, the bias last if it has one."""
        return torch.cat([units[:, part.start : part.stop] for part in self.of(node, "in")], dim=1)

    def set_rows(
        self,
        units: Tensor,  # [K, P], in place
        node: str,
        rows: Tensor,  # [K, D]
    ) -> None:
        """Set the incoming rows of units at a layer."""
        done = 0
        for part in self.of(node, "in"):
            size = part.stop - part.start
            units[:, part.start : part.stop] = rows[:, done : done + size]
            done += size

    def outgoing(
        self,
        units: Tensor,  # [K, P]
        node: str,
    ) -> Tensor:  # [K, T * J]
        """Return the outgoing weights of units at a reader, in the order of :mod:`archgraph.criteria.growths`."""
        parts = self.of(node, "out")
        places = [units[:, part.start : part.stop].reshape(len(units), part.shape[0], -1) for part in parts]
        return torch.stack(places, dim=2).flatten(1) if len(places) > 1 else places[0].flatten(1)

    def set_outgoing(
        self,
        units: Tensor,  # [K, P], in place
        node: str,
        weights: Tensor,  # [K, T * J]
    ) -> None:
        """Set the outgoing weights of units at a reader."""
        parts = self.of(node, "out")
        by_output = weights.reshape(len(units), parts[0].shape[0], -1)  # [K, T, J]
        for place, part in enumerate(parts):
            own = by_output if len(parts) == 1 else by_output[:, :, place]
            units[:, part.start : part.stop] = own.reshape(len(units), -1)


def places(overlay: Overlay) -> list[Tensor]:
    """Return for every gate of an overlay where the numbers of its slices stand in the flat vector of directions."""
    found: list[list[Tensor]] = [[] for _ in overlay.gates]
    for block in overlay.blocks:
        size = math.prod(block.rest)
        for number, row in enumerate(block.rows):
            start = block.start + number * size
            found[row.gate].append(torch.arange(start, start + size))
    return [torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long) for parts in found]


def slices(network: Network, nodes: Mapping[str, int]) -> tuple[Overlay, dict[str, Slices]]:
    """Return a network with new units, and what their slices are.

    Args:
        network: the base.
        nodes: how many units each gains.

    Raises:
        MoveRefused: when a node cannot gain units.
    """
    overlay = overgrow(network, [NewUnits(node, count) for node, count in nodes.items()])
    found: dict[str, list[Slice]] = {node: [] for node in nodes}
    for block in overlay.blocks:
        for row in block.rows:
            gate = overlay.gates[row.gate]
            if gate.number:
                continue
            parts = found[gate.candidate.node]  # type: ignore[union-attr]
            start = parts[-1].stop if parts else 0
            parts.append(Slice(row.node, row.key, row.side, row.number, start, block.rest))
    return overlay, {node: Slices(tuple(parts)) for node, parts in found.items()}
