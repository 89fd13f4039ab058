"""What a task may set free, laid over its network with a gate for each part of it (Firefly, arXiv 2102.08574).

With gates ``e`` and directions ``d``, of a unit ``i`` that earlier tasks have made, of any that may part, of a new one

    unlock:  theta_i -> theta_i + e d_i
    split:   theta_i -> theta_i + e d_i, theta_i - e d_i    each with half the outgoing weights
    new:     theta_j = d_j,  its outgoing weights e w_j     in the rows that are free without it, a head's among them

Everything else is as it was, so at zero gates the network computes what it did; a frozen row changes by its own gate
alone. A new unit that another candidate would read is of second order in the gates and read by none of them. Every
tensor is a sum over single numbers, ``W[p] = W0[p] + s d[q] e[g]``: the lists ``p, q, g, s`` are all there is.

Letters: ``G`` gates, ``D`` numbers of directions, ``E`` entries of a tensor that gates reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from archgraph import rng
from archgraph.continual.chapter import Chapter
from archgraph.continual.gains import Unit
from archgraph.continual.layout import Layout, Offer, Reach, unit_of
from archgraph.continual.plan import Plan
from archgraph.continual.twinned import Twins, twinned
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.overgrown import OvergrownModule, Overlay, Point


@dataclass(frozen=True, eq=False)
class Offers:
    """A network with all that a task may set free; :func:`offers` makes one.

    Args:
        draft: the task as it stands, with twins and new units.
        closed: its network at zero gates.
        gates: what each opens.
        reaches: by ``"node.tensor"``.
        balls: ``[D]`` what each direction belongs to: twice its gate's number, one more for outgoing weights.
    """

    draft: Chapter
    closed: Network
    gates: tuple[Offer, ...]
    reaches: Mapping[str, Reach]
    balls: Tensor

    @property
    def graph(self) -> Graph:
        """The graph with twins and new units."""
        return self.closed.graph

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers the task adds by each gate, taken alone."""
        moved = torch.bincount(self.balls // 2, minlength=len(self.gates)).tolist()
        made = self.draft.plan.made(self.draft.number)
        found = []
        for gate, count in zip(self.gates, moved, strict=True):
            own = gate.unit.slot in made.get(gate.unit.home, ())
            both = 1 if own or gate.kind != "split" else 2
            found.append(count * both + (self._heard[gate.unit] if gate.kind == "split" else 0))
        return tuple(found)

    @cached_property
    def _heard(self) -> Counter[Unit]:
        """How many trained numbers read each unit."""
        found: Counter[Unit] = Counter()
        for node in self.graph:
            for spec in self.graph.tensors(node.name).values() if node.tie is None else ():
                at = self.draft.homes.columns(node.name, spec)
                if at is not None and spec.trainable:
                    for address in self.draft.addresses(at[1]):
                        found[unit_of(address)] += spec.size // spec.shape[at[0]]
        return found

    @cached_property
    def _like(self) -> Tensor:
        """A tensor of the type and on the device of the learned ones."""
        return next((one for one in self.closed.weights.values() if one.is_floating_point()), torch.zeros(0))

    # ------------------------------------------------------------------ what a descent asks of an over-grown network
    def start(self, seed: int = 0) -> Point:
        """Return the point with all gates at zero and directions on the sphere of radius one, drawn by seed and name.

        Args:
            seed: any integer.
        """
        drawn = torch.zeros(len(self.balls), dtype=torch.float64)
        for ball in range(2 * len(self.gates)):
            own = (self.balls.cpu() == ball).nonzero().squeeze(1)
            stream = torch.Generator().manual_seed(rng.derive(seed, "offer", self.gates[ball // 2].name, ball % 2))
            drawn[own] = torch.randn(len(own), generator=stream, dtype=torch.float64)
        directions = drawn.to(self._like)
        tiny = torch.finfo(directions.dtype).tiny
        unit = self.scaled(directions, 1.0 / self.lengths(directions).clamp(min=tiny))
        return Point(directions.new_zeros(len(self.gates)), unit)

    def lengths(self, directions: Tensor) -> Tensor:
        """Return ``[G, 2]`` the length of what every gate moves: incoming weights, and outgoing ones."""
        squares = directions.new_zeros(2 * len(self.gates))
        return squares.index_add(0, self.balls, directions.square()).sqrt().reshape(-1, 2)

    def scaled(
        self,
        directions: Tensor,  # [D]
        factors: Tensor,  # [G, 2]
    ) -> Tensor:  # [D]
        """Return directions with those of every gate times a factor."""
        return directions * factors.reshape(-1)[self.balls]

    def tensors(self, point: Point) -> dict[str, Tensor]:
        """Return the tensors that gates and directions reach, as functions of them.

        Args:
            point: gates ``[G]`` and directions ``[D]``.
        """
        found = {}
        for label, reach in self.reaches.items():
            base = self.closed.weights[label]
            factor = torch.where(reach.gated, point.gates[reach.gates], 1.0) * reach.signs
            moved = point.directions[reach.sources] * factor
            found[label] = base.reshape(-1).index_add(0, reach.places, moved).reshape(base.shape)
        return found

    def network(self, point: Point) -> Network:
        """Return the network at a point, with all offers in it, open or not."""
        return Network(self.graph, {**self.closed.weights, **self.tensors(point)})

    def module(self, point: Point | None = None) -> OvergrownModule:
        """Return it as one torch module whose parameters are gates and directions.

        Args:
            point: where they start; :meth:`start` by default.
        """
        return OvergrownModule(self.overlay, point or self.start())

    @property
    def overlay(self) -> Overlay:
        """Itself, as what :func:`archgraph.overgrown.descend` and the integrated gradients take."""
        return cast(Overlay, self)


def offers(
    network: Network,
    plan: Plan,
    task: int,
    *,
    kinds: Sequence[str],
    probed: Mapping[str, Sequence[int]],
    twins: Twins,
    only: Collection[str] | None = None,
) -> Offers:
    """Lay over a network what a task may set free.

    Args:
        network: the task's, with new units that nobody hears.
        plan: the task's, with their slots.
        task: the number of the task.
        kinds: what may be set free.
        probed: the slots of new units by home.
        twins: slots of units that may part, and the free slots that their twins get.
        only: names of the offers to lay; all by default.

    Raises:
        MoveRefused: when a unit may not be split.
    """
    doubled = twinned(network, plan, twins if "split" in kinds else {}, task)
    draft = Chapter("", task, doubled.network.graph, doubled.plan, {})
    layout = Layout(draft, kinds, probed, twins if "split" in kinds else {}, only)
    weights, reaches = dict(doubled.network.weights), {}
    for label in weights:
        found = layout.reach(label)
        if found is not None:
            reaches[label] = Reach(*(one.to(weights[label].device) for one in found))
            born = layout.born[label].to(weights[label].device)  # directions make these rows: nothing drawn stays
            weights[label] = weights[label].reshape(-1).index_fill(0, born, 0.0).reshape(weights[label].shape)
    closed = Network(doubled.network.graph, weights)
    device = next(iter(weights.values())).device
    return Offers(draft, closed, layout.gates, reaches, torch.tensor(layout.balls, dtype=torch.int64, device=device))
