"""Growth by new units that a criterion proposes: one driver, any criterion.

A stage asks a criterion for new units everywhere, each with what it promises to take from the loss, and takes the best
that the budget allows. All are put in at once, unheard; then their weights are turned up, each to the best step of its
own model times one factor, which is found on the training loss. Where no factor lowers it the stage is rejected and
ends the growth. The criteria are those of :mod:`archgraph.scoring.proposals`, or anybody's:

- ``"tiny"``: what the layer behind cannot express (Verbockhaven et al., 2024, arXiv 2405.19816);
- ``"gradmax"``: the largest gradients (Evci et al., 2022, arXiv 2201.05125);
- ``"north"``: orthogonal to what is said already (Maile et al., 2022, arXiv 2202.08539);
- ``"natural-expansion"``: the largest rise of the natural gradient (Mitchell et al., 2023, arXiv 2307.04526);
- ``"zero-fan-out"``: random rows that nobody hears at first, the rival of them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import DataError, EvaluationFailed, SettingError
from archgraph.evaluation import Calibrate, Origin, Recipe, Report, Score
from archgraph.graph import Graph, around
from archgraph.metrics import units as hidden_units
from archgraph.net import Network, inherit_state
from archgraph.scoring import SiteScore
from archgraph.scoring.additions import Additions, running_statistics
from archgraph.scoring.growth_settings import GrowthSettings
from optimizers.growth import Cost, Growth, Site, choose
from optimizers.growth.asking import Asking, training_loss, with_all_statistics
from optimizers.growth.ladder import climb
from optimizers.growth.rates import RATES
from optimizers.growth.reasons import left_out
from optimizers.growth.stage import Grown
from optimizers.growth.stages import Stages


@dataclass(frozen=True)
class CriterionGrowth(Stages):
    """Grow a network by new units that a criterion proposes, wherever they lower the loss most.

    What the criterion predicts and what the loss does before any training stand in every trial.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        criterion: its name.
        growth: what a stage adds, as a fraction, at least one unit: of all hidden units, or of the ``cost`` that the
            network has, where one is named.
        factor: where the line search starts, as a share of the best step of each unit by itself.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        samples: training samples used for scores; None for all.
        candidates: units drawn for every one proposed, by criteria that choose among candidates.
        scales: what a step scales: ``"auto"`` what the criterion's paper does where that is exact, ``"outgoing"``
            weights alone.
        compensate: whether existing weights take back what they could do of the new units' work, with criteria that
            have that.
        cost: what limits count and choices are weighed by: ``"params"``, ``"macs"``, ``"energy"`` or ``"latency"``;
            None for units.
        added: the most that a stage may add, in the unit of the cost; instead of ``growth``.
        ceiling: the most that the network may cost.
        widest: the most units that any layer may have.
        solver: of the choice under a cost, ``"auto"``, ``"exact"``, ``"lp"`` or ``"greedy"``.
        mode: ``"eval"`` scores with batch norm's running statistics, estimated anew before (those that training leaves
            lag behind, and growth would make good for it); ``"train"`` with those of every batch.
        state: ``"carry"`` keeps the optimizer's moments, ``"fresh"`` starts them anew.
        line_search: whether other factors are tried than the first.
        rate: of trainings after the first: ``"restart"`` as the recipe has it, ``"warm"`` after a warm-up, ``"keep"``
            constant at the rate with which the last epoch before began.
        scratch: whether the last graph is also trained from fresh weights, for as many epochs as all trainings before.

    Raises:
        SettingError: when a value cannot be used; from :meth:`begin` when the graph leaves nothing below ``ceiling``.
        UnknownName: when there is no such cost.
    """

    graph: Graph | Network
    criterion: str = "tiny"
    growth: float = 0.35
    factor: float = 1.0
    stages: int | None = None
    tune: Recipe | None = None
    samples: int | None = None
    candidates: int = 8
    scales: str = "auto"
    compensate: bool = True
    cost: str | None = None
    added: float | None = None
    ceiling: float | None = None
    widest: int | None = None
    solver: str = "auto"
    mode: str = "eval"
    state: str = "carry"
    line_search: bool = True
    rate: str = "restart"
    scratch: bool = False

    def __post_init__(self) -> None:
        _check(self)

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        trained = report.network
        assert trained is not None
        try:
            parent = (yield from with_all_statistics(trained)) if self.mode == "eval" else trained
        except EvaluationFailed as error:
            return f"stage {number} could not be measured: {error.what}"
        limits = self.allowance.limits(parent.graph, hidden_units(parent.graph))
        options = self._options(rng.derive(seed, "new-units", number), limits["count"])
        scored = yield Score(parent, self.criterion, samples=self.samples, seed=seed, options=options)
        if not scored.ok:
            return f"stage {number} could not be scored: {scored.failure}"
        sites = list(_sites(parent.graph, scored.scores))
        chosen = choose(parent.graph, sites, widest=self.widest, solver=self.solver, **limits)
        if not chosen:
            return f"nothing is left to grow: {self._why(scored, parent.graph, bool(sites))}"
        taken: dict[str, list[int]] = {}
        for site in chosen:
            assert site.fresh is not None
            taken.setdefault(site.node, []).append(site.fresh)
        try:
            exact = parent.to(torch.float64)
            before = yield from training_loss(exact)
            additions = Additions(exact, scored.scores, taken)
            found = yield from _FactorSearch(additions, before, self.factor, self.line_search).best()
        except EvaluationFailed as error:
            return f"stage {number} could not be measured: {error.what}"
        except DataError as error:
            return f"stage {number}: {error.what}"
        if found.measured >= 0.0:
            tried = f"no factor from {self.factor:g} down to {found.factor:g} lowers the loss"
            tried = tried if self.line_search else f"the factor of {self.factor:g} does not lower the loss"
            return f"stage {number} was rejected: {tried}"
        state = report.state if self.state == "carry" else None
        for edit in additions.edits:
            state = None if state is None else inherit_state(edit, state)
        told = ", ".join(f"{len(own)} at {node}" for node, own in additions.chosen.items())
        origin = Origin(
            trained.key,
            tuple(f"Widen({node!r}, units={len(own)})" for node, own in additions.chosen.items()),
            number,
            predicted=additions.predicted(found.factor),
            measured=found.measured,
            note="; ".join([f"{self.criterion}: {told}; factor {found.factor:g}", *left_out(scored)]),
        )
        return [Grown(found.network.to(parent.dtype), state, origin)]

    def _options(self, seed: int, count: int | None) -> dict[str, Any]:
        """Return the criterion's options; those of criteria from elsewhere are their defaults."""
        from archgraph.scoring.proposals import NAMES

        if self.criterion not in NAMES:
            return {}
        options = {
            "candidates": self.candidates,
            "scales": self.scales,
            "compensate": self.compensate,
            "mode": self.mode,
            "seed": seed % 2**31,
        }
        return options if count is None else {**options, "units": max(1, count)}

    def _why(self, scored: Report, graph: Graph, offered: bool) -> str:
        if offered:
            return self.allowance.exceeded(graph, hidden_units(graph))
        if scored.scores:
            return f"no new unit lowers the loss, {self.criterion} says"
        reasons = [f"{name} {reason}" for name, reason in scored.refused.items()]
        return "; ".join(reasons) or "the graph has no layer that new units could join"


@dataclass(frozen=True)
class Tiny(CriterionGrowth):
    """Grow where a layer cannot express what the loss asks for: the expressivity bottleneck, in closed form.

    Arguments are those of :class:`CriterionGrowth`.
    """

    criterion: str = field(default="tiny", init=False)


@dataclass(frozen=True)
class GradMax(CriterionGrowth):
    """Grow by the units of largest gradient. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="gradmax", init=False)


@dataclass(frozen=True)
class North(CriterionGrowth):
    """Grow by units orthogonal to existing ones. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="north", init=False)


@dataclass(frozen=True)
class NaturalExpansion(CriterionGrowth):
    """Grow by the units that add most to the natural gradient. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="natural-expansion", init=False)


@dataclass(frozen=True)
class ZeroFanOut(CriterionGrowth):
    """Grow by random units that nobody hears at first. Arguments are those of :class:`CriterionGrowth`."""

    criterion: str = field(default="zero-fan-out", init=False)


@dataclass(frozen=True)
class Net2Wider(Growth):
    """Grow by copies of units drawn at random, moved a little (Chen, Goodfellow and Shlens, 2016, arXiv 1511.05641).

    Copies keep the function and promise nothing, so nothing is predicted and nothing rejected. Arguments are those of
    :class:`optimizers.growth.Growth`, but for ``control``, which is settled.
    """

    control: str | None = field(default="net2wider", init=False)


def _sites(graph: Graph, scores: Mapping[str, SiteScore]) -> list[Site]:
    """Return the proposed units as candidates for the choice, which ranks by what each takes from the loss."""
    nothing = torch.zeros(2, 0)
    found = []
    for node, score in scores.items():
        unit = int(around(graph, node).free(node)[-1])
        for number, index in enumerate(score.index.tolist()):
            found.append(Site(node, unit, index, (0.5, 0.5), nothing, row=1.0, fresh=number))
    return found


class _Tried(NamedTuple):
    """A factor, the network there, and by how much its training loss differs."""

    factor: float
    network: Network
    measured: float


@dataclass(frozen=True, eq=False)
class _FactorSearch:
    """Measures how far weights are turned up, as :class:`optimizers.growth.LineSearch` measures steps.

    Args:
        additions: the new units.
        before: the training loss without them, in double precision.
        first: where it starts.
        ladder: whether any other factor is tried.
    """

    additions: Additions
    before: float
    first: float
    ladder: bool

    def best(self) -> Asking[_Tried]:
        """Return the factor, of those tried, after which the training loss is lowest; it may be higher than before.

        Raises:
            EvaluationFailed: when a loss cannot be measured, or statistics not be estimated.
        """
        statistics = yield from self._statistics(self.additions.at(0.0))
        first = yield from self._try(self.first, statistics)
        best = first
        if self.ladder:
            best = yield from climb(first, lambda factor: self._try(self.first * factor, statistics))
        if statistics and not self.additions.unheard_first:  # rows have moved since: what they say elsewhere too
            statistics = yield from self._statistics(best.network)
            best = yield from self._try(best.factor, statistics)
        return best

    def _try(self, factor: float, statistics: Mapping[str, Tensor]) -> Asking[_Tried]:
        network = self.additions.at(factor, statistics)
        after = yield from training_loss(network)
        return _Tried(factor, network, after - self.before)

    def _statistics(self, network: Network) -> Asking[dict[str, Tensor]]:
        """Return the running statistics of batch norm, with those of new units estimated."""
        request = Calibrate.after(network, self.additions.edits)
        if not request.units:
            return {}
        report = yield request
        if not report.ok:
            raise EvaluationFailed(report.failure)
        return running_statistics(report.network)


def _check(driver: CriterionGrowth) -> None:
    """Raise unless settings can be used.

    Raises:
        SettingError: with the first that cannot.
        UnknownName: when there is no such cost.
    """
    if not 0.0 < driver.growth <= 1.0:
        raise SettingError("growth is a fraction of the units", expected="0 < growth <= 1", got=driver.growth)
    for name in ("factor", "added", "ceiling"):
        value = getattr(driver, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and 0.0 < value < math.inf):
            raise SettingError(f"{name} must be positive", got=repr(value))
    for name, least in (("stages", 0), ("samples", 1), ("widest", 1)):
        value = getattr(driver, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise SettingError(f"{name} must be a whole number of at least {least}, or None", got=repr(value))
    choices = {"state": ("carry", "fresh"), "rate": RATES, "solver": ("auto", "exact", "lp", "greedy")}
    for name, allowed in choices.items():
        if getattr(driver, name) not in allowed:
            raise SettingError(f"{name} is one of {', '.join(allowed)}", got=repr(getattr(driver, name)))
    for name in ("line_search", "scratch"):
        if not isinstance(getattr(driver, name), bool):
            raise SettingError(f"{name} must be True or False", got=repr(getattr(driver, name)))
    if not isinstance(driver.criterion, str):
        raise SettingError("a criterion is known by its name", got=repr(driver.criterion))
    GrowthSettings(candidates=driver.candidates, scales=driver.scales, compensate=driver.compensate, mode=driver.mode)
    if driver.cost is not None:
        Cost.named(driver.cost)
