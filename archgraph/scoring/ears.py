"""What reaches a layer that would hear new units: what they say, what the existing units say, and the gradient behind.

Letters: ``B`` samples, ``K`` new units, ``U`` existing ones, ``J`` weights that each output has for a unit, ``T``
outputs, ``F`` entries of what the layer reads at a position (``U J``, + 1 with a bias); maps as in
:mod:`archgraph.criteria.window`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from archgraph import ops
from archgraph.criteria.window import Window, as_map
from archgraph.graph import Graph, label
from archgraph.net import Captured
from archgraph.overgrown import Overlay
from archgraph.overgrown.marks import NONE
from archgraph.scoring.layer import GRAPH_LAYERS, copies_of_columns
from archgraph.scoring.spots import Reader, Spot
from archgraph.scoring.straight import as_layer_map, reading


@dataclass(frozen=True, eq=False)
class Ear:
    """A reader of new units.

    Args:
        graph: the graph with new units in it, or without any.
        reader: the layer.
        fresh: ``[K, J']`` where the units stand on what it reads; J' is J behind a flatten, or where it is a graph
            convolution, which reads features that were propagated; else 1.
        old: ``[F']`` where existing units stand, each with its J' places in order; None where these differ in number.
        columns: ``[F']`` the column of the layer's weight, before any growth, that belongs to each of ``old``.
        outputs: ``[T]`` where its existing outputs stand among all that it has; None where there are no others.
    """

    graph: Graph
    reader: Reader
    fresh: Tensor
    old: Tensor | None
    columns: Tensor | None
    outputs: Tensor | None = None

    @property
    def window(self) -> Window:
        """How it reads the map of a unit."""
        return reading(self.graph, self.reader)

    def said(self, captured: Captured) -> Tensor:  # [B, K, H, W]
        """Return what new units say."""
        here = self._map(captured)
        return _taken(here, self.fresh)

    def existing(self, captured: Captured) -> Tensor:  # [B, U, H, W]
        """Return what existing units say."""
        assert self.old is not None
        return _taken(self._map(captured), self.old.reshape(-1, self._places))

    def grads(self, captured: Captured) -> Tensor:  # [B, T, P, Q]
        """Return the gradient of the batch's mean loss at its outputs."""
        found = as_layer_map(self.graph.op(self.reader.node), captured.grads[self.reader.node])
        return found if self.outputs is None else found.index_select(1, self.outputs.to(found.device))

    def by_column(
        self,
        moves: Tensor,  # [K, T, F]  in the order of :meth:`existing`, the bias last
    ) -> Tensor:  # [K, T, F]
        """Return moves of existing weights in the order of the layer's weight before any growth."""
        assert self.columns is not None
        if self._places == 1:
            return moves
        found = moves.clone()
        found[:, :, self.columns] = moves[:, :, : len(self.columns)]
        return found

    @property
    def _places(self) -> int:
        return int(self.fresh.shape[1])

    def _map(self, captured: Captured) -> Tensor:
        if isinstance(self.graph.op(self.reader.node), GRAPH_LAYERS):
            return as_map(captured.seen[self.reader.node])
        return as_layer_map(self.graph.op(self.reader.node), captured.values[self.reader.boundary])


def _taken(here: Tensor, entries: Tensor) -> Tensor:
    """Return entries of the unit axis of a map; those of a flattened one as maps of their own."""
    found = here.index_select(1, entries.reshape(-1).to(here.device))
    return found if entries.shape[1] == 1 else found.reshape(len(found), *entries.shape, 1)


def ears(graph: Graph, spot: Spot) -> tuple[Ear, ...]:
    """Return the readers of a spot in a graph without new units."""
    found = []
    for reader in spot.readers:
        units, ways = graph.shape(reader.boundary).units, copies_of_columns(graph, reader.node)
        places = _places(graph, reader)
        old, columns = _ordered(graph, reader.boundary, np.arange(units), places)
        fresh = torch.zeros(0, places * ways, dtype=torch.long)
        found.append(Ear(graph, reader, fresh, _along(old, places, units, ways), _along(columns, places, units, ways)))
    return tuple(found)


def overgrown_ears(overlay: Overlay, spots: Mapping[str, Spot]) -> dict[str, tuple[Ear, ...]]:
    """Return the readers of spots in a network with new units, by the node that names each spot."""
    found = {}
    gates: dict[str, list[int]] = {}
    for gate in overlay.gates:
        gates.setdefault(gate.candidate.node, []).append(gate.index)  # type: ignore[union-attr]
    for node, spot in spots.items():
        own = []
        for reader in spot.readers:
            marks = overlay.structure.marks[reader.boundary].gates
            places = _places(overlay.base.graph, reader)
            fresh = np.concatenate([np.flatnonzero(marks == gate) for gate in gates[node]]).reshape(-1, places)
            old, columns = _ordered(overlay.base.graph, reader.boundary, np.flatnonzero(marks == NONE), places)
            ways, units = copies_of_columns(overlay.graph, reader.node), overlay.base.graph.shape(reader.boundary).units
            old, columns = _along(old, places, len(marks), ways), _along(columns, places, units, ways)
            placed = _along(torch.from_numpy(fresh).reshape(-1), places, len(marks), ways)
            assert placed is not None
            made = overlay.structure.marks.get(reader.node)
            outputs = None if made is None else torch.from_numpy(np.flatnonzero(made.gates == NONE))
            own.append(Ear(overlay.graph, reader, placed.reshape(-1, places * ways), old, columns, outputs))
        found[node] = tuple(own)
    return found


def _places(graph: Graph, reader: Reader) -> int:
    """Return at how many places of the node that a layer reads a unit stands."""
    if isinstance(graph.op(reader.node), (ops.Linear, *GRAPH_LAYERS)):
        return reader.offsets // copies_of_columns(graph, reader.node)
    return 1


def _along(
    entries: Tensor | None,  # [U * places], those of a unit together
    places: int,
    width: int,
    ways: int,
) -> Tensor | None:  # [U * ways * places]
    """Return entries of what was propagated in several ways, side by side, so that those of a unit stand together."""
    if entries is None or ways == 1:
        return entries
    shifts = torch.arange(ways) * width
    return (entries.reshape(-1, 1, places) + shifts.reshape(-1, 1)).reshape(-1)


def _ordered(
    graph: Graph, boundary: str, entries: np.ndarray, places: int
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Return entries so that the places of each unit stand together, and their numbers before the growth."""
    if places == 1:
        return torch.from_numpy(entries), torch.arange(len(entries))
    owned = label(graph).of[boundary]
    order = np.argsort(owned, kind="stable")  # a label's entries in their order
    _, counts = np.unique(owned, return_counts=True)
    if (counts != places).any():
        return None, None
    return torch.from_numpy(entries[order]), torch.from_numpy(order)
