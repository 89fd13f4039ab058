"""Growth in depth: a layer a stage, where its gradient is the longest, or anywhere.

``"sensli"`` (arXiv 2311.15995) puts a layer that computes the identity where a step of gradient descent on it lowers
the loss most, and takes that step. ``"net2deeper"`` (Chen, Goodfellow and Shlens, 2016, arXiv 1511.05641) puts it
behind a ReLU drawn at random and leaves the rest to training: its rival.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch

from archgraph import rng
from archgraph.checks import check_positive, check_switch, check_whole
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Origin, Recipe, Report
from archgraph.graph import Graph
from archgraph.metrics import units as hidden_units
from archgraph.moves import InsertIdentity
from archgraph.net import Network, inherit_state
from archgraph.scoring.insertions import InsertionSettings
from optimizers.growth.allowance import Limits
from optimizers.growth.asking import Asking, training_loss
from optimizers.growth.checks import check
from optimizers.growth.stage import Grown
from optimizers.growth.stages import Stages
from optimizers.widening.insertion import Insertion


@dataclass(frozen=True)
class Deepening(Stages):
    """Grow a network by a layer a stage; subclasses say where.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        kernel_size: of inserted convolutions, odd, in pixels.
        growth: what a stage may add at most, as a fraction of the ``cost`` that the network has.
        cost: what is limited: ``"params"``, ``"macs"``, ``"energy"`` or ``"latency"``; None for layers alone.
        added: the most that a stage may add, in the unit of the cost; instead of ``growth``.
        ceiling: the most that the network may cost; in units without a cost.
        state: ``"carry"`` keeps the optimizer's moments, ``"fresh"`` starts them anew.
        rate: of trainings after the first: ``"restart"`` as the recipe has it, ``"warm"`` after a warm-up, ``"keep"``
            constant at the rate with which the last epoch before began.
        scratch: whether the last graph is also trained from fresh weights, for as many epochs as all trainings before.

    Raises:
        SettingError: when a value cannot be used; from :meth:`begin` when the graph leaves nothing below ``ceiling``.
        UnknownName: when there is no such cost.
    """

    graph: Graph | Network
    stages: int | None = None
    tune: Recipe | None = None
    kernel_size: int = 3
    growth: float = 1.0
    cost: str | None = None
    added: float | None = None
    ceiling: float | None = None
    state: str = "carry"
    rate: str = "restart"
    scratch: bool = False

    def __post_init__(self) -> None:
        check_positive("growth", self.growth)
        check(self)
        InsertionSettings(kernel_size=self.kernel_size)

    def limits(self, graph: Graph) -> Limits:
        """Return what a layer may add; units, where only a ceiling says so."""
        found, units = self.allowance.limits(graph, hidden_units(graph)), self.allowance.counted
        if self.cost is None and self.ceiling is not None:
            return Limits(count=None, cost=units, added=max(0.0, self.ceiling - units.of(graph)))
        return found


@dataclass(frozen=True)
class Sensli(Deepening):
    """Grow in depth, where a new layer's gradient is the longest; a stage whose layer does not help ends the growth.

    Args:
        ratio: least squared gradient of a new layer, as a share of the mean over the layers that are there; the
            paper's tau, 1 or more.
        layer_width: units of an inserted bottleneck (where no ReLU is); as many as the node before it by default.
        factor: where the line search starts, as a share of the length of an identity.
        line_search: whether other factors are tried than the first.
        samples: training samples used for scores; None for all.

    Others are those of :class:`Deepening`.
    """

    ratio: float = 1.0
    layer_width: int | None = None
    factor: float = 0.1
    line_search: bool = True
    samples: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        InsertionSettings(self.ratio, self.kernel_size, self.layer_width)
        check_positive("factor", self.factor)
        check_switch("line_search", self.line_search)
        check_whole("samples", self.samples, 1, missing=True)

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        assert report.network is not None
        limits = self.limits(report.network.graph)
        one = Insertion(
            self.ratio,
            self.kernel_size,
            self.layer_width,
            self.factor,
            self.line_search,
            self.samples,
            limits["cost"],
            limits["added"],
            state=self.state,
        )
        found = yield from one.stage(report, number, seed)
        return found


@dataclass(frozen=True)
class Net2Deeper(Deepening):
    """Grow in depth by identities behind ReLUs drawn at random.

    They keep the function and promise nothing, so nothing is predicted and nothing rejected. Arguments are those of
    :class:`Deepening`.
    """

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        parent = report.network
        assert parent is not None
        graph, limits = parent.graph, self.limits(parent.graph)
        moves = [InsertIdentity(one.after, self.kernel_size) for one in InsertIdentity.sites(graph)]
        legal = [move for move in moves if move.refusal(graph) is None]
        cost, added = limits["cost"], limits["added"]
        if cost is not None and added is not None:
            legal = [move for move in legal if cost.of(move.plan(graph).after) - cost.of(graph) <= added]
        if not legal:
            return "no layer is left to insert: " + (
                "every one would add too much" if moves else "no node is a ReLU, behind which an identity is exact"
            )
        move = Random(rng.derive(seed, "layers", number)).choice(legal)
        edit = move.plan(graph)
        deeper = parent.after(edit)
        try:
            before = yield from training_loss(parent.to(torch.float64))
            after = yield from training_loss(deeper.to(torch.float64))
        except EvaluationFailed as error:
            return f"stage {number} could not be measured: {error.what}"
        carried = report.state if self.state == "carry" else None
        state = None if carried is None else inherit_state(edit, carried)
        return [Grown(deeper, state, Origin(parent.key, (repr(move),), number, measured=after - before))]
