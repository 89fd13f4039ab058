"""The acquisition: what a next evaluation is expected to be worth, as one BoTorch acquisition function.

One objective: qLogNEI, several: qLogNEHVI (Ament, Daulton, Eriksson, Balandat and Bakshy, *Unexpected Improvements to
Expected Improvement for Bayesian Optimization*, NeurIPS 2023), which integrate over the noise of what was observed and
over what is pending. To these logarithms are added that of the probability that a point can be trained, and less a
multiple of the logarithm of its cost.

Letters: ``N`` observations, ``D`` columns, ``P`` dimensions, ``M`` objectives, ``C`` constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.bayesian.alone import load_botorch
from optimizers.bayesian.cube import Cube
from optimizers.bayesian.outcomes import Standard

load_botorch()  # before the imports below, which warn otherwise

# ruff: noqa: E402
from botorch.acquisition import AcquisitionFunction, multi_objective
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler

__all__ = ["SAMPLES", "Acquisition", "improvement"]

SAMPLES, SAMPLES_OF_SEVERAL = 64, 32
"""Quasi-random samples of the posterior, of one objective and of each of several, where they are dear."""

Term = Callable[[Tensor], Tensor]
"""Adds to an acquisition: from points [..., D] to numbers [...]."""

# BoTorch would compile a C++ kernel at the first use: seconds of waiting for a tenth of the time, and other last digits
# where there is no compiler.
logei._load_attempted = True


def improvement(
    model: SingleTaskGP,
    baseline: Tensor,  # [N, D]
    *,
    objectives: int,
    standard: Standard,
    reference: Tensor,
    pending: Tensor | None,
    seed: int,
) -> AcquisitionFunction:
    """Return the logarithm of the expected improvement, of hypervolume where there are several objectives.

    Args:
        model: of standardised outcomes: the objectives, then the constraints' slack, ``<= 0`` where they hold.
        baseline: observed points.
        objectives: how many of the outcomes are objectives.
        standard: what standardised the outcomes.
        reference: [M] for the hypervolume, standardised.
        pending: [B, D] points whose outcomes are awaited.
        seed: of the quasi-random samples.
    """
    samples = SAMPLES if objectives == 1 else SAMPLES_OF_SEVERAL
    sampler = SobolQMCNormalSampler(torch.Size([samples]), seed=seed % (1 << 31))
    constraints = [
        _slack(outcome, float(standard.centre[outcome]), float(standard.spread[outcome]))
        for outcome in range(objectives, len(standard.centre))
    ]
    shared: dict[str, Any] = {"X_baseline": baseline, "sampler": sampler, "X_pending": pending, "prune_baseline": True}
    shared["constraints"] = constraints or None
    if objectives == 1:
        return qLogNoisyExpectedImprovement(model, objective=GenericMCObjective(_first), **shared)
    return multi_objective.logei.qLogNoisyExpectedHypervolumeImprovement(
        model,
        ref_point=reference,
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(objectives)), num_outcomes=len(standard.centre)),
        alpha=0.0 if objectives < 4 else 10.0 ** (objectives - 8),
        **shared,
    )


class Acquisition(AcquisitionFunction):
    """An improvement with further terms, as a function of the dimensions of a cube.

    Args:
        inner: of encoded points.
        cube: that the points are of.
        terms: to be added.
        context: further columns that are the same for all points: the fidelity asked about.
        starts: [N, P] points around which to look, too.
    """

    def __init__(
        self,
        inner: AcquisitionFunction,
        cube: Cube,
        *,
        terms: Sequence[Term] = (),
        context: Sequence[float] = (),
        starts: Tensor,
    ) -> None:
        super().__init__(model=inner.model)
        self.inner, self.cube, self.terms = inner, cube, tuple(terms)
        self.context = torch.tensor(context, dtype=torch.float64)
        self.X_pending: Any = None  # those are in the inner one
        self.X_baseline = starts

    def forward(
        self,
        Z: Tensor,  # [..., 1, P]
    ) -> Tensor:  # [...]
        """Return the values of points."""
        return self.of(self.cube.expand(Z))

    def of(
        self,
        X: Tensor,  # [..., 1, D]
    ) -> Tensor:  # [...]
        """Return the values of encoded points."""
        value = self.inner(torch.cat([X, self.context.expand(*X.shape[:-1], -1)], -1))
        for term in self.terms:
            value = value + term(X[..., 0, :])
        return value


def _first(samples: Tensor, X: Tensor | None = None) -> Tensor:
    return samples[..., 0]


def _slack(outcome: int, centre: float, spread: float) -> Callable[[Tensor], Tensor]:
    """Return the constraint of an outcome in its standardised units; negative where it holds."""
    return lambda samples: samples[..., outcome] + centre / spread
