"""BOHB's sampler: points where a density of good points is high and one of bad points is low.

Falkner, Klein and Hutter, *BOHB: Robust and Efficient Hyperparameter Optimization at Scale* (ICML 2018), after Bergstra
et al.'s tree-structured Parzen estimator; with its published settings, which are also those of the generators' paper
(Ru, Esperança and Carlucci, 2020). Put :class:`optimizers.SuccessiveHalving` around it for the other half of BOHB.

Letters: ``N`` points, ``D`` encoded columns, ``S`` samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgraph import rng
from archgraph.errors import SettingError, Unsatisfied
from archgraph.search import Setting
from archgraph.spaces import Space
from optimizers.proposing import History, Proposal, Proposer, Source, Told

Array = NDArray[np.float64]

NARROWEST = 1e-3
"""Bandwidth at least."""


@dataclass(frozen=True)
class KernelDensity(Proposer):
    """Propose points by two kernel densities, as BOHB does.

    Of the trainings at the highest fidelity that has enough of them the best ``good`` are one density, the others the
    other. Points are drawn near the good ones, and the one with the greatest ratio of densities is proposed.

    Args:
        space: where to search.
        candidates: how many trainings at most; None for as many as the budget allows.
        lookahead: trainings that are open at once.
        replicates: how often one point may be trained.
        explore: share of random proposals.
        good: share of trainings that count as good.
        samples: points drawn for each proposal.
        widening: factor of the bandwidths when points are drawn.

    Raises:
        SettingError: when a value cannot be used.
    """

    replicates: int = 3
    explore: float = 1.0 / 3.0
    good: float = 0.15
    samples: int = 64
    widening: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("explore", "good"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingError(f"{name} is a share", expected="0 to 1", got=getattr(self, name))
        if self.samples < 1 or not self.widening > 0.0:
            raise SettingError("samples and widening must be positive", got=(self.samples, self.widening))

    def source(self, setting: Setting) -> Source:
        return KernelSource(self, self.space, setting)


class KernelSource(Source):
    """Proposes points by two kernel densities.

    Args:
        driver: its settings.
        space: where to search.
        setting: of the search.
    """

    def __init__(self, driver: KernelDensity, space: Space, setting: Setting) -> None:
        self.driver, self.space, self.epochs = driver, space, setting.recipe.epochs
        self._encoded: dict[int, Array] = {}

    def propose(self, history: History) -> Proposal | None:
        densities = self.densities(history)
        if densities is None or rng.derive(history.seed, "explore") < self.driver.explore * (1 << 63):
            return Proposal(self.space.draw(rng.derive(history.seed, "draw")), note="random")
        good, bad = densities
        numbers = np.random.default_rng(history.seed)
        points = good.draw(numbers, self.driver.samples, self.driver.widening)
        for place in np.argsort(bad.log(points) - good.log(points), kind="stable"):
            try:
                return Proposal(self.space.decode(points[place]), note="densities")
            except Unsatisfied:
                continue
        return Proposal(self.space.draw(rng.derive(history.seed, "draw")), note="random")

    def densities(self, history: History) -> tuple[Density, Density] | None:
        """Return the densities of good and of bad points; None while no fidelity has enough trainings of each.

        There have to be as many of each as there are columns, plus one. Of several objectives the first counts; what
        failed or breaks a constraint is worse than all others.
        """
        rows = list({(one.number, self._share(one)): one for one in (*history.told, *history.heard)}.values())
        for share in sorted({self._share(one) for one in rows}, reverse=True):
            level = sorted((one for one in rows if self._share(one) == share), key=lambda one: one.rank)
            least = len(self.space.columns) + 1
            good, bad = (max(least, math.floor(part * len(level))) for part in (self.driver.good, 1 - self.driver.good))
            if len(level) >= 2 * least:
                X = np.stack([self._vector(one) for one in level])
                return Density.of(X[:good]), Density.of(X[-min(bad, len(level) - good) :])
        return None

    def _share(self, one: Told) -> float:
        return one.report.fidelity.share(self.epochs)

    def _vector(self, one: Told) -> Array:
        if one.number not in self._encoded:
            self._encoded[one.number] = self.space.encode(one.values)
        return self._encoded[one.number]


@dataclass(frozen=True, eq=False)
class Density:
    """A mixture of Gaussians, one a point, with a bandwidth a column.

    Args:
        centres: [N, D] points in the unit cube.
        widths: [D] bandwidths.
    """

    centres: Array
    widths: Array

    @classmethod
    def of(
        cls,
        X: Array,  # [N, D]
    ) -> Density:
        """Return the density of points, with the normal-reference bandwidths ``1.06 sigma N^(-1 / (4 + D))``."""
        count, columns = X.shape
        widths = 1.06 * X.std(0) * count ** (-1.0 / (4 + columns))
        return cls(X, np.maximum(widths, NARROWEST))

    def log(
        self,
        X: Array,  # [S, D]
    ) -> Array:  # [S]
        """Return the logarithm of the density at points."""
        z = (X[:, None, :] - self.centres) / self.widths  # [S, N, D]
        parts = -0.5 * np.square(z).sum(-1) - np.log(self.widths * math.sqrt(2.0 * math.pi)).sum()
        return np.logaddexp.reduce(parts, axis=1) - math.log(len(self.centres))

    def draw(self, numbers: np.random.Generator, count: int, widening: float) -> Array:  # [S, D]
        """Draw points from wider Gaussians, each cut off at the faces of the cube."""
        from scipy.stats import truncnorm

        means = self.centres[numbers.integers(len(self.centres), size=count)]
        widths = widening * self.widths
        return np.asarray(
            truncnorm.ppf(numbers.random(means.shape), -means / widths, (1 - means) / widths, means, widths)
        )
