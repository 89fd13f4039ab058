"""Learning one task after another without forgetting, by growth (Firefly, arXiv 2102.08574, its continual setting).

A task begins with all units that earlier tasks have made, which stay as they are to the bit, and a head of its own.
While it misses its target, units are set free: frozen ones are unlocked (a copy in the same slot, for this task alone),
new ones open new slots, and units part where all that reads them is the task's own. As a driver on an ordinary task it
grows a small network until it is good enough; :func:`archgraph.continual.learn` takes it through a sequence of tasks.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archgraph import rng
from archgraph.checks import check_whole
from archgraph.continual import Library, Plan, trimmed
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Origin, Recipe, Report, Train
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.search import Constraint, Driver, Setting, Steps, default_settings
from optimizers.continual.by_firefly import by_firefly
from optimizers.continual.by_gradient import by_gradient
from optimizers.continual.freed import Freed, Lesson
from optimizers.growth.asking import Asking

KINDS = ("unlock", "new", "split")
GROWERS = {"gradient": by_gradient, "firefly": by_firefly}


@dataclass(frozen=True)
class Continual(Driver):
    """Learn a task with what earlier tasks have learned, and grow until its target is met.

    Args:
        graph: the trunk, small, with the task's outputs: the network of the first task before it grows.
        target: when a task is learned: a bound on a metric of the validation split, ``"accuracy>=0.99"``.
        rounds: rounds of growth at most.
        added: units that are set free in a round.
        grower: how it is chosen what to set free: ``"gradient"``, by squared gradients of the numbers that may then
            move, or ``"firefly"``, by what the loss does over an overlay of all there is.
        kinds: what may be set free, ``"unlock"``, ``"new"`` and, by firefly, ``"split"``, as a tuple or with ``+``
            between them.
        cost: what a gain is divided by: None for a unit, ``"params"`` for the numbers that it adds.
        probes: new units that are tried out at every home; of these the best are taken.
        redraws: how often firefly draws anew in a round where nothing lowers the loss, before it falls back on squared
            gradients.
        tune: recipe of the trainings after the first of a task; the search's own by default.
        samples: training samples used for scores; None for all.
        state: ``"carry"`` keeps the optimizer's moments through growth, ``"fresh"`` starts them anew.
        trim: whether a task that has met its target leaves out units of others: by which share of itself the training
            loss may rise for that, the target being kept; None to use them all.
        library: what earlier tasks have learned.

    Raises:
        SettingError: when a value cannot be used, or the target can never be met.
        UnknownName: when there is no such kind or metric.
    """

    graph: Graph
    target: str = "accuracy>=0.99"
    rounds: int = 10
    added: int = 1
    grower: str = "gradient"
    kinds: str | tuple[str, ...] = ("unlock", "new")
    cost: str | None = None
    probes: int = 4
    redraws: int = 3
    tune: Recipe | None = None
    samples: int | None = None
    state: str = "carry"
    trim: float | None = None
    library: Library = field(default_factory=Library)

    def __post_init__(self) -> None:
        kinds = tuple(self.kinds.split("+")) if isinstance(self.kinds, str) else tuple(self.kinds)
        for kind in kinds:
            if kind not in KINDS:
                raise UnknownName.among("kind of growth", kind, KINDS)
        if not kinds:
            raise SettingError(
                "a task that cannot grow needs rounds=0", expected="some of unlock, new, split", got="no kinds"
            )
        object.__setattr__(self, "kinds", kinds)
        if self.grower not in GROWERS:
            raise UnknownName.among("grower", self.grower, GROWERS)
        if "split" in kinds and self.grower != "firefly":
            raise SettingError("the gradient of a split is zero", expected="grower='firefly'", got="kinds with split")
        for name, least in (("rounds", 0), ("added", 1), ("probes", 1), ("redraws", 0)):
            check_whole(name, getattr(self, name), least)
        for name, known in (("cost", (None, "params")), ("state", ("carry", "fresh"))):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} must be one of {known}", got=repr(getattr(self, name)))
        share = self.trim
        if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0.0):
            raise SettingError("trim must be a share of 0 or more, or None", got=repr(share))
        self._check_target(Constraint.parse(self.target))

    @staticmethod
    def _check_target(aim: Constraint) -> None:
        low, high = (0.0, 1.0) if aim.name.rpartition(".")[2] in ("accuracy", "error") else (0.0, float("inf"))
        if not low <= aim.bound <= high:
            raise SettingError(
                "the target can never be missed or never be met", expected=f"a bound from {low:g} to {high:g}", got=aim
            )

    @classmethod
    def settings(cls) -> dict[str, Any]:
        return {name: value for name, value in default_settings(cls).items() if name != "library"}

    # ------------------------------------------------------------------ the loop
    def steps(self, setting: Setting) -> Steps:
        aim = Constraint.parse(self.target)
        seed = rng.derive(setting.seed, "continual", len(self.library))
        network, plan = self.library.begin(self.graph, seed=seed)
        state, origin, recipe = None, Origin(note=str(plan)), setting.recipe
        for number in range(self.rounds + 1):
            frozen = self.library.frozen(network, plan)
            report = yield Train(network, recipe, rng.derive(seed, "train", number), state, origin, frozen=frozen)
            if report.network is None:
                return f"round {number} could not be evaluated: {report.failure}"
            missed = aim.violation(report.metrics)
            if missed == float("inf"):
                raise SettingError(
                    f"the target is on {aim.name!r}, which this task does not measure",
                    expected=f"one of {', '.join(sorted(report.metrics))}",
                    got=aim,
                )
            if missed == 0.0:
                yield from self._trim(report, plan, aim, number, seed, recipe)
                return f"{aim} is met after {number} rounds of growth"
            if number < self.rounds:
                grown = yield from self._round(report, plan, number + 1, seed)
                if isinstance(grown, str):
                    return f"{aim} is missed by {missed:.4g}: {grown}"
                network, plan, state = grown.task.network, grown.task.plan, grown.task.state
                origin = self._origin(report, grown, number)
                recipe = self.tune or setting.recipe
        return f"{aim} is missed by {missed:.4g} after {self.rounds} rounds of growth"

    def _trim(
        self, report: Report, plan: Plan, aim: Constraint, number: int, seed: int, recipe: Recipe
    ) -> Generator[Any, Any, None]:
        """Leave out what a task does not need of others, and have what is left recorded."""
        network: Network = report.network  # type: ignore[assignment]
        if self.trim is None or not self.library.chapters:
            return
        most = report.metrics["train.loss"] * (1.0 + self.trim)

        def good(metrics: Mapping[str, float]) -> bool:
            return aim.violation(metrics) == 0.0 and metrics["train.loss"] <= most

        smaller, fewer, moves = yield from trimmed(network, plan, self.library, good)
        if fewer != plan:
            origin = Origin(network.key, tuple(map(str, moves)), stage=number + 1, note=str(fewer))
            frozen = self.library.frozen(smaller, fewer)
            luck = rng.derive(seed, "train", number)
            yield Train(smaller, recipe.but(epochs=0), luck, None, origin, frozen=frozen)

    def _origin(self, report: Report, grown: Freed, number: int) -> Origin:
        parent: Network = report.network  # type: ignore[assignment]
        return Origin(
            parent.key,
            tuple(map(str, grown.task.moves)),
            stage=number + 1,
            predicted=grown.predicted,
            measured=grown.measured,
            note=str(grown.task.plan),
        )

    def _round(self, report: Report, plan: Plan, number: int, seed: int) -> Asking[Freed | str]:
        """Return the task after one round of growth, or why it does not grow."""
        network: Network = report.network  # type: ignore[assignment]
        state = report.state if self.state == "carry" else None
        lesson = Lesson(network, plan, state, self.library, number, rng.derive(seed, "probe", number))
        found = yield from GROWERS[self.grower](
            lesson,
            kinds=tuple(self.kinds),
            added=self.added,
            probes=self.probes,
            samples=self.samples,
            per_param=self.cost == "params",
            redraws=self.redraws,
        )
        return found
