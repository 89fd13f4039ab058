"""Criteria that propose new units, on any graph: what they draw up, and what each unit is found to gain.

    spots -> rows: drawn, chosen among candidates, or from a closed form
          -> units put into the network, unheard, and what they really say at every reader
          -> outgoing weights, gain and energy, exact on the samples
          -> energies as the loss bends (:mod:`archgraph.scoring.bending`), so that layers can be compared

The criteria themselves are pure functions (:mod:`archgraph.criteria.growths` and its neighbours). Here the network is
widened by the units, none of which is heard, and run: whatever lies between layers, batch norm, residual sums,
depthwise convolutions, pooling, concats, what a unit says is what it will say, and the gain is the derivative of the
loss. Where a closed form's way is plain (:mod:`archgraph.scoring.straight`) a step scales what its paper scales, and
that needs no second pass.

Letters: ``K`` new units of a spot, ``P`` their numbers; ``E`` weights a unit has at a reader, ``T`` outputs of that,
``F`` entries of what it reads at a position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from archgraph.criteria.first_order import energies, gains, weigh
from archgraph.criteria.growths import Growths
from archgraph.criteria.window import products
from archgraph.errors import MoveRefused
from archgraph.metrics import macs
from archgraph.net import Captured, Network, Samples, estimate, made_units, passed
from archgraph.overgrown import Point
from archgraph.scoring.bending import bending
from archgraph.scoring.candidates import CHOOSERS, Pick
from archgraph.scoring.closed_forms import FORMS, ClosedForm, Draft, better, is_better
from archgraph.scoring.drawn import drawn
from archgraph.scoring.ears import Ear, ears, overgrown_ears
from archgraph.scoring.growth_settings import GrowthSettings
from archgraph.scoring.layer import GRAPH_LAYERS, has_bias, rows_of
from archgraph.scoring.passes import Passes
from archgraph.scoring.scored import Scored
from archgraph.scoring.site_score import SiteScore
from archgraph.scoring.slices import Slices, places, slices
from archgraph.scoring.spots import Spot, spots
from archgraph.scoring.straight import Straight, identity_filter, scale_free, ways
from archgraph.tasks import Loss

NAMES = (*CHOOSERS, *FORMS)
"""Of the criteria."""


_OTHERS = 0.1  # of the drawn rows, at layers of which the closed form says nothing


def proposing(name: str) -> Callable[..., Scored]:
    """Return a criterion as :data:`archgraph.scoring.CRITERIA` has them.

    Args:
        name: one of :data:`NAMES`.
    """

    def criterion(
        network: Network,
        x: Samples,
        y: Tensor,
        loss: Loss,
        sites: tuple[str, ...] | None,
        options: Mapping[str, Any],
    ) -> Scored:
        return propose(name, network, x, y, loss, sites, options)

    return criterion


def propose(
    name: str,
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Propose new units.

    Args:
        name: of the criterion, one of :data:`NAMES`.
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes that name spots; by default the first of every set of nodes that would get the same units.
        options: those of :class:`GrowthSettings`.

    Returns:
        By node, the units that lower the loss, the best first, and the reasons for nodes that were refused.

    Raises:
        UnknownName: when a node or an option is not known.
        SettingError: when an option has a value that it cannot have.
        DataError: when captured tensors are not finite.
    """
    settings = GrowthSettings.of(options, name)
    found, refused = spots(network.graph, sites)
    layouts: dict[str, Slices] = {}
    for node in list(found):
        try:
            layouts[node] = slices(network, {node: 1})[1][node]
        except MoveRefused as error:
            refused[node] = f"cannot grow: {error.what}"
            del found[node]
    job = _Job(network, x, y, loss, settings, found, layouts)
    told = job.closed_form(name, refused) if name in FORMS else job.candidates(name)
    scores = {node: _score(units, growths, job.count(node)) for node, (units, growths) in told.items()}
    scores = {node: replace(score, reader=torch.tensor([job.reader(node)])) for node, score in scores.items()}
    for node, score in scores.items() if settings.curvature == "measured" else ():
        if len(score.index):
            share, spent = bending(network, node, score, x, y, loss, train=settings.mode == "train")
            job.macs += spent
            scores[node] = replace(score, index=score.index / share, energy=share * _known(score.energy))
    return Scored(scores, refused, passed(x), job.macs, tuple(job.doubts))


Told = tuple[Tensor, Growths]
"""Numbers ``[K, P]`` of units, outgoing weights among them, and their gains; ``incoming`` of these is not used."""


class _Job:
    """One call of a criterion: network, samples, spots, and what was spent."""

    def __init__(
        self,
        network: Network,
        x: Samples,
        y: Tensor,
        loss: Loss,
        settings: GrowthSettings,
        spots: dict[str, Spot],
        layouts: dict[str, Slices],
    ) -> None:
        self.network, self.settings, self.spots, self.layouts = network, settings, spots, layouts
        self.macs = 0
        self.doubts: list[str] = []
        self._data = (x.to(network.dtype), y, loss)
        self._readers: dict[str, int] = {}

    def count(self, node: str) -> int:
        """Return the most units that are proposed for a node."""
        return self.settings.units or self.network.graph.shape(node).units

    def reader(self, node: str) -> int:
        """Return which reader of a spot hears its units, the first of several."""
        return self._readers.get(node, 0)

    # ------------------------------------------------------------------ two families
    def closed_form(self, name: str, refused: dict[str, str]) -> dict[str, Told]:
        """Return units that follow from second moments."""
        graph = self.network.graph
        own = {node: ways(graph, spot) for node, spot in self.spots.items()}
        refused |= {node: reason for node, (found, reason) in own.items() if not found}
        heard = {node: {ear.reader: ear for ear in ears(graph, spot)} for node, spot in self.spots.items()}
        straight: dict[str, list[Straight]] = {}
        for node, (found, _) in own.items():
            even = [way for way in found if heard[node][way.reader].old is not None]
            if even:
                straight[node] = even
            elif found:
                refused[node] = "is read in blocks of different sizes, which no closed form follows"
        if not straight:
            return {}
        passes = self._passes(self.network, *ClosedForm.nodes(graph, straight))
        form = ClosedForm(name, passes, self.settings, {node: self.spots[node] for node in straight})
        drafts = {node: draft for node, draft in form.drafts(straight, self.count).items() if len(draft.growths)}
        plain = {n: one for n, one in drafts.items() if one.way.plain and self.settings.scales == "auto"}
        told: dict[str, Told] = {}
        for node, growths in form.weighed(plain).items():
            told[node] = self._numbers(node, drafts[node], growths), growths
        self.macs += passes.macs
        self._readers = {node: self.spots[node].readers.index(one.way.reader) for node, one in drafts.items()}
        rest = {node: drafts[node] for node in drafts if node not in told}
        told |= self._fixed(rest) if rest else {}
        for node, (units, growths) in told.items():
            if growths.compensation is not None:
                move = heard[node][drafts[node].way.reader].by_column(growths.compensation)
                told[node] = units, replace(growths, compensation=move)
        return told

    def _fixed(self, drafts: Mapping[str, Draft]) -> dict[str, Told]:
        """Return units with the rows of their best step, either way round, that only their outgoing weights scale."""
        picks: dict[str, Pick] = {}
        units: dict[str, Tensor] = {}
        sides: dict[str, Growths] = {}
        for node, draft in drafts.items():
            step = torch.where(draft.growths.step > 0, draft.growths.step, 1.0)
            one = self._normed(draft, draft.growths.fixed(step))
            two = Growths(
                torch.cat([one.incoming, -one.incoming]),
                torch.cat([one.outgoing, -one.outgoing]),
                one.gain.repeat(2),
                one.energy.repeat(2),
                compensation=None if one.compensation is None else one.compensation.repeat(2, 1, 1),
            )
            units[node], sides[node] = self._numbers(node, draft, two), two
        passes, listeners = self._unheard(units)
        for node, draft in drafts.items():
            two = sides[node]
            ear = next(ear for ear in listeners[node] if ear.reader == draft.way.reader)
            picks[node] = Pick(list(range(len(two))), (ear,), (two.outgoing,), two.compensation)
        gained = self._gains(passes, picks)
        self.macs += passes.macs
        told: dict[str, Told] = {}
        for node, (gain, energy) in gained.items():
            two, half = replace(sides[node], gain=gain, energy=energy), len(gain) // 2
            ahead, back = two.take(range(half)), two.take(range(half, 2 * half))
            turned = is_better(back, ahead).unsqueeze(1)
            told[node] = torch.where(turned, units[node][half:], units[node][:half]), better(ahead, back)
        return told

    def _normed(self, draft: Draft, units: Growths) -> Growths:
        """Return units whose rows batch norm scales anyway with rows as long as the layer's own are on average.

        What they say is the same. But the gradient by a row goes with one over its length: a short one would turn in a
        step or two, and running statistics that follow slowly would no longer be those of what it says.
        """
        way = draft.way
        if not scale_free(self.network.graph, way):
            return units
        rows = rows_of(self.network, way.producer).flatten(1)
        own = rows.norm(dim=1).mean()
        lengths = units.incoming[:, : rows.shape[1]].norm(dim=1, keepdim=True)
        return replace(units, incoming=units.incoming * torch.where(lengths > 0.0, own / lengths, 1.0))

    def candidates(self, name: str) -> dict[str, Told]:
        """Return units chosen among drawn ones."""
        if not self.spots:
            return {}
        kind = CHOOSERS[name]
        many = self.settings.candidates if kind.listens else 1
        units = {
            node: drawn(self.network, spot, self.layouts[node], many * self.count(node), self.settings.seed)
            for node, spot in self.spots.items()
        }
        passes, listeners = self._unheard(units)
        choosers = {
            node: kind(
                listeners[node],
                len(units[node]),
                self.count(node),
                passes.samples,
                tuple(has_bias(self.network.graph, ear.reader.node) for ear in listeners[node]),
                self.settings,
            )
            for node in units
        }
        if kind.listens:
            for captured, share in passes:
                for chooser in choosers.values():
                    chooser.listen(captured, share)
        picks = {node: chooser.pick() for node, chooser in choosers.items()}
        self.doubts += [f"node {node!r}: {one.doubt}" for node, one in choosers.items() if one.doubt]
        picks = self._following(passes, {node: pick for node, pick in picks.items() if pick.units})
        gained = self._gains(passes, picks)
        self.macs += passes.macs + sum(chooser.macs for chooser in choosers.values())
        told: dict[str, Told] = {}
        for node, pick in picks.items():
            assert pick.outgoing is not None
            rows = units[node][pick.units]
            for ear, outgoing in zip(pick.ears, pick.outgoing, strict=True):
                self.layouts[node].set_outgoing(rows, ear.reader.node, outgoing)
            move = pick.compensation
            if move is not None:
                move = pick.ears[0].by_column(move)
                self._readers[node] = self.spots[node].readers.index(pick.ears[0].reader)
            gain, energy = gained[node]
            told[node] = rows, Growths(rows[:, :0], rows[:, :0], gain, energy, compensation=move)
        return told

    # ------------------------------------------------------------------ what is heard
    def _following(self, passes: Passes, picks: dict[str, Pick]) -> dict[str, Pick]:
        """Return picks with outgoing weights one gradient step from zero, where they have none."""
        open_ = {node: pick for node, pick in picks.items() if pick.outgoing is None}
        slopes: dict[str, list[Tensor]] = {}
        for captured, share in passes if open_ else ():
            for node, pick in open_.items():
                found = [share * self._slopes(passes, ear, pick, captured) for ear in pick.ears]
                old = slopes.get(node)
                slopes[node] = found if old is None else [a + b for a, b in zip(old, found, strict=True)]
        return picks | {
            node: replace(pick, outgoing=tuple(-one.T.contiguous() for one in slopes[node]))
            for node, pick in open_.items()
        }

    def _slopes(self, passes: Passes, ear: Ear, pick: Pick, captured: Captured) -> Tensor:  # [E, K]
        said, grads = ear.said(captured)[:, pick.units], ear.grads(captured)
        found = products(grads, said, ear.window).flatten(0, 1)
        passes.macs += grads.numel() * ear.window.size * said.shape[1]
        return found

    def _gains(self, passes: Passes, picks: Mapping[str, Pick]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return gain and energy of the picked units, ``[K]`` each."""
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for captured, share in passes if picks else ():
            for node, pick in picks.items():
                assert pick.outgoing is not None
                told = [
                    self._told(passes, ear, pick, outgoing, captured)
                    for ear, outgoing in zip(pick.ears, pick.outgoing, strict=True)
                ]
                gain, energy = (share * torch.stack(one).sum(0) for one in zip(*told, strict=True))
                old = found.get(node)
                found[node] = (gain, energy) if old is None else (old[0] + gain, old[1] + energy)
        return found

    def _told(
        self, passes: Passes, ear: Ear, pick: Pick, outgoing: Tensor, captured: Captured
    ) -> tuple[Tensor, Tensor]:
        said, grads = ear.said(captured)[:, pick.units], ear.grads(captured)
        passes.macs += 2 * grads.numel() * ear.window.size * said.shape[1]
        if pick.compensation is None:
            return gains(said, grads, outgoing, ear.window), energies(said, outgoing, ear.window, metric=pick.metric)
        none = said.new_zeros(said.shape[1])
        units = Growths(none[:, None], outgoing, none, none, compensation=pick.compensation)
        existing = ear.existing(captured)
        passes.macs += grads.numel() // grads.shape[1] * pick.compensation[0, 0].numel() ** 2
        known = weigh(
            units, said[:, :1], grads, lambda _: said, existing=existing, window=ear.window, metric=pick.metric
        )
        return known.gain, known.energy

    def _unheard(self, units: Mapping[str, Tensor]) -> tuple[Passes, dict[str, tuple[Ear, ...]]]:
        """Put units into the network so that nobody hears them; return passes through it and its readers.

        Args:
            units: ``[K, P]`` by node; outgoing weights among the numbers do not count.
        """
        overlay, _ = slices(self.network, {node: len(one) for node, one in units.items()})
        point = overlay.start()
        directions = torch.zeros_like(point.directions)
        where = places(overlay)
        for gate in overlay.gates:
            node = gate.candidate.node  # type: ignore[union-attr]
            directions[where[gate.index].to(directions.device)] = units[node][gate.number]
        network = overlay.network(Point(torch.zeros_like(point.gates), directions))
        x, _, _ = self._data
        if self.settings.mode == "eval" and len(x) > 1:
            fresh = made_units(overlay.structure.edits)
            network = estimate(network, fresh, x)
            self.macs += macs(network.graph) * passed(x) if fresh else 0
        listeners = overgrown_ears(overlay, {node: self.spots[node] for node in units})
        readers = [ear.reader for own in listeners.values() for ear in own]
        seen = {one.node for one in readers if isinstance(network.graph.op(one.node), GRAPH_LAYERS)}
        values = {one.boundary for one in readers if one.node not in seen}
        return self._passes(network, values, {one.node for one in readers}, seen), listeners

    def _passes(self, network: Network, values: set[str], grads: set[str], seen: set[str]) -> Passes:
        x, y, loss = self._data
        memory, train = self.settings.memory, self.settings.mode == "train"
        return Passes(network, x, y, loss, values=values, grads=grads, seen=seen, memory=memory, train=train)

    def _numbers(self, node: str, draft: Draft, growths: Growths) -> Tensor:  # [K, P]
        """Return the numbers of units that a closed form has drawn up: heard by one reader, made by one layer."""
        spot, layout = self.spots[node], self.layouts[node]
        units = drawn(self.network, spot, layout, len(growths), self.settings.seed)
        for producer in spot.producers:
            rows = _OTHERS * layout.rows(units, producer)  # not zero: behind batch norm or ReLU that would be dead
            layout.set_rows(units, producer, growths.incoming if producer == draft.way.producer else rows)
        for name in draft.way.filters:
            layout.set_rows(units, name, identity_filter(self.network.graph, name, layout.rows(units, name)))
        layout.set_outgoing(units, draft.way.reader.node, growths.outgoing)
        return units


def _known(energy: Tensor | None) -> Tensor:
    assert energy is not None
    return energy


def _score(units: Tensor, growths: Growths, count: int) -> SiteScore:
    """Return the units that lower the loss, the best first."""
    decrease = growths.decrease
    order = torch.argsort(decrease, descending=True, stable=True)[:count]
    order = order[decrease[order] > 0.0]
    move = growths.compensation
    return SiteScore(
        -decrease[order],
        units[order],
        method=growths.scales,
        curvature="none",
        gain=growths.gain[order],
        energy=growths.energy[order],
        compensation=None if move is None else move[order],
    )
