"""What drivers that grow a trained network share: train, score, choose, rewrite, check, repeat."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import SettingError
from archgraph.evaluation import Measure, Origin, Recipe, Report, Score, SiteScore, Train
from archgraph.graph import Edit, Graph, label
from archgraph.metrics import params
from archgraph.moves import Split
from archgraph.net import Network, State, inherit_state
from archgraph.search import Driver, Setting, Steps

HALVINGS = 4
"""How often the step is halved before a growth that does not help is rejected."""

ROW_FLOOR = 1e-6
"""Rows shorter than this are moved as if they were this long, in units of the weight."""


@dataclass(frozen=True)
class Site:
    """One unit that may be split.

    Args:
        node: its node.
        unit: its number.
        index: the value of the criterion for one unit of squared displacement; negative promises a lower loss.
        direction: ``[D]`` where to, of length one; a last coordinate beyond the weight row is the bias's.
        row: length of its weight row.
    """

    node: str
    unit: int
    index: float
    direction: Tensor
    row: float

    @property
    def length(self) -> float:
        """What steps are measured in: the length of the row."""
        return max(self.row, ROW_FLOOR)

    @property
    def rank(self) -> float:
        """Index for a displacement as long as the row, which does not depend on the row's scale under batch norm."""
        return self.index * self.length**2

    def predicted(self, step: float) -> float:
        """Return the predicted change of the loss for a displacement of ``step`` times the row's length."""
        return 0.5 * (step * self.length) ** 2 * self.index


@dataclass(frozen=True)
class Growth(Driver):
    """Base of the drivers that split the units of a trained network, stage after stage.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        growth: units split in a stage, as a fraction of all that can be scored, rounded down, but one at least.
        added_params: trainable numbers that a stage may add at most, counted on the rewritten graph; None for no limit.
        step: displacement of the copies, as a fraction of the length of the unit's weight row.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        samples: training samples used for scores; None for all.
        include_bias: whether the bias moves with the row.
        state: ``"carry"`` keeps the optimizer's moments through a split, ``"fresh"`` starts them anew.

    Raises:
        SettingError: when a value cannot be used.
    """

    graph: Graph | Network
    growth: float = 0.35
    step: float = 0.05
    stages: int | None = None
    tune: Recipe | None = None
    samples: int | None = None
    include_bias: bool = False
    state: str = "carry"
    added_params: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.growth <= 1.0:
            raise SettingError("growth is a fraction of the units", expected="0 < growth <= 1", got=self.growth)
        if not self.step > 0.0:
            raise SettingError("step must be positive", got=self.step)
        for name, least in (("stages", 0), ("samples", 1)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise SettingError(f"{name} must be at least {least}", got=getattr(self, name))
        if self.added_params is not None and self.added_params < 1:
            raise SettingError("added_params must be positive", got=self.added_params)
        if self.state not in ("carry", "fresh"):
            raise SettingError("state is 'carry' or 'fresh'", got=self.state)

    # ------------------------------------------------------------------ what a method decides
    def sites(self, scores: dict[str, SiteScore], network: Network, seed: int) -> Iterator[Site]:
        """Yield the units that the method would split, in any order."""
        raise NotImplementedError

    rejects: ClassVar[bool] = True
    """Whether a growth that does not lower the training loss at once is rejected."""

    wants_matrices: ClassVar[bool] = False
    """Whether :meth:`sites` needs the splitting matrices themselves."""

    # ------------------------------------------------------------------ the loop
    def steps(self, setting: Setting) -> Steps:
        seed = rng.derive(setting.seed, "growth")
        report = yield Train(self.graph, setting.recipe, seed=rng.derive(seed, "train", 0))
        stage = 0
        while report.network is not None and (self.stages is None or stage < self.stages):
            parent, stage = report.network, stage + 1
            options = {"include_bias": self.include_bias, "keep_matrices": self.wants_matrices}
            scored = yield Score(parent, "splitting", samples=self.samples, seed=seed, options=options)
            if not scored.ok:
                return f"stage {stage} could not be scored: {scored.failure}"
            chosen = choose(self, parent, scored, rng.derive(seed, "sites", stage))
            if not chosen:
                return f"no unit is left to split: {_why(self, scored)}"
            before = yield Measure(parent.to(torch.float64), "train")
            step, grown = self.step, None
            for _ in range(HALVINGS + 1):
                moves = splits(chosen, step, parent.graph)
                candidate, state = apply(moves, parent, report.state if self.state == "carry" else None)
                after = yield Measure(apply(moves, parent.to(torch.float64), None)[0], "train")
                if not (before.ok and after.ok):
                    return f"stage {stage} could not be measured: {before.failure or after.failure}"
                measured = after.metrics["train.loss"] - before.metrics["train.loss"]
                if measured < 0.0 or not self.rejects:
                    grown = candidate
                    break
                step /= 2
            if grown is None:
                return f"stage {stage} was rejected: no step from {self.step:g} down to {step * 2:g} lowers the loss"
            origin = Origin(
                parent.key,
                tuple(map(repr, moves)),
                stage,
                predicted=sum(site.predicted(step) for site in chosen),
                measured=measured,
                note="; ".join([f"step {step:g}", *_left_out(scored)]),
            )
            recipe = self.tune or setting.recipe
            report = yield Train(grown, recipe, rng.derive(seed, "train", stage), state, origin)
        if report.network is None:
            return f"stage {stage} could not be evaluated: {report.failure}"
        return f"all {stage} stages are done"


def choose(driver: Growth, network: Network, scored: Report, seed: int) -> list[Site]:
    """Return the units to split in a stage: the lowest ranks, one at most of any coupled set, equal ones by place.

    With a limit on added parameters a unit that would exceed it is passed over for the next that does not; the count is
    that of the rewritten graph, so layers that grow together are counted right.
    """
    scores = dict(scored.scores)
    total = sum(len(one.index) for one in scores.values())
    wanted = max(1, int(driver.growth * total + 1e-9))
    order = {name: position for position, name in enumerate(network.graph.nodes)}
    labels = label(network.graph)
    chosen: list[Site] = []
    taken: set[int] = set()
    for site in sorted(driver.sites(scores, network, seed), key=lambda one: (one.rank, order[one.node], one.unit)):
        coupled = int(labels.of[site.node][site.unit])
        tentative = sorted([*chosen, site], key=lambda one: (order[one.node], one.unit))
        if coupled in taken or not _affordable(driver, network.graph, tentative):
            continue
        taken.add(coupled)
        chosen = tentative
        if len(chosen) == wanted:
            break
    return chosen


def _affordable(driver: Growth, graph: Graph, sites: list[Site]) -> bool:
    if driver.added_params is None:
        return True
    grown = graph
    for move in splits(sites, 0.0, graph):
        grown = move.apply(grown)
    return params(grown) - params(graph) <= driver.added_params


def splits(sites: list[Site], step: float, graph: Graph) -> list[Split]:
    """Return the moves that split units of a graph, one a node, to be applied in their order: later nodes first.

    In that order a direction is given in the coordinates of a row whose inputs are not split yet; when they are, later,
    the copied columns take their share, and the displacement stays the same function of the input. Units that are
    coupled across nodes (residual sums) are copied earlier than that: there the unit's number and its direction follow.

    Args:
        sites: what to split, in the order of the graph, one unit at most of any coupled set.
        step: displacement, as a fraction of the length of the unit's weight row.
        graph: the graph before.
    """
    moves = []
    for node in dict.fromkeys(site.node for site in reversed(sites)):
        own = [site for site in sites if site.node == node]
        move = Split.along(
            node,
            [site.unit for site in own],
            torch.stack([site.direction for site in own]),
            step=[step * site.length for site in own],
            bias=own[0].direction.numel() > _entries(graph, node),
        )
        edit = move.plan(graph)
        sites = [_follow(site, edit) for site in sites if site.node != node]
        graph = edit.after
        moves.append(move)
    return moves


def _follow(site: Site, edit: Edit) -> Site:
    """Return a site after an edit: where its unit stands, and its direction over inputs of which some are copied."""
    unit = int((edit.unit_map(site.node).index == site.unit).argmax())
    inputs, direction = edit.input_map(site.node), site.direction
    if not inputs.is_identity:
        spec = edit.before.tensors(site.node)["weight"]
        axis, entries = spec.axes.index("in") - 1, _entries(edit.before, site.node)
        row = direction[:entries].reshape(spec.shape[1:]).movedim(axis, -1)
        row = row[..., torch.from_numpy(inputs.index.copy())] * torch.from_numpy(inputs.coefficient.copy()).to(row)
        direction = torch.cat([row.movedim(-1, axis).flatten(), direction[entries:]])
    return replace(site, unit=unit, direction=direction)


def _entries(graph: Graph, node: str) -> int:
    """Return the number of entries of a weight row; a longer direction has the bias last."""
    return math.prod(graph.tensors(node)["weight"].shape[1:])


def apply(moves: list[Split], network: Network, state: State | None) -> tuple[Network, State | None]:
    """Apply moves in order to a network and the optimizer's state."""
    for move in moves:
        edit = move.plan(network.graph)
        network = network.after(edit)
        state = None if state is None else inherit_state(edit, state)
    return network, state


def rows(network: Network, node: str) -> Tensor:
    """Return ``[U]`` the lengths of the weight rows of a node."""
    return network.tensors(node)["weight"].double().flatten(1).norm(dim=1)


def _left_out(scored: Report) -> list[str]:
    """Return which nodes could not be scored and why, but for those that may not be resized."""
    reasons = scored.refused.items()
    return [f"{name} {reason}" for name, reason in reasons if not reason.startswith("cannot be resized")]


def _why(driver: Growth, scored: Report) -> str:
    if scored.scores and any(bool((one.index < 0.0).any()) for one in scored.scores.values()):
        return f"every unit would add more than {driver.added_params} parameters"
    if not scored.scores:
        return (
            "; ".join(f"{name} {reason}" for name, reason in scored.refused.items())
            or "the graph has no layer to split"
        )
    return "no splitting index is negative"
