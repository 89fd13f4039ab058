"""The loop that drivers which grow a trained network share: train, grow, train on, until nothing helps."""

from __future__ import annotations

from abc import abstractmethod

from archgraph import rng
from archgraph.evaluation import Origin, Recipe, Report, Train
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.search import Driver, Setting, Steps
from optimizers.growth.allowance import Allowance
from optimizers.growth.asking import Asking
from optimizers.growth.rates import recipe_after
from optimizers.growth.stage import Grown


class Stages(Driver):
    """A driver that grows in stages; subclasses are frozen dataclasses with these fields, and say what a stage does.

    Args:
        graph: where to start: a graph, or a network that is trained on.
        growth: what a stage adds, as a fraction.
        stages: stages at most; None for as many as help and the budget allows.
        tune: recipe of the trainings after the first; the search's own by default.
        cost: what limits count; None for units.
        added: the most that a stage may add, in the unit of the cost; instead of ``growth``.
        ceiling: the most that the network may cost.
        rate: of trainings after the first, see :mod:`optimizers.growth.rates`.
        scratch: whether the last graph is also trained from fresh weights, for as many epochs as all trainings before.
    """

    graph: Graph | Network
    growth: float
    stages: int | None
    tune: Recipe | None
    cost: str | None
    added: float | None
    ceiling: float | None
    rate: str
    scratch: bool

    @abstractmethod
    def stage(self, report: Report, number: int, seed: int) -> Asking[list[Grown] | str]:
        """Return the networks that a stage may go on with, or why there is none.

        All of them are trained, and the one with the lowest training loss goes on.

        Args:
            report: on the training before; it has a network.
            number: of the stage, from 1.
            seed: of all stages.
        """

    def steps(self, setting: Setting) -> Steps:
        self.allowance.check(self.graph if isinstance(self.graph, Graph) else self.graph.graph)
        seed, recipe = rng.derive(setting.seed, "growth"), setting.recipe
        report = yield Train(self.graph, recipe, seed=rng.derive(seed, "train", 0))
        stage, epochs, reason = 0, recipe.epochs, ""
        while report.network is not None and (self.stages is None or stage < self.stages):
            found = yield from self.stage(report, stage + 1, seed)
            if isinstance(found, str):
                reason = found
                break
            stage += 1
            recipe = recipe_after(self.rate, self.tune or setting.recipe, recipe)
            own = rng.derive(seed, "train", stage)
            reports = yield [Train(one.network, recipe, own, one.state, one.origin) for one in found]
            report = min(reports, key=lambda one: one.metrics["train.loss"] if one.ok else float("inf"))
            epochs += recipe.epochs * len(found)
        if report.network is None and report.ok:
            return "nothing was trained that can be grown: a table has no weights"
        if report.network is None:
            return f"stage {stage} could not be evaluated: {report.failure}"
        if self.scratch and stage:
            again = setting.recipe.but(epochs=epochs)
            origin = Origin(stage=stage, note=f"from scratch, {epochs} epochs")
            yield Train(report.network.graph, again, rng.derive(seed, "scratch"), origin=origin)
        return reason or f"all {stage} stages are done"

    @property
    def allowance(self) -> Allowance:
        """What stages may add."""
        return Allowance(self.growth, self.cost, self.added, self.ceiling)
