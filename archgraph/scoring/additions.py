"""Proposed units put into a network for good: the network at any step, and what it is predicted to gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.graph import Edit
from archgraph.net import Network
from archgraph.overgrown import Overlay, Point
from archgraph.scoring.closure import Refused
from archgraph.scoring.site_score import SiteScore
from archgraph.scoring.slices import places, slices
from archgraph.scoring.spots import Spot, spot


class Additions:
    """Some of the units that a criterion has proposed, all of them at once.

    Each has a step of its own, the best of its one-dimensional model; a factor shortens or lengthens them all. At
    factor zero the network computes what it did before.

    Args:
        network: that was scored, in any precision.
        scores: by node.
        chosen: by node, the numbers of the units among those proposed.

    Raises:
        MoveRefused: when a node cannot grow.
        DataError: when scores are not those of a criterion that proposes units.
    """

    def __init__(self, network: Network, scores: Mapping[str, SiteScore], chosen: Mapping[str, Sequence[int]]) -> None:
        self.network = network
        self.chosen = {node: list(chosen[node]) for node in network.graph.nodes if chosen.get(node)}
        self._overlay: Overlay
        self._overlay, self._layouts = slices(network, {node: len(own) for node, own in self.chosen.items()})
        self._scores = {node: scores[node] for node in self.chosen}
        self._spots = {node: _spot(network, node) for node in self.chosen}
        for node, score in self._scores.items():
            if score.gain is None or score.energy is None or score.directions.shape[1] != self._layouts[node].size:
                raise DataError(f"the scores of node {node!r} are not of new units of this network")

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What leads to the grown graph, for optimizer states and statistics of batch norm."""
        return self._overlay.structure.edits

    @property
    def unheard_first(self) -> bool:
        """Whether the rows of all units are the same at every step: only what is heard of them changes."""
        return all(score.method == "outgoing" for score in self._scores.values())

    def predicted(self, factor: float) -> float:
        """Return what the model of each unit, by itself, says the loss changes by: ``-t gain + t^2 energy / 2``."""
        total = 0.0
        for node in self.chosen:
            gain, energy, step = self._model(node)
            length = factor * step
            total += float((-length * gain + 0.5 * length.square() * energy).sum())
        return total

    def at(self, factor: float, statistics: Mapping[str, Tensor] | None = None) -> Network:
        """Return the network at a step.

        Args:
            factor: of every unit's own best step.
            statistics: tensors by ``"node.tensor"`` to take as they are: running statistics of batch norm.
        """
        overlay = self._overlay
        point = overlay.start()
        directions = torch.zeros_like(point.directions)
        where = places(overlay)
        units = {node: self._units(node, factor) for node in self.chosen}
        for gate in overlay.gates:
            node = gate.candidate.node  # type: ignore[union-attr]
            directions[where[gate.index].to(directions.device)] = units[node][gate.number].to(directions)
        grown = overlay.network(Point(torch.ones_like(point.gates), directions))
        weights = {name: tensor.detach() for name, tensor in grown.weights.items()}
        for node in self.chosen:
            self._compensate(weights, node, factor)
        return Network(overlay.graph, {**weights, **(statistics or {})})

    def _model(self, node: str) -> tuple[Tensor, Tensor, Tensor]:  # gain, energy, step, [K] each
        score, own = self._scores[node], self.chosen[node]
        assert score.gain is not None
        assert score.energy is not None
        gain, energy = score.gain[own].double(), score.energy[own].double()
        return gain, energy, torch.where(energy > 0, gain / torch.where(energy > 0, energy, 1.0), 1.0)

    def _units(self, node: str, factor: float) -> Tensor:  # [K, P]
        """Return the numbers of the chosen units of a node at a step."""
        score, layout = self._scores[node], self._layouts[node]
        units = score.directions[self.chosen[node]].double()
        length = factor * self._model(node)[2].unsqueeze(1)
        if score.method == "both":
            length = length.sqrt()
        if score.method in ("both", "outgoing"):
            units = torch.where(layout.heard.to(units.device), length * units, units)
        if score.method in ("both", "incoming"):
            for producer in self._spots[node].producers:
                layout.set_rows(units, producer, length * layout.rows(units, producer))
        return units

    def _compensate(self, weights: dict[str, Tensor], node: str, factor: float) -> None:
        """Move the existing weights of a reader along, in place of what ``weights`` has."""
        score = self._scores[node]
        if score.compensation is None or score.reader is None:
            return
        reader = self._spots[node].readers[int(score.reader)].node
        length = factor * self._model(node)[2]
        moves = score.compensation[self.chosen[node]].double()
        move = torch.einsum("k,ktf->tf", length, moves)  # [T, F]
        graph, structure = self.network.graph, self._overlay.structure
        specs = graph.tensors(reader)
        names, bias = graph.op(reader).rows_of_unit(*graph.input_shapes(reader))
        sizes = [specs[key].size // len(move) for key in names]
        parts = dict(zip(names, move[:, : sum(sizes)].split(sizes, dim=1), strict=True))
        if bias is not None:
            parts[bias] = move[:, -1]
        for key, part in parts.items():
            label, spec = f"{reader}.{key}", specs[key]
            whole = weights[label].clone()
            for_old = [structure.axis(reader, role, size)[0] for role, size in zip(spec.axes, spec.shape, strict=True)]
            at = torch.meshgrid(
                *(torch.from_numpy((~one.fresh).nonzero()[0][one.index[~one.fresh].argsort()]) for one in for_old),
                indexing="ij",
            )
            whole[at] += part.reshape(spec.shape).to(whole)
            weights[label] = whole


def running_statistics(network: Network) -> dict[str, Tensor]:
    """Return the running statistics of all batch norms of a network, by ``"node.tensor"``."""
    return {name: one for name, one in network.weights.items() if name.rpartition(".")[2].startswith("running_")}


def _spot(network: Network, node: str) -> Spot:
    found = spot(network.graph, node)
    if isinstance(found, Refused):
        raise DataError(f"node {node!r} {found.reason}")
    return found
