"""Firefly descent (Wu, Liu, Stone and Liu, 2020, arXiv 2102.08574).

Among all networks near the one that was trained, wider, deeper or with new edges, step to the one with the lowest loss.
Near is what opening small gates leads to: existing units split, fresh ones join, residual layers and skips are put in.
All candidates are laid over the network at once, and gates and directions descend together; integrated gradients then
say what each gate is worth, the best of them that the budget allows are kept, and the rest is dropped. Train, repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archgraph import overgrown, rng
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Origin, Recipe, Report, Score
from archgraph.graph import Graph
from archgraph.net import Network, inherit_state
from archgraph.overgrown import KINDS, Overlay, candidates
from archgraph.scoring import SiteScore
from archgraph.scoring.firefly import name_of, overlay_of, point_of
from archgraph.scoring.overgrowth import Overgrowth
from optimizers.firefly.cells import cells_of, grown_cells
from optimizers.firefly.lineage import moves_of
from optimizers.firefly.parts import Cell
from optimizers.firefly.ray import Opening, Ray, exact
from optimizers.firefly.selection import choose_gates
from optimizers.firefly.statistics import settled
from optimizers.growth.asking import Asking, with_all_statistics
from optimizers.growth.checks import MODES, check, check_confidence, check_share, kinds_of
from optimizers.growth.stage import Grown
from optimizers.growth.stages import Stages


@dataclass(frozen=True)
class FireflyDescent(Stages):
    """Grow a network by what lowers its loss most: splits, new units, new layers, new edges.

    A stage that does not lower the loss is tried once more, carefully, then rejected: it leaves the network as it was
    and ends the growth. What the scores promise and what the loss does before any training stand in every trial.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        kinds: what a stage may grow, as a tuple or with ``+`` between them: ``"split"`` (units become two), ``"new"``
            (units join), ``"layer"`` (residual bottlenecks), ``"edge"`` (skips through a projection).
        growth: what a stage adds, as a fraction, at least one gate: of all units that may be resized, or of the
            ``cost`` that the network has, where one is named.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        samples: training samples used for scores; None for all.
        new_units: fresh units that are tried at every node; as many as it has by default, eight at least.
        layer_width: units that are tried in every inserted layer; as many as the node behind which it stands by
            default.
        kernel_size: of inserted convolutions, odd, in pixels.
        layers: layers that a stage may insert at most; None for any number.
        edges: edges that a stage may add at most; None for any number.
        box: how far gates may open in the descent.
        split_box: how far those of splits may; the square root of ``box`` by default, for what they are worth goes with
            the square.
        radius: how long directions may be, in units of the weights.
        descent_steps: steps of the descent on gates and directions.
        descent_lr: learning rate of the descent.
        points: midpoints of the integrated gradients.
        cost: what limits count and choices are weighed by: ``"params"``, ``"macs"``, ``"energy"`` or ``"latency"``;
            None for gates.
        added: the most that a stage may add, in the unit of the cost; instead of ``growth``.
        ceiling: the most that the network may cost; in units without a cost.
        mode: ``"eval"`` scores and measures with batch norm's running statistics, ``"train"`` with those of data.
        halves: whether directions come from one half of the samples and scores from the other.
        confidence: how many standard errors below zero a score must be.
        careful: whether a stage in which nothing helps is tried once more before it is rejected, with a descent that
            starts on the downhill side of every gate, no further open than lowers the loss
            (:class:`archgraph.overgrown.Descent`).
        line_search: whether gates are tried further and less open too.
        judge: split on which openings are measured: ``"train"``, or ``"val"`` for samples on which nothing was learned.
        calibrate: whether batch norm gets new statistics from training data: all units before a stage looks at the
            network (those that training leaves lag behind, and growth would make good for it), fresh ones after it.
        state: ``"carry"`` keeps the optimizer's moments, ``"fresh"`` starts them anew.
        rate: of trainings after the first: ``"restart"`` as the recipe has it, ``"warm"`` after a warm-up, ``"keep"``
            constant at the rate with which the last epoch before began.
        cells: the copies of a cell, each as the names of its nodes, in the same order, or as a text with which these
            begin, or ``"repeated"`` for those that there are; whatever grows in one grows in all of them.
        scratch: whether the last graph is also trained from fresh weights, for as many epochs as all trainings before.

    Raises:
        SettingError: when a value cannot be used; from :meth:`begin` when the graph leaves nothing below ``ceiling``.
        UnknownName: when there is no such cost, or no such node in the graph.
    """

    graph: Graph | Network
    kinds: str | tuple[str, ...] = ("split", "new")
    growth: float = 0.35
    stages: int | None = None
    tune: Recipe | None = None
    samples: int | None = None
    new_units: int | None = None
    layer_width: int | None = None
    kernel_size: int = 3
    layers: int | None = 1
    edges: int | None = 1
    box: float = 0.1
    split_box: float | None = None
    radius: float = 1.0
    descent_steps: int = 60
    descent_lr: float = 1e-2
    points: int = 3
    cost: str | None = None
    added: float | None = None
    ceiling: float | None = None
    mode: str = "eval"
    halves: bool = True
    confidence: float = 0.0
    careful: bool = True
    line_search: bool = True
    judge: str = "train"
    calibrate: bool = True
    state: str = "carry"
    rate: str = "restart"
    cells: str | tuple[str | Cell, ...] = ()
    scratch: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", kinds_of(self.kinds, KINDS))
        object.__setattr__(self, "cells", cells_of(self._base, self.cells))
        check_share(self.growth)
        check_confidence(self.confidence)
        switches = ("halves", "careful", "line_search", "calibrate")
        choices = {"mode": MODES, "judge": ("train", "val")}
        check(self, whole={"samples": 1, "layers": 0, "edges": 0}, choices=choices, switches=switches)
        Overgrowth.of(self.options(0))

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        found = yield from self._attempt(report, number, seed, careful=False)
        if isinstance(found, _Refused) and found.helpless and self.careful:
            found = yield from self._attempt(report, number, seed, careful=True)
        return found.reason if isinstance(found, _Refused) else [found]

    def _attempt(self, report: Report, number: int, seed: int, *, careful: bool) -> Asking[Grown | _Refused]:
        """Return the network after a stage, or why there is none."""
        trained = report.network
        assert trained is not None
        parent = trained
        if self.calibrate and self.mode == "eval":
            try:
                parent = yield from with_all_statistics(trained)
            except EvaluationFailed as error:
                return _Refused(f"stage {number} could not be measured: {error.what}")
        options = self.options(rng.derive(seed, "candidates", number)) | ({"careful": True} if careful else {})
        scored = yield Score(parent, "firefly", samples=self.samples, seed=seed, options=options)
        if not scored.ok:
            return _Refused(f"stage {number} could not be scored: {scored.failure}")
        if not scored.scores:
            reason = _reasons(scored) or "no unit of the graph may be resized"
            return _Refused(f"nothing is left to grow: {reason}")
        overlay = overlay_of(exact(parent), scored.scores, Overgrowth.of(options))
        index = _sure(overlay, scored.scores, self.confidence)
        chosen = self._chosen(parent.graph, overlay, index)
        if isinstance(chosen, _Refused):
            return chosen
        ray = Ray(
            overlay,
            point_of(overlay, scored.scores),
            chosen,
            index,
            self.judge,
            self.line_search,
            self.calibrate and self.mode == "train",
        )
        try:
            opening = yield from ray.best()
            if not opening.measured < 0.0:
                tried = f" from 1 down to {opening.share:g}" if self.line_search else ""
                reason = f"stage {number} was rejected: no opening{tried} lowers the {self.judge} loss"
                return _Refused(reason, helpless=True)
            network, grown = opening.network, ray.grown(opening)
            if self.calibrate and self.mode == "eval":
                network = yield from settled(network, grown.edits)
        except EvaluationFailed as error:
            return _Refused(f"stage {number} could not be measured: {error.what}")
        state = report.state if self.state == "carry" else None
        for edit in grown.edits:
            state = None if state is None else inherit_state(edit, state)
        notes = (_said(grown, opening), "carefully" if careful else "", _reasons(scored))
        origin = Origin(
            trained.key,
            tuple(map(repr, moves_of(parent.graph, grown.candidates))),
            number,
            predicted=opening.predicted,
            measured=opening.measured,
            note="; ".join(part for part in notes if part),
        )
        return Grown(network.to(parent.dtype), state, origin)

    def options(self, seed: int) -> dict[str, Any]:
        """Return the options of the criterion ``"firefly"``.

        Args:
            seed: of the directions.
        """
        names = ("kinds", "new_units", "layer_width", "kernel_size", "box", "split_box", "radius", "points", "mode")
        own = {name: getattr(self, name) for name in (*names, "halves")}
        return own | {"steps": self.descent_steps, "lr": self.descent_lr, "seed": seed}

    @property
    def _base(self) -> Graph:
        return self.graph if isinstance(self.graph, Graph) else self.graph.graph

    def _chosen(self, graph: Graph, overlay: Overlay, index: Tensor) -> tuple[int, ...] | _Refused:
        """Return the gates to open, or why there are none."""
        units = sum(one.gates for one in candidates(graph, ("split",)))
        limits, allowance = self.allowance.limits(graph, units), self.allowance
        cost, added = limits["cost"], limits["added"]
        if cost is None and self.ceiling is not None:  # a layer has more units than gates
            cost, added = allowance.counted, self.ceiling - allowance.counted.of(graph)
        chosen = choose_gates(
            graph,
            overlay.gates,
            index.tolist(),
            count=limits["count"],
            cost=cost,
            added=added,
            layers=self.layers,
            edges=self.edges,
            cells=grown_cells(self._base, graph, cells_of(self._base, self.cells)),
        )
        if chosen:
            return chosen
        if bool((index < 0.0).any()):
            return _Refused(f"nothing is left to grow: {allowance.exceeded(graph, units)}")
        return _Refused("nothing is left to grow: no candidate lowers the loss", helpless=True)


class _Refused(NamedTuple):
    """Why a stage came to nothing, and whether because nothing that it tried lowers the loss."""

    reason: str
    helpless: bool = False


def _sure(overlay: Overlay, scores: Mapping[str, SiteScore], confidence: float) -> Tensor:  # [G]
    """Return what each gate is said to change the loss by, zero where that is no more than noise."""
    own = [scores[name_of(candidate)] for candidate in overlay.candidates]
    index = torch.cat([one.index for one in own]).double().cpu()
    noise = torch.cat([one.index.new_zeros(one.index.shape) if one.noise is None else one.noise for one in own])
    return index.where(index < -confidence * noise.double().cpu(), 0.0)


def _said(grown: overgrown.Grown, opening: Opening) -> str:
    """Return what was opened, in words."""
    counts: Counter[str] = Counter()
    for one in grown.candidates:
        counts[one.kind] += one.gates
    splits = "" if opening.split_share == opening.share else f" (splits {opening.split_share:g})"
    return f"opened {opening.share:g}{splits}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _reasons(scored: Report) -> str:
    """Return which candidates could not grow, and why."""
    return "; ".join(f"{name} {reason}" for name, reason in scored.refused.items())
