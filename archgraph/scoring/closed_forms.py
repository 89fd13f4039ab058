"""Closed forms of growth on a network: second moments of what is captured, and the units that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archgraph.criteria.first_order import Activation, weigh
from archgraph.criteria.gradmax import gradmax
from archgraph.criteria.growths import Growths
from archgraph.criteria.moments import Moments, moments
from archgraph.criteria.tiny import tiny
from archgraph.graph import Graph
from archgraph.net import Captured, Network
from archgraph.scoring.ears import Ear, ears
from archgraph.scoring.growth_settings import GrowthSettings
from archgraph.scoring.layer import has_bias, rows_of, sees_along_edges
from archgraph.scoring.passes import Passes
from archgraph.scoring.spots import Spot
from archgraph.scoring.straight import Straight, activation, seen

Form = Callable[[Moments, float, int, float, GrowthSettings], Growths]
"""From the moments of a way, its slope, how many units, and the mean length of existing outgoing weights to units."""


def _tiny(found: Moments, slope: float, units: int, length: float, settings: GrowthSettings) -> Growths:
    entries = found.gradient.shape[0] * (0 if found.existing is None else len(found.existing))
    fits = settings.compensate and units * entries * found.inputs.element_size() <= settings.memory
    return tiny(found, units=units, slope=slope, damping=settings.damping, compensate=fits)


def _gradmax(found: Moments, slope: float, units: int, length: float, settings: GrowthSettings) -> Growths:
    return gradmax(found, units=units, slope=slope, length=length)


FORMS: dict[str, tuple[Form, bool]] = {"tiny": (_tiny, True), "gradmax": (_gradmax, False)}
"""Closed forms by name, and whether each asks what existing units say."""


@dataclass(frozen=True, eq=False)
class Draft:
    """Units as a closed form draws them up.

    Args:
        way: the layer that makes them and the reader that hears them.
        growths: the units.
    """

    way: Straight
    growths: Growths


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """A closed form on the samples of a data set.

    Args:
        name: one of :data:`FORMS`.
        passes: of the network as it is, which capture what :meth:`nodes` names.
        settings: of the criterion.
        spots: by the node that names each.
    """

    name: str
    passes: Passes
    settings: GrowthSettings
    spots: Mapping[str, Spot]

    @staticmethod
    def nodes(graph: Graph, ways: Mapping[str, list[Straight]]) -> tuple[set[str], set[str], set[str]]:
        """Return the nodes whose values and gradients are needed, and those of which what their units see is."""
        every = [way for own in ways.values() for way in own]
        ends = {node for way in every for node in (way.producer, way.reader.node)}
        seen = {node for node in ends if sees_along_edges(graph, node)}
        values = {graph.node(way.producer).inputs[0] for way in every if way.producer not in seen}
        values |= {way.reader.boundary for way in every if way.reader.node not in seen}
        values |= {link for way in every for link in _links(graph, way)}
        return values, {way.reader.node for way in every}, seen

    def drafts(self, ways: Mapping[str, list[Straight]], count: Callable[[str], int]) -> dict[str, Draft]:
        """Return the units of every spot: by the way, of all its ways, that promises most.

        Args:
            ways: of each, one at least.
            count: how many units are wanted, of a node.
        """
        form, _ = FORMS[self.name]
        drafts: dict[str, Draft] = {}
        found = self._moments(ways)
        for node, own in ways.items():
            for number, way in enumerate(own):
                length = float(_lengths(self.passes.network, way).mean()) or 1.0
                seen_there = found[node, number]
                units = form(seen_there, way.slope, count(node), length, self.settings)
                rounding = torch.finfo(units.gain.dtype).eps * float(seen_there.outputs.trace())
                units = units.take((units.gain > rounding).nonzero().flatten().tolist())
                if node not in drafts or units.decrease.sum() > drafts[node].growths.decrease.sum():
                    drafts[node] = Draft(way, units)
        return drafts

    def _moments(self, ways: Mapping[str, list[Straight]]) -> dict[tuple[str, int], Moments]:
        graph = self.passes.network.graph
        heard = {node: {ear.reader: ear for ear in ears(graph, self.spots[node])} for node in ways}
        needs = FORMS[self.name][1]
        total: dict[tuple[str, int], Moments] = {}
        for captured, _ in self.passes:
            for node, own in ways.items():
                for number, way in enumerate(own):
                    ear = heard[node][way.reader]
                    more = moments(
                        _seen(graph, way, captured),
                        ear.grads(captured),
                        existing=ear.existing(captured) if needs else None,
                        window=ear.window,
                        include_bias=has_bias(graph, way.reader.node),
                    )
                    self.passes.macs += _macs(more)
                    key = (node, number)
                    total[key] = total[key] + more if key in total else more
        return total

    def weighed(self, drafts: Mapping[str, Draft]) -> dict[str, Growths]:
        """Return what units gain whose way is plain, at the scale of their criterion, either way round.

        Args:
            drafts: of spots, by plain ways.
        """
        graph = self.passes.network.graph
        found: dict[str, list[Growths]] = {}
        heard = {node: {ear.reader: ear for ear in ears(graph, self.spots[node])} for node in drafts}
        for captured, share in self.passes if drafts else ():
            for node, draft in drafts.items():
                way, units = draft.way, draft.growths
                ear, bend = heard[node][way.reader], activation(graph, way)
                sides = [units, replace(units, incoming=-units.incoming, outgoing=-units.outgoing)]
                told = [_weighed(one, graph, way, ear, captured, bend) for one in sides]
                old = found.get(node)
                found[node] = [_mean(one, share, None if old is None else old[at]) for at, one in enumerate(told)]
        return {node: better(*both) for node, both in found.items()}


def is_better(back: Growths, ahead: Growths) -> Tensor:  # [K]
    """Return for which units the one side is better than the other, by more than rounding."""
    return back.decrease > ahead.decrease * (1.0 + 1e-9)


def better(ahead: Growths, back: Growths) -> Growths:
    """Return the better of two sides of each unit, the first where they are equal."""
    turn = is_better(back, ahead)
    rows = turn.unsqueeze(1)
    return replace(
        ahead,
        incoming=torch.where(rows, back.incoming, ahead.incoming),
        outgoing=torch.where(rows, back.outgoing, ahead.outgoing),
        gain=torch.where(turn, back.gain, ahead.gain),
        energy=torch.where(turn, back.energy, ahead.energy),
    )


def _weighed(growths: Growths, graph: Graph, way: Straight, ear: Ear, captured: Captured, bend: Activation) -> Growths:
    existing = ear.existing(captured) if growths.compensation is not None else None
    inputs = _seen(graph, way, captured)
    return weigh(growths, inputs, ear.grads(captured), bend, existing=existing, window=ear.window, orient=False)


def _mean(one: Growths, share: float, sum_: Growths | None) -> Growths:
    gain, energy = share * one.gain, share * one.energy
    if sum_ is not None:
        gain, energy = gain + sum_.gain, energy + sum_.energy
    return replace(one, gain=gain, energy=energy)


def _lengths(network: Network, way: Straight) -> Tensor:  # [U]
    """Return the lengths of the outgoing weights of existing units, places of a flattened one apart."""
    return rows_of(network, way.reader.node).transpose(0, 1).flatten(1).norm(dim=1)


def _seen(graph: Graph, way: Straight, captured: Captured) -> Tensor:  # [B, D, H, W]
    """Return what new units would see, as the reader reads it."""
    found = captured.seen.get(way.producer)
    inputs = captured.values[graph.node(way.producer).inputs[0]] if found is None else found
    return seen(graph, way, inputs, tuple(captured.values[link] for link in _links(graph, way)))


def _links(graph: Graph, way: Straight) -> tuple[str, ...]:
    """Return the nodes that hold edges, and their weights, of a reader that is a graph convolution."""
    return graph.node(way.reader.node).inputs[1:]


def _macs(found: Moments) -> int:
    """Return multiply-accumulates of the products behind moments of a batch."""
    outputs, offsets, entries = found.gradient.shape
    read = 0 if found.existing is None else len(found.existing)
    a_position = (entries**2 + outputs * offsets * entries + outputs**2) + read * (read + outputs + offsets * entries)
    return found.samples * found.positions * a_position
