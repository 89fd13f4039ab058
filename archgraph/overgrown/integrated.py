"""Integrated gradients along the ray of the gates: what each of them is worth (arXiv 2102.08574).

With directions ``d`` fixed and gates ``e`` the change of the loss is a sum over gates,

    L(e) - L(0) = sum_i e_i s_i,    s_i = int_0^1 dL/de_i (a e) da  ~  mean over z = 1..n of dL/de_i at a = (2z-1)/(2n),

which the midpoint rule gives with one backward pass a point for all gates at once. The derivative at zero would not do:
it is zero for every split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError
from archgraph.metrics import macs
from archgraph.net import Nodes, arguments, counted, passed
from archgraph.overgrown.overlay import OvergrownModule, Overlay
from archgraph.overgrown.point import Point

Batch = tuple[Tensor | tuple[Tensor, ...] | Nodes, Tensor]
"""Inputs ``[N, ...]`` (a tuple of them for several inputs, or nodes of a graph) and targets."""

Objective = Callable[[Any, Tensor], Tensor]
"""From outputs and targets to a scalar, a mean over samples: a :class:`archgraph.tasks.Loss` is one."""

PASSES = 3
"""A forward and a backward pass cost three forward passes."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What the gates of an overlay promise.

    Args:
        gradients: ``[G]`` the integrated gradient ``s_i`` of each, in units of the loss.
        predicted: ``[G]`` the change of the loss that is put down to each, ``e_i s_i``; below zero it helps.
        noise: ``[G]`` the standard error of ``predicted``, from its scatter over batches; zero of a single one.
        samples: that went through the network, counted once a pass.
        macs: multiply-accumulates that took.
    """

    gradients: Tensor
    predicted: Tensor
    noise: Tensor
    samples: int
    macs: int


def integrated_gradient(
    overlay: Overlay,
    point: Point,
    batches: Iterable[Batch],
    objective: Objective,
    *,
    points: int = 3,
    train: bool = False,
) -> Scores:
    """Score all gates of an over-grown network.

    Args:
        overlay: the network and its candidates.
        point: how far the gates are open, and where the directions point.
        batches: inputs and targets, as often as there are; the mean is over samples.
        objective: the loss, a mean over samples.
        points: midpoints ``n`` on the ray.
        train: whether batch norms use the statistics of each batch, as in training; dropout is off.

    Raises:
        SettingError: when there are no points.
        DataError: when there are no samples, or the scores are not finite.
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise SettingError("points must be a positive integer", got=repr(points))
    module = overlay.module(point).with_statistics(of_batch=train)
    gates, directions = point.gates.detach(), point.directions.detach()
    each: list[Tensor] = []
    shares: list[int] = []
    seen = 0
    for inputs, targets in batches:
        total = torch.zeros_like(gates, dtype=torch.float64)
        for number in range(points):
            here = (gates * ((2 * number + 1) / (2 * points))).requires_grad_()
            loss = objective(run(module, Point(here, directions), inputs), targets)
            (gradient,) = torch.autograd.grad(loss, here)
            total += gradient.double() / points
        each.append(total)
        shares.append(len(targets))
        seen += passed(inputs)
    samples = sum(shares)
    if not samples:
        raise DataError("there are no samples to score on")
    weights = torch.tensor(shares, dtype=torch.float64, device=gates.device) / samples
    slopes = torch.stack(each)  # [batches, G]
    found = weights @ slopes
    scatter = (weights @ (slopes - found).square() / max(1, len(each) - 1)).sqrt()
    even = torch.tensor([gate.kind == "split" for gate in overlay.gates], device=gates.device, dtype=torch.bool)
    found = found.masked_fill(
        even & (gates == 0.0), 0.0
    )  # by symmetry; sums over the two halves may differ in rounding
    if not bool(torch.isfinite(found).all()):
        raise DataError("the scores are not finite", hint="check the data and the weights, or open the gates less")
    opened, passes = gates.double(), points * seen
    spent = PASSES * macs(overlay.graph) * passes
    return Scores(found.to(gates), (found * opened).to(gates), (scatter * opened.abs()).to(gates), passes, spent)


def run(module: OvergrownModule, point: Point, inputs: Tensor | tuple[Tensor, ...] | Nodes) -> Any:
    """Return the outputs of an over-grown network at a point, on one batch; of nodes, those that count."""
    return counted(inputs, module.at(point, *arguments(inputs)))
