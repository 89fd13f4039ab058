"""Growth by new units that a criterion proposes, any criterion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from archgraph import rng
from archgraph.errors import DataError, EvaluationFailed, SettingError
from archgraph.evaluation import Origin, Recipe, Report, Score
from archgraph.graph import Graph, around
from archgraph.metrics import units as hidden_units
from archgraph.net import Network, inherit_state
from archgraph.scoring import SiteScore
from archgraph.scoring.additions import Additions
from archgraph.scoring.growth_settings import GrowthSettings
from optimizers.growth import Site, choose
from optimizers.growth.asking import Asking, training_loss, with_all_statistics
from optimizers.growth.checks import SOLVERS, check, check_share
from optimizers.growth.reasons import left_out
from optimizers.growth.stage import Grown
from optimizers.growth.stages import Stages
from optimizers.widening.factors import FactorSearch
from optimizers.widening.insertion import Insertion


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
        deeper: whether a stage also tries a layer, the one of the longest gradient (:class:`optimizers.Sensli`); what
            trains to the lower loss goes on.
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
    deeper: bool = False
    scratch: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.criterion, str):
            raise SettingError("a criterion is known by its name", got=repr(self.criterion))
        check_share(self.growth)
        switches = ("line_search", "deeper")
        check(
            self,
            positive=("factor",),
            whole={"samples": 1, "widest": 1},
            choices={"solver": SOLVERS},
            switches=switches,
        )
        GrowthSettings(candidates=self.candidates, scales=self.scales, compensate=self.compensate, mode=self.mode)

    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        wider = yield from self._wider(report, number, seed)
        if not self.deeper:
            return wider
        limits = self.allowance.limits(self._graph_of(report), hidden_units(self._graph_of(report)))
        own = Insertion(cost=limits["cost"], added=limits["added"], settled=self.mode == "eval", state=self.state)
        deeper = yield from own.stage(report, number, seed)
        grown = [one for part in (wider, deeper) if not isinstance(part, str) for one in part]
        return grown or f"{wider}; {deeper}"

    def _wider(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
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
            found = yield from FactorSearch(additions, before, self.factor, self.line_search).best()
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

    def _graph_of(self, report: Report) -> Graph:
        assert report.network is not None
        return report.network.graph

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


def _sites(graph: Graph, scores: Mapping[str, SiteScore]) -> list[Site]:
    """Return the proposed units as candidates for the choice, which ranks by what each takes from the loss."""
    nothing = torch.zeros(2, 0)
    found = []
    for node, score in scores.items():
        unit = int(around(graph, node).free(node)[-1])
        for number, index in enumerate(score.index.tolist()):
            found.append(Site(node, unit, index, (0.5, 0.5), nothing, row=1.0, fresh=number))
    return found
