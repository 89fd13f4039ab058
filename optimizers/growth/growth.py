"""What drivers that grow a trained network share: train, score, choose, rewrite, check, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from archgraph import rng
from archgraph.checks import check_choice
from archgraph.errors import EvaluationFailed, SettingError
from archgraph.evaluation import Recipe, Report, Score
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.scoring import SiteScore
from archgraph.scoring.settings import Method
from optimizers.growth.asking import Asking
from optimizers.growth.checks import MODES, SOLVERS, check, check_confidence, check_share, kinds_of
from optimizers.growth.controls import CONTROLS, RANDOM_UNITS, controlled, drawn, fresh
from optimizers.growth.pairs import pairs
from optimizers.growth.reasons import left_out, warn_of_noise, why_none
from optimizers.growth.selection import choose
from optimizers.growth.site import Site
from optimizers.growth.stage import Grown, Stage
from optimizers.growth.stages import Stages

KINDS = ("split", "new")


@dataclass(frozen=True)
class Growth(Stages):
    """Base of the drivers that split the units of a trained network, stage after stage.

    In a stage units are scored, the best are chosen, and their copies move as far as lowers the training loss most. A
    stage that does not lower it is rejected, and ends the growth. What the criterion predicts and what the loss does
    before any training stand in every trial.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        growth: what a stage adds, as a fraction, at least one unit: of all units that can be scored, or of the
            ``cost`` that the network has, where one is named.
        step: displacement of the copies, as a fraction of the length of the unit's weight row.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        samples: training samples used for scores; None for all.
        include_bias: whether the bias moves with the row.
        state: ``"carry"`` keeps the optimizer's moments through a split, ``"fresh"`` starts them anew.
        cost: what limits count and choices are weighed by: ``"params"``, ``"macs"``, ``"energy"`` or ``"latency"``;
            None for units.
        added: the most that a stage may add, in the unit of the cost; instead of ``growth``.
        ceiling: the most that the network may cost.
        solver: of the choice under a cost, ``"auto"``, ``"exact"``, ``"lp"`` or ``"greedy"``.
        method: of the scores, ``"auto"``, ``"exact"``, ``"lanczos"`` or ``"rayleigh"``.
        mode: ``"eval"`` scores and measures with batch norm's running statistics, ``"train"`` with those of data.
        halves: whether directions come from one half of the samples and indices from the other.
        confidence: how many standard errors below zero an index must be.
        kinds: ``"split"``, ``"new"`` for fresh units that nobody hears at first, or both, as a tuple or with ``+``
            between them: then both are trained, each with as many units in the same places, and the one with the lower
            training loss goes on.
        control: what to grow instead of what the method would (:mod:`optimizers.growth.controls`):
            ``"random-direction"``, ``"random-unit"``, ``"new-unit"`` or ``"net2wider"``; the last two are never
            rejected.
        scratch: whether the last graph is also trained from fresh weights, for as many epochs as all trainings before.
        line_search: whether longer and shorter steps are tried too.
        calibrate: whether statistics of batch norm are estimated from training samples, before losses are measured:
            those of fresh units, and in mode ``"train"`` all.
        rate: of trainings after the first: ``"restart"`` as the recipe has it, ``"warm"`` after a warm-up, ``"keep"``
            constant at the rate with which the last epoch before began.

    Raises:
        SettingError: when a value cannot be used; from :meth:`begin` when the graph leaves nothing below ``ceiling``.
        UnknownName: when there is no such cost.
    """

    graph: Graph | Network
    growth: float = 0.35
    step: float = 0.05
    stages: int | None = None
    tune: Recipe | None = None
    samples: int | None = None
    include_bias: bool = False
    state: str = "carry"
    cost: str | None = None
    added: float | None = None
    ceiling: float | None = None
    solver: str = "auto"
    method: str = "auto"
    mode: str = "eval"
    halves: bool = True
    confidence: float = 1.0
    kinds: str | tuple[str, ...] = ("split",)
    control: str | None = None
    scratch: bool = False
    line_search: bool = True
    calibrate: bool = True
    rate: str = "restart"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", kinds_of(self.kinds, KINDS))
        check_share(self.growth)
        check_confidence(self.confidence)
        choices = {"mode": MODES, "solver": SOLVERS, "method": get_args(Method)}
        switches = ("include_bias", "halves", "line_search", "calibrate")
        check(self, positive=("step",), whole={"samples": 1}, choices=choices, switches=switches)
        if self.control is not None:
            check_choice("control", self.control, CONTROLS)
            if self.kinds != ("split",):
                raise SettingError("a control takes the place of what a stage grows", hint="leave control or kinds out")

    # ------------------------------------------------------------------ what a method decides
    def sites(self, scores: dict[str, SiteScore], network: Network, seed: int) -> Iterator[Site]:
        """Yield what the method would split, in any order; several sites may name a unit, of which one is taken."""
        return pairs(scores, network, self.confidence)

    rejects: ClassVar[bool] = True
    """Whether a growth that does not lower the training loss at once is rejected."""

    nothing: ClassVar[str] = "no splitting index is negative"
    """Why it ends when the scores promise nothing."""

    # ------------------------------------------------------------------ a stage
    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        parent = report.network
        assert parent is not None
        scored = yield Score(parent, "splitting", samples=self.samples, seed=seed, options=self._options(seed, number))
        if not scored.ok:
            return f"stage {number} could not be scored: {scored.failure}"
        if self.confidence > 0.0:  # else whoever searches does without a floor of noise
            warn_of_noise(scored)
        kinds, chosen = self._chosen(scored, parent, rng.derive(seed, "sites", number))
        if isinstance(chosen, str):
            return f"no unit is left to split: {chosen}"
        try:
            stage = yield from Stage.begin(
                parent,
                report.state if self.state == "carry" else None,
                number,
                calibrate=self.calibrate,
                training_mode=self.mode == "train",
                notes=left_out(scored),
            )
            found: list[Grown] = []
            if "split" in kinds:
                grown = yield from self._split(stage, chosen)
                if isinstance(grown, Grown):
                    found.append(grown)
                elif "new" not in kinds:
                    return grown
            if "new" in kinds:
                grown = yield from stage.widen(fresh(chosen, parent.graph, rng.derive(seed, "new", number)))
                found.append(grown)
        except EvaluationFailed as error:
            return f"stage {number} could not be measured: {error.what}"
        return found

    def _chosen(self, scored: Report, parent: Network, seed: int) -> tuple[tuple[str, ...], list[Site] | str]:
        """Return in which ways to grow what, or why there is nothing."""
        graph, scores, allowance = parent.graph, dict(scored.scores), self.allowance
        units = sum(len(one.index) for one in scores.values())
        limits = allowance.limits(graph, units)
        kinds: tuple[str, ...] = ("new",) if self.control == "new-unit" else tuple(self.kinds)
        if self.control in RANDOM_UNITS:
            sites = list(drawn(scores, parent, seed))
        elif self.control == "random-direction":
            sites = list(pairs(scores, parent, self.confidence))
        else:
            sites = list(self.sites(scores, parent, seed))
        if not sites and self.control is None and "new" in kinds:  # where no split helps a fresh unit may, anywhere
            kinds, sites = ("new",), list(drawn(scores, parent, seed))
        chosen = choose(graph, sites, solver=self.solver, **limits)
        if not chosen:
            return kinds, allowance.exceeded(graph, units) if sites else why_none(scored, self.nothing)
        return kinds, controlled(self.control, chosen, scores, seed)

    def _split(self, stage: Stage, chosen: list[Site]) -> Asking[Grown | str]:
        """Return the network after the best step, or why no step was taken."""
        blind = self.control == "net2wider"  # its first-order change is nobody's prediction, and no reason to reject it
        step = yield from stage.search(chosen, self.step, ladder=self.line_search and not blind)
        if step.measured >= 0.0 and self.rejects and not blind:
            tried = f"no step from {self.step:g} down to {step.length:g} lowers the loss"
            tried = tried if self.line_search else f"the step of {self.step:g} does not lower the loss"
            return f"stage {stage.number} was rejected: {tried}"
        return stage.split(step, predicted=not blind)

    def _options(self, seed: int, number: int) -> dict[str, Any]:
        """Return the criterion's options."""
        options: dict[str, Any] = {
            "include_bias": self.include_bias,
            "method": self.method,
            "mode": self.mode,
            "halves": self.halves,
        }
        if self.control == "random-direction":
            options["random"] = rng.derive(seed, "directions", number)
        return options
