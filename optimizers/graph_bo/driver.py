"""Bayesian optimisation over graphs themselves: a Gaussian process that compares architectures layer by layer.

Ru, Wan, Dong and Osborne, *Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman
Kernels* (ICLR 2021), in closed form, with all variances fitted by the true marginal likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from archgraph.errors import SettingError, SpaceError
from archgraph.features.colours import DIRECTIONS
from archgraph.search import Session, Setting
from optimizers.graph_bo.kernels import read
from optimizers.graph_bo.source import GraphSource
from optimizers.graph_bo.usual import usual_kernel
from optimizers.proposing import PATIENCE, Proposer, Proposing, Start, check_count, points


@dataclass(frozen=True)
class GraphBO(Proposer):
    """Propose the graph whose training is expected to be worth most, as judged by graphs that were trained.

    It begins with random graphs. From then on a Gaussian process is fitted to the order of all trainings (normal
    scores: how much worse a bad one is tells little), which knows graphs by the Weisfeiler-Lehman colours of the layers
    that matter, by descriptors, by the encoded values of the space, or by sums and products of these. The graph is
    proposed that maximises the expected improvement, among all points of a small space, or else in a pool of mutations
    of the best, of crossovers and of random ones: so any space will do, a generator, of which the sampled graph counts
    and not its parameters, and the :class:`~archgraph.spaces.Neighbourhood` of a user's graph as well. Several
    objectives, constraints and pending graphs are weighed by quasi-random samples (qLogNEI, qLogNEHVI); failures make
    graphs that are like them less likely to be proposed.

    The findings of the study name the trained graph with the best expectation, and which neighbourhoods of layers
    mattered, for the better or the worse.

    Args:
        space: where to search.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: trainings that are open at once, whatever the number of workers, which would be idle beyond it. A
            suggestion knows the reports on all but the last ``lookahead - 1``; results depend on this number.
        replicates: how often one graph may be trained.
        initial: random graphs to begin with.
        kernel: how graphs are compared: ``"wl"``, ``"wl-oa"`` (histogram intersection), ``"descriptors"``,
            ``"values"``, or sums and products: ``"wl+descriptors"``, ``"wl*values"``. By default ``"wl"``; where
            layers differ in width, which colours do not tell, ``"wl+descriptors"``. Where graphs are sketches that do
            not show all of what a point says, or equal graphs are trained with very different luck, add ``values``.
        depth: of the colours, 0 for labels alone.
        direction: of the neighbours that make a colour: ``"both"``, ``"in"`` or ``"out"``.
        pool: graphs that are looked at for a suggestion.
        whole: number of points up to which all of a space are looked at instead. Their graphs are built once.
        thrift: over how many trainings after the first graphs are preferred that cost less: the improvement is divided
            by the expected multiply-accumulates to a power that falls from 1 to 0; 0 for no such preference.
        start: points to begin with, before the random ones: named parameters; graphs, where the space has few points or
            is a neighbourhood; trials of earlier studies, or whole studies, of which the best points are taken.

    Raises:
        SettingError: when a value cannot be used.
        UnknownName: when the kernel has an unknown part.
        SpaceError: when ``start`` has what is no point of the space, or it has no encoding that the kernel needs.
    """

    initial: int = 10
    kernel: str = ""
    depth: int = 2
    direction: str = "both"
    pool: int = 200
    whole: int = 20_000
    thrift: int = 0
    start: tuple[Start, ...] = ()

    usual: ClassVar[str] = "hierarchical"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("initial", 1), ("depth", 0), ("pool", 1), ("whole", 0), ("thrift", 0)):
            check_count(name, getattr(self, name), least)
        if self.direction not in DIRECTIONS:
            raise SettingError("unknown direction of neighbours", expected=" or ".join(DIRECTIONS), got=self.direction)
        parts = {part for term in read(self.kernel or "wl") for part in term}
        if "values" in parts and not self.space.columns:
            raise SpaceError(
                "points of the space have no numbers by which they could be compared",
                expected="a kernel without values",
                got=self.kernel,
            )
        object.__setattr__(self, "start", points(self.space, self.start))  # a study may grow, points stay

    @property
    def given(self) -> tuple[Mapping[str, Any], ...]:
        """Points to begin with, named parameters of each."""
        return points(self.space, self.start)

    @property
    def size(self) -> int:
        """Number of graphs before the first suggestion."""
        return int(min(len(self.start) + self.initial, self.space.size))

    @cached_property
    def compared_by(self) -> str:
        """The kernel."""
        return self.kernel or usual_kernel(self.space)

    @property
    def looks_at_all(self) -> bool:
        """Whether all points of the space are looked at."""
        return not self.space.random and self.space.size <= self.whole

    def source(self, setting: Setting) -> GraphSource:
        return GraphSource(self, setting)

    def begin(self, setting: Setting) -> Session:
        session = super().begin(setting)
        assert isinstance(session, Proposing)
        if self.space.random:  # a point stands for many graphs, and each is its own
            session.replicates = max(self.replicates, PATIENCE)
        return session
