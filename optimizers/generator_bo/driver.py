"""Bayesian optimisation of network generators: a Gaussian process over the parameters of a space.

Ru, Esperança and Carlucci, *Neural Architecture Generator Optimization* (NeurIPS 2020), with the surrogate and the
acquisitions of BoTorch in place of BOHB and of a Bayesian neural network. In the words of the paper: do not search for
an architecture, search for the few parameters of a random generator of architectures, and let every evaluation be of
another network that it draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from archgraph.errors import DataError, SettingError, SpaceError
from archgraph.search import Goal, Session, Setting, Study
from optimizers.generator_bo.lessons import Lessons, history_of
from optimizers.generator_bo.source import GeneratorSource
from optimizers.proposing import Proposer, Proposing, Start, check_count, points

PRICES = ("macs", "seconds")


@dataclass(frozen=True)
class GeneratorBO(Proposer):
    """Propose the point of a space whose training is expected to be worth most.

    It begins with a design of scrambled Sobol points. From then on a Gaussian process is fitted to all trainings, and
    the point is proposed that maximises the expected improvement (qLogNEI), or that of the hypervolume where the study
    has several objectives (qLogNEHVI), with what is pending taken into account. A point may be proposed again: another
    network is drawn there, and where enough points have such replicates the noise is estimated place by place.
    Constraints of the study are modelled, and so are failures: both make a point less likely to be proposed. Where a
    driver such as :class:`optimizers.SuccessiveHalving` trains its candidates in stages, all stages are learnt from,
    and points are valued for the whole recipe.

    What the study calls its best is the best observation. Where there is noise that is a lucky one: ``study.stopped``
    names the point with the best expectation, from which ``final`` networks are drawn at the end, and the parameters
    that mattered, by the lengths over which the surrogate changes (of the whole range; short ones matter);
    :meth:`lessons` gives them as values.

    Args:
        space: where to search.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: trainings that are open at once, whatever the number of workers, which would be idle beyond it. A
            suggestion knows the reports on all but the last ``lookahead - 1``; results depend on this number.
        replicates: how often one point may be trained.
        initial: points of the design; by default twice as many as there are parameters, plus two, and ten when fewer
            than 40 candidates are wanted.
        repeats: trainings of every point of the design; with two or more every fourth suggestion is a replicate, too,
            so that the noise can be told place by place.
        explore: share of suggestions that are random points, which no wrong surrogate can prevent.
        thrift: over how many trainings after the design points are preferred that cost less: the improvement is divided
            by the expected cost to a power that falls from 1 to 0; 0 for no such preference.
        price: what a training costs: ``"macs"``, or ``"seconds"``, which are another story on another machine.
        final: how many of the candidates are drawn from the point of best expectation at the end; needs ``candidates``.
        objectives: what to search for, with commas between; the study's objectives by default.
        constraints: what to keep, with commas between; the study's by default.
        start: points to begin with, before the design: named parameters, one mapping each; graphs, where the space has
            few points and draws none; trials of earlier studies, or whole studies, of which the best points are taken.

    Raises:
        SettingError: when a value cannot be used.
        SpaceError: when ``start`` has what is no point of the space, or the space has no parameters as numbers.
    """

    replicates: int = 3
    initial: int | None = None
    repeats: int = 1
    explore: float = 0.05
    thrift: int = 0
    price: str = "macs"
    final: int = 0
    objectives: str = ""
    constraints: str = ""
    start: tuple[Start, ...] = ()

    usual: ClassVar[str] = "hierarchical"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("initial", 1), ("repeats", 1), ("thrift", 0), ("final", 0)):
            check_count(name, getattr(self, name), least, missing=name == "initial")
        if isinstance(self.explore, bool) or not isinstance(self.explore, int | float) or not 0 <= self.explore <= 1:
            raise SettingError("explore is a share of suggestions", expected="0 <= explore <= 1", got=self.explore)
        if self.price not in PRICES:
            raise SettingError("unknown price of a training", expected=" or ".join(PRICES), got=repr(self.price))
        if self.final and (self.candidates is None or self.candidates <= self.final):
            raise SettingError(
                "final networks are the last of the candidates", expected=f"more than {self.final}", got=self.candidates
            )
        if self.repeats > self.replicates:
            raise SettingError("a point may not be trained so often", expected=f"replicates >= {self.repeats}")
        object.__setattr__(self, "start", points(self.space, self.start))  # a study may grow, points stay
        if not self.space.columns:
            raise SpaceError(
                "points of the space have no numbers by which they could be compared",
                got=repr(self.space),
                hint="GraphBO compares graphs, Evolution and LocalSearch need no comparison",
            )
        for text in (self.objectives, self.constraints):
            self.goal(Goal.of("loss")) if text else None

    @property
    def given(self) -> tuple[Mapping[str, Any], ...]:
        """Points to begin with, named parameters of each."""
        return points(self.space, self.start)

    @property
    def size(self) -> int:
        """Number of points of the design, with those to begin with."""
        own = 2 * (len(self.space.domains) + 1)
        if self.candidates is not None and self.candidates < 40:
            own = min(own, 10)
        own = own if self.initial is None else self.initial
        return int(min(len(self.start) + own, self.space.size))

    def goal(self, goal: Goal) -> Goal:
        """Return what is searched for in a study with such a goal."""
        aims = self.objectives or goal.objectives
        return Goal.of(aims, self.constraints or goal.constraints)

    def lessons(self, study: Study) -> Lessons:
        """Return what a study over the space has taught: the point of best expectation, and what mattered.

        Args:
            study: of this driver, or of any other that has searched the space.

        Raises:
            DataError: when none of its trainings at points of the space has succeeded.
        """
        setting, history = history_of(study, self.goal(study.goal))
        found = self.source(setting).lessons(history)
        if found is None:
            raise DataError(f"study {study.name!r} teaches nothing: no training at a point of a space has succeeded")
        return found

    def source(self, setting: Setting) -> GeneratorSource:
        return GeneratorSource(self, setting)

    def begin(self, setting: Setting) -> Session:
        setting = replace(setting, goal=self.goal(setting.goal))
        return Proposing(
            self.source(setting),
            self.space,
            setting,
            candidates=self.candidates,
            lookahead=self.lookahead,
            replicates=self.replicates + self.final,
        )
