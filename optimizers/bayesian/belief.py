"""What a search believes after its observations: a fitted surrogate, and what follows from it.

Letters: ``N`` observations, ``D`` columns, ``M`` objectives, ``C`` constraints, ``Q`` points asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from optimizers.bayesian.cube import Cube
from optimizers.bayesian.hyperparameters import Hyperparameters, fit
from optimizers.bayesian.noise import smoothed_noise
from optimizers.bayesian.observations import Observations
from optimizers.bayesian.outcomes import Scale, Standard, reference_point
from optimizers.bayesian.surrogate import Surrogate
from optimizers.bayesian.trainable import Trainable

if TYPE_CHECKING:
    from optimizers.bayesian.acquisition import Acquisition


@dataclass(frozen=True, eq=False)
class Belief:
    """A surrogate of objectives and constraints, fitted to observations.

    Args:
        data: the observations.
        scales: of the objectives.
        standard: what standardises outcomes: objectives, then the constraints' slack.
        surrogate: of the standardised outcomes.
        reference: [M] from which the hypervolume of outcomes counts, in their scales.
        noise: [N, M + C] variance of the noise of every observation where replicates tell it, else None.
    """

    data: Observations
    scales: tuple[Scale, ...]
    standard: Standard
    surrogate: Surrogate
    reference: Tensor
    noise: Tensor | None

    @classmethod
    def of(cls, data: Observations, start: tuple[Hyperparameters, ...] | None = None) -> Self:
        """Fit the surrogate.

        Args:
            data: at least one observation.
            start: an earlier fit to start from.
        """
        first = max(1, data.settled)
        scales = tuple(Scale.of(data.costs[:first, place]) for place in range(data.costs.shape[1]))
        Y = torch.stack([scale.outcome(data.costs[:, place]) for place, scale in enumerate(scales)], 1)
        everything = torch.cat([Y, data.slack], 1)
        standard = Standard.of(everything)
        Z, inputs = standard(everything), data.inputs
        noise = smoothed_noise(inputs, Z, data.point)
        if start is not None and len(start[0].lengths) != inputs.shape[1]:
            start = None  # the first of several fidelities
        surrogate = Surrogate.build(inputs, Z, fit(inputs, Z, noise, start=start), noise)
        return cls(data, scales, standard, surrogate, reference_point(Y[:first]), noise)

    @property
    def objectives(self) -> int:
        """How many objectives there are, M."""
        return len(self.scales)

    def acquisition(self, cube: Cube, seed: int, *, thrift: float = 0.0) -> Acquisition:
        """Return what next evaluations are expected to be worth.

        Args:
            cube: whose points are asked about.
            seed: of the quasi-random samples.
            thrift: the exponent of a point's expected cost by which its improvement is divided.
        """
        from optimizers.bayesian.acquisition import Acquisition, improvement

        data = self.data
        inner = improvement(
            self.surrogate.model,
            self._asked(data.places),
            objectives=self.objectives,
            standard=self.standard,
            reference=((self.reference - self.standard.centre[: self.objectives]) / self._spread),
            pending=self._asked(data.awaited) if len(data.awaited) else None,
            seed=seed,
        )
        terms = []
        trainable = Trainable.learn(data.places, data.bad)
        if trainable is not None:
            terms.append(trainable.log_probability)
        if thrift > 0.0:
            price = Price.learn(data)
            terms.append(lambda X: -thrift * price(X))
        starts = cube.compress(self._best())
        return Acquisition(inner, cube, terms=terms, context=data.context, starts=starts)

    def expected(
        self,
        X: Tensor,  # [Q, D]
    ) -> tuple[Tensor, Tensor]:  # [Q, M + C], [Q, M + C]
        """Return mean and standard deviation of outcomes in their scales, then of slack, for the whole recipe."""
        mean, variance = self.surrogate.moments(self._asked(X))
        return self.standard.back(mean), variance.sqrt() * self.standard.spread

    @property
    def lengths(self) -> Tensor:  # [M, D]
        """Over what part of a column's range an objective changes: short ones are columns that matter."""
        fitted = self.surrogate.hyperparameters[: self.objectives]
        return torch.stack([one.lengths[: self.data.X.shape[1]] for one in fitted])

    def recommended(self) -> Tensor:  # [D]
        """Return the observed point with the best expectation of the first objective.

        Only points that are expected to keep the constraints count, if there are any. The best observation is a lucky
        one where there is noise; this is not.
        """
        places = self.data.places
        mean, _ = self.expected(places)
        broken = mean[:, self.objectives :].clamp_min(0.0).div(self.standard.spread[self.objectives :]).sum(1)
        score = torch.where(broken <= broken.min(), mean[:, 0], -torch.inf)
        return places[int(score.argmax())]

    @property
    def _spread(self) -> Tensor:
        return self.standard.spread[: self.objectives]

    def _asked(self, X: Tensor) -> Tensor:
        return torch.cat([X, X.new_tensor(self.data.context).expand(len(X), -1)], 1)

    def _best(self, count: int = 5) -> Tensor:
        """Return the points that are expected to be best in one of the objectives."""
        places = self.data.places
        mean, _ = self.expected(places)
        top = mean[:, : self.objectives].topk(min(count, len(places)), 0).indices.flatten().unique()
        return places[top]


@dataclass(frozen=True, eq=False)
class Price:
    """The logarithm of what a training costs, as a surrogate has learnt it.

    Args:
        surrogate: of the standardised logarithm.
        centre: its mean.
        spread: its standard deviation.
        context: further columns: the whole recipe.
    """

    surrogate: Surrogate
    centre: float
    spread: float
    context: tuple[float, ...]

    @classmethod
    def learn(cls, data: Observations) -> Self:
        """Learn from what trainings cost; where nobody knows it, all cost the same."""
        known = torch.isfinite(data.spent) & (data.spent > 0.0)
        logs = torch.where(known, data.spent, 1.0).log()
        logs = torch.where(known, logs, logs[known].mean() if known.any() else 0.0)[:, None]
        standard, inputs = Standard.of(logs), data.inputs
        Y = standard(logs)
        built = Surrogate.build(inputs, Y, fit(inputs, Y))
        return cls(built, float(standard.centre), float(standard.spread), data.context)

    def __call__(
        self,
        X: Tensor,  # [..., D]
    ) -> Tensor:  # [...]
        """Return the expected logarithm; differentiable."""
        asked = torch.cat([X, X.new_tensor(self.context).expand(*X.shape[:-1], -1)], -1)
        return self.centre + self.spread * self.surrogate.model.posterior(asked[..., None, :]).mean[..., 0, 0]
