"""How much the loss bends along the units that were proposed for a spot: what turns energies into curvature.

The energy of a proposal is a mean squared move of a layer's outputs, which is the curvature of a squared error at the
last layer. Elsewhere the loss bends more or less than that, and not alike at all layers, so that neither steps nor
decreases of two layers could be compared. Here all units of a spot are put in at a factor h of their best steps ``t_k =
gain_k / energy_k``, at which the model says ``L(0) - h M + (h^2 / 2) c M``, ``M = sum_k t_k gain_k``. The parabola
through L(0), L(h / 2) and L(h), where these are really lower, has

    c = 4 (L(h) - 2 L(h / 2) + L(0)) / (h^2 M),    M = (3 L(0) - 4 L(h / 2) + L(h)) / h

and c is what the energies are to be multiplied by. h is 1, or as much shorter as it takes to lower the loss, or longer
as long as that lowers it further. Where units overlap c is larger than what each meets alone, as it should be for all
of them.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from archgraph.metrics import macs
from archgraph.net import Network, Samples, capture, estimate, made_units, passed
from archgraph.scoring.additions import Additions, running_statistics
from archgraph.scoring.site_score import SiteScore
from archgraph.tasks import Loss

SAMPLES = 128
"""On which the loss is measured, at most."""

CHEAP = 10**8
"""Multiply-accumulates of a pass up to which it is made in double precision."""

RUNGS = 6
"""How often h is doubled at most."""

DOWN = 12
"""How often it is divided by four at most, until the loss is lower."""


def bending(
    network: Network,
    node: str,
    score: SiteScore,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    *,
    train: bool = False,
) -> tuple[float, int]:
    """Return c, and the multiply-accumulates that it took.

    Args:
        network: that was scored.
        node: that names the spot.
        score: of the units proposed there.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        train: whether batch norm takes the statistics of the samples.
    """
    x, y = x[:SAMPLES], y[:SAMPLES]
    dtype = torch.float64 if macs(network.graph) * passed(x) <= CHEAP else network.dtype
    x, y = x.to(dtype), y.to(dtype) if y.is_floating_point() else y
    additions = Additions(network.to(dtype), {node: score}, {node: range(len(score.index))})
    unheard = additions.at(0.0)
    fresh = made_units(additions.edits) if not train and len(x) > 1 else {}
    statistics = running_statistics(estimate(unheard, fresh, x)) if fresh else {}
    passes = 1 if fresh else 0

    def measured(factor: float) -> float:
        grown = additions.at(factor, statistics)
        return float(capture(grown, x, partial(_of, loss, y), train=train).loss)

    start, factor, told = measured(0.0), 1.0, [measured(1.0)]
    while not told[-1] < start and len(told) <= DOWN:
        factor /= 4.0
        told.append(measured(factor))
    for _ in range(RUNGS if len(told) == 1 else 0):
        longer = measured(2.0 * factor)
        passes += 1
        if not longer < told[-1]:
            break
        factor *= 2.0
        told.append(longer)
    half = told[-2] if factor > 1.0 else measured(factor / 2.0)
    passes += 1 + len(told) + (factor <= 1.0)
    bend, slope = 4.0 * (told[-1] - 2.0 * half + start) / factor**2, (3.0 * start - 4.0 * half + told[-1]) / factor
    share = 1.0 / factor
    if told[-1] < start and slope > 0.0:
        share = min(max(bend / slope, 0.5 / factor), 2.0 / factor)
    return share, passes * macs(unheard.graph) * passed(x)


def _of(loss: Loss, targets: Tensor, outputs: Tensor) -> Tensor:
    return loss(outputs.double(), targets.double() if targets.is_floating_point() else targets)
