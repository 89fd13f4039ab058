"""The criterion ``"continual-firefly"``: what everything that a task may set free is worth, all of it laid over it.

Gates and directions of all offers descend together, what is not offered frozen; integrated gradients along the ray of
the gates then say by how much each changes the loss (Firefly, arXiv 2102.08574, both steps). Half of the samples move
the directions, the other half judges them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from archgraph import rng
from archgraph.continual.offers import Offers, offers
from archgraph.continual.plan import Plan
from archgraph.continual.twinned import Twins
from archgraph.errors import SettingError
from archgraph.net import Network
from archgraph.overgrown import Descent, Point, descend, integrated_gradient
from archgraph.scoring import Scored, SiteScore
from archgraph.tasks import Loss

CRITERION = "continual-firefly"
BATCH, BATCHES = 128, 4
"""Samples of a batch, and batches at least that are scored: their scatter is the scores' noise."""

Slots = tuple[tuple[str, tuple[int, ...]], ...]
Pairs = tuple[tuple[str, tuple[tuple[int, int], ...]], ...]


@dataclass(frozen=True)
class Offered:
    """Options of the criterion: what is laid over a network, and how it is tuned.

    Args:
        plan: of the network, as text.
        task: the number of the task.
        kinds: what may be set free.
        probed: slots of new units by home.
        pairs: slots of units that may part by home, each with its twin's.
        only: names of the offers that are laid; None for all.
        steps: of the descent, a batch each.
        lr: of the descent.
        box: bound of the gates; that of splits is its square root.
        radius: bound of the length of directions.
        points: midpoints of the integrated gradients.
        seed: of directions and of the halves.
    """

    plan: str
    task: int
    kinds: tuple[str, ...]
    probed: Slots = ()
    pairs: Pairs = ()
    only: tuple[str, ...] | None = None
    steps: int = 60
    lr: float = 1e-2
    box: float = 0.1
    radius: float = 1.0
    points: int = 3
    seed: int = 0

    @property
    def twins(self) -> Twins:
        """The slots of twins by home and slot."""
        return {home: dict(pairs) for home, pairs in self.pairs}

    def over(self, network: Network) -> Offers:
        """Lay what is offered over a network."""
        plan = Plan.parse(self.plan)
        probed, twins = dict(self.probed), self.twins
        return offers(network, plan, self.task, kinds=self.kinds, probed=probed, twins=twins, only=self.only)

    @property
    def options(self) -> dict[str, Any]:
        """The options, as a request to score takes them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Offered:
        """Return what options say.

        Raises:
            SettingError: when one is missing or not known.
        """
        try:
            return cls(**options)
        except TypeError as error:
            raise SettingError(f"criterion {CRITERION!r} has other options: {error}") from None


def worth(
    network: Network,
    x: Tensor,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score what a task may set free.

    Args:
        network: the task's, with new units that nobody hears.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: all are scored; anything but None is refused.
        options: see :class:`Offered`.

    Returns:
        Under the criterion's name: ``index`` what the loss changes by, ``noise`` its standard error, ``gates`` and
        ``directions`` where the descent has led, ``[G]``, ``[G]``, ``[G]`` and ``[G, D]``.

    Raises:
        SettingError: when an option has a value that it cannot have, or sites are named.
        DataError: when a score is not finite.
        EvaluationFailed: when the descent is not.
    """
    if sites is not None:
        raise SettingError(f"criterion {CRITERION!r} scores all there is", got=sites, hint="leave the sites out")
    how = Offered.of(options)
    found = how.over(network)
    if not found.gates:
        return Scored({}, {}, 0, 0)
    x, y = x.to(network.dtype), y.to(network.dtype) if y.is_floating_point() else y
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(rng.derive(how.seed, "halves"))).to(x.device)
    half = ceil(len(x) / 2)
    fit, held = (order[:half], order[half:]) if len(x) > 1 else (order, order)
    descent = Descent(steps=how.steps, lr=how.lr, box=how.box, radius=how.radius)
    seed = rng.derive(how.seed, "directions")
    reached = descend(found.overlay, _parts(x, y, fit, BATCH), loss, descent, seed=seed)
    judged = _parts(x, y, held, max(1, ceil(len(held) / BATCHES)))
    scores = integrated_gradient(found.overlay, reached.point, judged, loss, points=how.points)
    rows = [reached.point.directions[found.balls // 2 == gate] for gate in range(len(found.gates))]
    score = SiteScore(
        scores.predicted,
        pad_sequence(rows, batch_first=True),
        noise=scores.noise,
        gates=reached.point.gates,
        method="integrated",
        curvature="gates",
    )
    return Scored({CRITERION: score}, {}, reached.samples + scores.samples, reached.macs + scores.macs)


def point_of(found: Offers, score: SiteScore) -> Point:
    """Return the point that a score holds."""
    like = found.start()
    directions = like.directions.clone()
    for gate, row in enumerate(score.directions):
        own = found.balls // 2 == gate
        directions[own] = row[: int(own.sum())].to(directions)
    assert score.gates is not None
    return Point(score.gates.to(like.gates), directions)


def _parts(x: Tensor, y: Tensor, rows: Tensor, size: int) -> Sequence[tuple[Tensor, Tensor]]:
    return [(x[one], y[one]) for one in rows.split(size)]
