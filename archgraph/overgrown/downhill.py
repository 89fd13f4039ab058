"""Where a careful descent starts: every gate on the side on which the loss falls, no further open than it does fall.

Gates that start at their bounds, in directions that were drawn, are as often on the wrong side as on the right one.
Where a network still has much to learn the descent turns them; near an optimum, where a gate is worth its slope times a
small opening and all of them overlap, it has them cancel one another instead, and those that are chosen raise the loss
when the others are closed. So here the slope at zero says the side of each gate,

    e_i = -sign(dL/de_i at 0) b_i    (+b_i for splits, which are even and have no slope),

and the bounds b are halved, all of them, until the loss is lower there than at zero: a trust region.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archgraph.net import passed
from archgraph.overgrown.integrated import PASSES, Batch, Objective, run
from archgraph.overgrown.overlay import OvergrownModule
from archgraph.overgrown.point import Point

BATCHES = 8
"""On which sides and bounds are found, at most."""

HALVINGS = 16
"""Of the bounds, at most."""


def downhill(
    module: OvergrownModule,
    directions: Tensor,  # [D]
    boxes: Tensor,  # [G]
    batches: Sequence[Batch],
    objective: Objective,
) -> tuple[Tensor, Tensor, int]:  # [G], [G]
    """Return the side of each gate (1 or -1), the bounds that are trusted, and the samples that were looked at.

    A sample that is looked at forward alone counts as a part of one.

    Args:
        module: the over-grown network, in the mode in which the loss is to fall.
        directions: of the gates.
        boxes: their bounds.
        batches: inputs and targets; the first :data:`BATCHES` of them.
        objective: the loss, a mean over samples.
    """
    some = batches[:BATCHES]
    samples, through = sum(len(targets) for _, targets in some), sum(passed(inputs) for inputs, _ in some)
    closed = torch.zeros_like(boxes).requires_grad_()
    start, slopes = 0.0, torch.zeros_like(boxes)
    for inputs, targets in some:
        loss = objective(run(module, Point(closed, directions), inputs), targets) * (len(targets) / samples)
        slopes += torch.autograd.grad(loss, closed)[0]
        start += float(loss.detach())
    sides = torch.where(slopes > 0.0, -1.0, 1.0).to(boxes)
    forward = 0
    for _ in range(HALVINGS):
        forward += through
        if _loss(module, Point(sides * boxes, directions), some, objective) < start:
            break
        boxes = boxes / 2.0
    return sides, boxes, through + -(-forward // PASSES)


@torch.no_grad()
def _loss(module: OvergrownModule, point: Point, batches: Sequence[Batch], objective: Objective) -> float:
    """Return the mean loss over all samples."""
    total = sum(float(objective(run(module, point, inputs), targets)) * len(targets) for inputs, targets in batches)
    return total / sum(len(targets) for _, targets in batches)
