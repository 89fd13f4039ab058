"""Search for networks that are trained by natural gradient, together with how: architecture and optimizer as one point.

The specification of this driver and its optimizer is Izadi, Fang, Stevenson, Lin, arXiv 2008.09624, whose settings were
chosen by hand; what a damping is good for depends on the network, so both are searched at once. The search begins with
what a hand would choose, and most of its suggestions are steps away from the best so far; others come from another
driver over spaces: a draw from all of a space of graph networks is mostly worse than what one begins with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from archgraph.errors import SettingError, SpaceError
from archgraph.evaluation import Recipe
from archgraph.graph import Graph
from archgraph.registry import DRIVERS
from archgraph.search import Setting, Study, Trial
from archgraph.spaces import Choose, Domain, Float, Ordered, Space, Value
from optimizers.proposing import Around, Proposer, Source, Start, best, points

OPTIMIZER = "natural-gradient"
PREFIX = "optimizer."
"""Of the names of the optimizer's settings among the parameters of a point."""

SETTINGS: Mapping[str, Domain] = MappingProxyType(
    {
        "lr": Float(0.03, 0.5, log=True),
        "damping": Float(1e-3, 3e-2, log=True),
        "kl_clip": Float(3e-3, 1e-1, log=True),
        "momentum": Ordered((0.5, 0.7, 0.8, 0.9, 0.95)),
        "interval": Ordered((1, 2, 5, 10)),
        "weight_decay": Float(1e-4, 1e-2, log=True),
    }
)
"""What is searched of the optimizer, around what the measurements of its specification found."""
USUAL: Mapping[str, Value] = MappingProxyType(
    {"lr": 0.1, "damping": 1e-2, "kl_clip": 1e-2, "momentum": 0.9, "interval": 5, "weight_decay": 5e-4}
)
"""What is begun with where the recipe says nothing else."""
OF_THE_RECIPE = ("lr", "weight_decay")


@dataclass(frozen=True)
class Joint(Space):
    """The points of a space, each with settings of its training; graphs depend on the former alone.

    Args:
        space: of graphs.
        settings: domains of the settings, by name.

    Raises:
        SpaceError: when the space has a parameter of such a name.
    """

    space: Space
    settings: Mapping[str, Domain]

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", dict(self.settings))  # which can be copied
        both = [name for name in self.space.domains if name in self._prefixed]
        if both:
            raise SpaceError(f"parameter {both[0]!r} is of the space and of the optimizer", got=", ".join(both))

    @cached_property
    def _prefixed(self) -> Mapping[str, Domain]:
        return {PREFIX + name: domain for name, domain in self.settings.items()}

    @property
    def random(self) -> bool:  # type: ignore[override]
        return self.space.random

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        return MappingProxyType({**self.space.domains, **self._prefixed})

    def resolve(self, choose: Choose) -> dict[str, Value]:
        chosen = self.space.resolve(choose)
        return chosen | {name: choose(name, domain) for name, domain in self._prefixed.items()}

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        own = {name: value for name, value in values.items() if name in self._prefixed}
        return self.space.merge(self.of_the_graph(values)) | own

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        return self.space.build(self.of_the_graph(self.canonical(values)), seed)

    @property
    def usual(self) -> Mapping[str, Value] | None:
        known = self.space.usual
        return None if known is None else self.whole(known, USUAL)

    def whole(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a point's values, with settings of the training where it has none."""
        return {PREFIX + name: settings[name] for name in self.settings} | dict(values)

    @property
    def size(self) -> float:
        found = self.space.size
        for domain in self.settings.values():
            found *= domain.size
        return found

    def of_the_graph(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of a point's values that the graph depends on."""
        return {name: value for name, value in values.items() if name not in self._prefixed}

    def of_the_training(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the training, by their names without the prefix."""
        return {name.removeprefix(PREFIX): value for name, value in values.items() if name in self._prefixed}


@dataclass(frozen=True)
class NaturalGradientSearch(Proposer):
    """Search a space of networks and the settings of natural gradient at once, each candidate trained by it.

    Epochs, schedule and all else are those of the study's recipe; options of natural gradient that the recipe gives and
    the search does not look for are kept. A point has the parameters of the space and those of the optimizer, the
    latter by names such as ``optimizer.damping``.

    Args:
        space: of networks; graph neural networks by default on the command line. It becomes the joint space.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: trainings that are open at once.
        replicates: how often one point may be trained.
        by: name of a driver over spaces, with its usual settings, that suggests points.
        near: probability that a suggestion is a step away from one of the best so far, and not that driver's.
        start: points to begin with, as :class:`optimizers.GeneratorBO` takes them; where they have no settings of the
            optimizer, these are the recipe's, or usual. By default the usual point of the space, if it has one.
        searched: which settings of the optimizer are looked for, with commas between, of :data:`SETTINGS`; others are
            those of the recipe, or usual. All by default; none at all for ``"-"``.

    Raises:
        SettingError: when there is no such driver or setting, or ``near`` is no probability.
        SpaceError: when ``start`` has what is no point of the space.
    """

    by: str = "optuna"
    near: float = 0.75
    start: tuple[Start, ...] | None = None
    searched: str = ""

    usual: ClassVar[str] = "gnn"

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = DRIVERS.get(self.by)
        if not (isinstance(kind, type) and issubclass(kind, Proposer)) or issubclass(kind, NaturalGradientSearch):
            raise SettingError(f"driver {self.by!r} suggests no points of a space", hint="by=optuna")
        unknown = [name for name in self._searched if name not in SETTINGS]
        if unknown:
            raise SettingError(
                f"natural gradient has no setting {unknown[0]!r} to be searched", expected=", ".join(SETTINGS)
            )
        if not isinstance(self.space, Joint):
            chosen = {name: SETTINGS[name] for name in SETTINGS if name in self._searched}
            object.__setattr__(self, "space", Joint(self.space, chosen))
        if isinstance(self.near, bool) or not isinstance(self.near, int | float) or not 0.0 <= self.near <= 1.0:
            raise SettingError("near is a probability", expected="0 to 1", got=repr(self.near))
        if self.start is not None:
            object.__setattr__(self, "start", self._begin(USUAL))  # a study may grow, points stay

    @property
    def _searched(self) -> tuple[str, ...]:
        named = tuple(one.strip() for one in self.searched.split(",") if one.strip())
        return tuple(SETTINGS) if not named else () if named == ("-",) else named

    def source(self, setting: Setting) -> Source:
        kind = DRIVERS.get(self.by)
        suggester: Proposer = kind(self.space, candidates=self.candidates, lookahead=self.lookahead)
        return Around(self.space, suggester.source(setting), self._begin(own_settings(setting.recipe)), self.near)

    def _begin(self, settings: Mapping[str, Any]) -> tuple[dict[str, Value], ...]:
        """Return the points to begin with.

        Args:
            settings: of the optimizer, for points that have none.
        """
        joint = self.space
        assert isinstance(joint, Joint)
        if self.start is None:
            usual = joint.space.usual
            return () if usual is None else points(joint, (joint.whole(usual, settings),))
        meant: list[Mapping[str, Any]] = []
        for one in self.start:
            trials = best(one) if isinstance(one, Study) else [one] if isinstance(one, Trial) else []
            meant += [trial.values for trial in trials] or (
                [one] if isinstance(one, Mapping) else list(points(joint.space, (one,)))
            )
        return points(joint, [joint.whole(values, settings) for values in meant])

    def recipe(self, values: Mapping[str, Any], setting: Setting) -> Recipe:
        assert isinstance(self.space, Joint)
        return natural(setting.recipe, self.space.of_the_training(values))


def own_settings(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe for natural gradient says of what may be searched, where it may be so, and what is usual."""
    if recipe.optimizer != OPTIMIZER:
        return dict(USUAL)
    told = {**dict(recipe.options), "lr": recipe.lr, "weight_decay": recipe.weight_decay}
    return {name: told[name] if SETTINGS[name].find(told.get(name)) is not None else USUAL[name] for name in USUAL}


def natural(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe that trains by natural gradient.

    Args:
        recipe: all else; its optimizer's options and learning rate are kept if that is natural gradient, too.
        settings: of the optimizer, by name.
    """
    same = recipe.optimizer == OPTIMIZER
    own = {name: value for name, value in settings.items() if name in OF_THE_RECIPE}
    options = {name: value for name, value in settings.items() if name not in OF_THE_RECIPE}
    kept = dict(recipe.options) if same else {}
    return recipe.but(optimizer=OPTIMIZER, **({} if same else {"lr": USUAL["lr"]}) | own, options={**kept, **options})
