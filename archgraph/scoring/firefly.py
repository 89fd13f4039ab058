"""The criterion ``"firefly"``: what everything that a network may grow by promises, all of it at once.

Candidates are laid over the network as one over-grown network with a gate for each (Wu, Liu, Stone and Liu, 2020, arXiv
2102.08574). Gates ``e`` and directions ``d`` are trained together, the network itself frozen; then

    index_i = e_i s_i,    s_i = int_0^1 dL/de_i (a e) da,    sum_i index_i = L(e, d) - L(0)

is what each gate changes the loss by. The scores of a candidate stand under its name: ``"split a"``, ``"new a"``,
``"layer r"``, ``"edge u v"``. They hold the whole point that was reached, so that :func:`point_of` finds it again.

Letters: ``N`` samples, ``G`` gates, of a candidate ``U``; ``D`` numbers that a gate's slices have together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from archgraph import rng
from archgraph.errors import MoveRefused, UnknownName
from archgraph.graph import Graph
from archgraph.net import Network, Nodes, Samples
from archgraph.overgrown import (
    Candidate,
    NewEdge,
    NewLayer,
    Overlay,
    Point,
    Scores,
    candidates,
    descend,
    integrated_gradient,
    overgrow,
)
from archgraph.scoring.overgrowth import Overgrowth
from archgraph.scoring.scored import Scored
from archgraph.scoring.site_score import SiteScore
from archgraph.tasks import Loss

BATCH = 512
"""Samples that are scored at once, at most."""

BATCHES = 4
"""Batches that are scored, at least, where there are that many samples: their scatter is the scores' noise."""


def firefly(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score everything that a network may grow by.

    Args:
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes whose units, outputs or incoming edges may grow; all by default.
        options: see :class:`~archgraph.scoring.overgrowth.Overgrowth`.

    Returns:
        By candidate: ``index`` what the loss changes by, ``noise`` its standard error over batches, ``gates`` and
        ``directions`` (``[U, D]``, the slices of each gate one after the other) where the descent has led.

    Raises:
        UnknownName: when a node is not known.
        SettingError: when an option is not, or has a value that it cannot have.
        DataError: when a score is not finite.
        EvaluationFailed: when the descent is not.
    """
    how = Overgrowth.of(options)
    for name in sites or ():
        if name not in network.graph:
            raise UnknownName.among("node", name, network.graph.nodes)
    listed = [one for one in listed_candidates(network.graph, how) if sites is None or _place(one) in sites]
    overlay, refused = compatible(network, listed)
    if not overlay.gates:
        return Scored({}, refused, 0, 0)
    dtype = network.dtype
    x, y = x.to(dtype), y.to(dtype) if y.is_floating_point() else y
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(rng.derive(how.seed, "halves")))
    half = ceil(len(x) / 2)
    fit, held = (order[:half], order[half:]) if how.halves and len(x) > 1 else (order, torch.arange(len(x)))
    parts = [fit.to(x.device)] if isinstance(x, Nodes) else _batches(fit.to(x.device), how)  # a pass is of all nodes
    batches = [(x[rows], y[rows]) for rows in parts]
    found = descend(overlay, batches, loss, how.descent, seed=rng.derive(how.seed, "directions"))
    scores = integrated_gradient(
        overlay, found.point, _held(x, y, held.to(x.device), how), loss, points=how.points, train=how.mode == "train"
    )
    samples = found.samples + scores.samples
    return Scored(scores_of(overlay, found.point, scores), refused, samples, found.macs + scores.macs)


def listed_candidates(graph: Graph, how: Overgrowth) -> tuple[Candidate, ...]:
    """Return what a graph may grow by, as options say, refused or not."""
    return candidates(
        graph, how.kinds, new_units=how.new_units, layer_width=how.layer_width, kernel_size=how.kernel_size
    )


def compatible(network: Network, listed: Sequence[Candidate]) -> tuple[Overlay, dict[str, str]]:
    """Return the candidates that may grow at once over a network, the first first, and why others may not, by name."""
    try:
        return overgrow(network, listed), {}
    except MoveRefused:
        overlay, refused = overgrow(network, ()), dict[str, str]()
    for one in listed:
        try:
            overlay = overgrow(network, [*overlay.candidates, one])
        except MoveRefused as error:
            refused[name_of(one)] = f"cannot grow: {error.what}"
    return overlay, refused


def name_of(candidate: Candidate) -> str:
    """Return the name of a candidate: that of its gates, without their numbers."""
    first = candidate.name(0)
    return first if isinstance(candidate, NewEdge) else first.rpartition(" ")[0].rstrip()


def overlay_of(network: Network, scores: Iterable[str], how: Overgrowth) -> Overlay:
    """Return the overlay that was scored.

    Args:
        network: the network, in any precision.
        scores: names of the candidates that have scores.
        how: the options.
    """
    names = set(scores)
    return overgrow(network, [one for one in listed_candidates(network.graph, how) if name_of(one) in names])


def scores_of(overlay: Overlay, point: Point, scores: Scores) -> dict[str, SiteScore]:
    """Return scores by candidate, with the point in them.

    Args:
        overlay: the network and its candidates.
        point: gates ``[G]`` and directions.
        scores: of the gates.
    """
    parts: list[list[Tensor]] = [[] for _ in overlay.gates]
    for row, part in overlay.slices(point.directions).items():
        parts[row.gate].append(part.reshape(-1))
    empty = point.directions[:0]
    rows = [torch.cat([empty, *one]) for one in parts]
    found, first = {}, 0
    for candidate in overlay.candidates:
        last = first + candidate.gates
        found[name_of(candidate)] = SiteScore(
            scores.predicted[first:last].clone(),
            pad_sequence(rows[first:last], batch_first=True),
            noise=scores.noise[first:last].clone(),
            gates=point.gates[first:last].clone(),
            method="integrated",
            curvature="gates",
        )
        first = last
    return found


def point_of(overlay: Overlay, scores: Mapping[str, SiteScore]) -> Point:
    """Return the point that scores hold.

    Args:
        overlay: the network and its candidates, those that have scores.
        scores: by candidate.
    """
    like = overlay.start().directions
    own = [scores[name_of(candidate)] for candidate in overlay.candidates]
    rows = [row.to(like) for one in own for row in one.directions]
    taken = [0] * len(rows)
    parts = []
    for row, part in overlay.slices(like).items():
        begin, size = taken[row.gate], part.numel()
        parts.append(rows[row.gate][begin : begin + size])
        taken[row.gate] += size
    gates = [one.gates.to(like) for one in own if one.gates is not None]
    return Point(torch.cat(gates), torch.cat(parts) if parts else like)


def _batches(order: Tensor, how: Overgrowth) -> list[Tensor]:
    """Return the rows of each batch of the descent, as many as it has steps for; none of a single sample among them."""
    parts = [one for one in order.split(how.batch_size) if len(one) > 1 or len(order) == 1]
    return parts[: max(1, how.steps)]


def _held(x: Samples, y: Tensor, rows: Tensor, how: Overgrowth) -> list[tuple[Samples, Tensor]]:
    """Return the batches that are scored; in train mode none of a single sample, that has no statistics."""
    least = how.batch_size if how.mode == "train" else 1
    parts = rows.split(min(BATCH, max(least, ceil(len(rows) / BATCHES))))
    return [(x[one], y[one]) for one in parts if len(one) > 1 or how.mode == "eval" or len(parts) == 1]


def _place(candidate: Candidate) -> str:
    """Return the node at which a candidate grows."""
    if isinstance(candidate, NewEdge):
        return candidate.target
    return candidate.after if isinstance(candidate, NewLayer) else candidate.node
