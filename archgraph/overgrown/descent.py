"""The first step of firefly descent: gates and directions of the over-grown network are trained together.

The base is frozen (arXiv 2102.08574). Steps are Adam's; after each one gates go back into their box ``|e_i| <= box``
and directions into their balls ``||d_i|| <= 1``, incoming and outgoing slices of a gate each into one of their own. A
split is worth ``O(e^2)`` and a new unit ``O(e)``, so with one box for both the size of the box would decide between
them: splits have a box of their own.

A careful descent is for networks near an optimum, where little is left to gain and noise is large beside it: gates
start on their downhill sides in boxes that are trusted (:mod:`archgraph.overgrown.downhill`), and steps shrink to
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archgraph.errors import DataError, EvaluationFailed, SettingError
from archgraph.metrics import macs
from archgraph.net import passed
from archgraph.overgrown.downhill import downhill
from archgraph.overgrown.integrated import PASSES, Batch, Objective, run
from archgraph.overgrown.overlay import Overlay
from archgraph.overgrown.point import Point


@dataclass(frozen=True)
class Descent:
    """How gates and directions are trained.

    Args:
        steps: of Adam, a batch each.
        lr: of the directions; that of a gate is this times its box.
        box: bound of the gates.
        split_box: bound of the gates of splits; the square root of ``box`` by default.
        radius: bound of the length of the directions, in units of the weights.
        betas: of Adam.
        train: whether batch norms use the statistics of each batch, as in training; dropout is off.
        careful: whether gates start on their downhill sides, no further open than lowers the loss, and the learning
            rate falls to zero along half a cosine.

    Raises:
        SettingError: when a value cannot be used.
    """

    steps: int = 60
    lr: float = 1e-2
    box: float = 0.1
    split_box: float | None = None
    radius: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    train: bool = False
    careful: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 0:
            raise SettingError("steps must be a number of steps", got=repr(self.steps))
        for name in ("lr", "box", "split_box", "radius"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise SettingError(f"{name} must be a positive number", got=repr(value))
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise SettingError("betas lie in [0, 1)", got=self.betas)

    def boxes(self, overlay: Overlay) -> Tensor:
        """Return ``[G]`` the bound of every gate of an overlay, float64."""
        split = math.sqrt(self.box) if self.split_box is None else self.split_box
        return torch.tensor([split if gate.kind == "split" else self.box for gate in overlay.gates]).double()


@dataclass(frozen=True, eq=False)
class Descended:
    """Where a descent ended.

    Args:
        point: gates and directions.
        losses: of every step, before it was taken.
        samples: that went through the network.
        macs: multiply-accumulates that took.
    """

    point: Point
    losses: tuple[float, ...]
    samples: int
    macs: int


def descend(
    overlay: Overlay,
    batches: Sequence[Batch],
    objective: Objective,
    descent: Descent | None = None,
    *,
    start: Point | None = None,
    seed: int = 0,
) -> Descended:
    """Train gates and directions of an over-grown network together.

    Args:
        overlay: the network and its candidates.
        batches: inputs and targets; one a step, from the first again after the last.
        objective: the loss, a mean over samples.
        descent: how; with the defaults when it is left out.
        start: where the directions start, and the gates; random directions and gates at their bounds by default, those
            of a careful descent at the bounds that are trusted.
        seed: of those random directions.

    Raises:
        DataError: when there are no batches.
        EvaluationFailed: when the loss or its gradient is not finite.
    """
    if not len(batches):
        raise DataError("there are no batches to train on")
    how = descent or Descent()
    first = start or overlay.start(seed)
    boxes = how.boxes(overlay).to(first.gates)
    opened = (first.gates / boxes if start is not None else torch.ones_like(boxes)).clamp(-1.0, 1.0)
    directions = project(overlay, first.directions.detach(), how.radius).clone()
    module = overlay.module(first).with_statistics(of_batch=how.train)
    samples = 0
    if how.careful and start is None and len(boxes):
        opened, boxes, samples = downhill(module, directions, boxes, batches, objective)
    shares = opened.detach().clone().requires_grad_()  # gates in units of their boxes
    directions.requires_grad_()
    optimizer = torch.optim.Adam([shares, directions], lr=how.lr, betas=how.betas)
    losses: list[float] = []
    for step in range(how.steps):
        inputs, targets = batches[step % len(batches)]
        if how.careful:
            optimizer.param_groups[0]["lr"] = how.lr * (1.0 + math.cos(math.pi * step / how.steps)) / 2.0
        optimizer.zero_grad()
        loss = objective(run(module, Point(shares * boxes, directions), inputs), targets)
        losses.append(float(loss.detach()))
        loss.backward()
        finite = [bool(torch.isfinite(one.grad).all()) for one in (shares, directions) if one.grad is not None]
        if not (math.isfinite(losses[-1]) and all(finite)):
            raise EvaluationFailed(
                f"the over-grown network's loss is not finite at step {step}",
                got=losses[-1],
                hint="open the gates less",
            )
        optimizer.step()
        with torch.no_grad():
            shares.clamp_(-1.0, 1.0)
            directions.copy_(project(overlay, directions, how.radius))
        samples += passed(inputs)
    point = Point(shares.detach() * boxes, directions.detach())
    return Descended(point, tuple(losses), samples, PASSES * macs(overlay.graph) * samples)


def project(
    overlay: Overlay,
    directions: Tensor,  # [D]
    radius: float,
) -> Tensor:  # [D]
    """Return the nearest directions whose incoming and outgoing slices are no longer than ``radius``, gate by gate."""
    lengths = overlay.lengths(directions)
    return overlay.scaled(directions, (radius / lengths.clamp(min=radius)))
