"""What the next training of a graph is expected to be worth, for all graphs of a pool at once.

First in closed form: the logarithm of the expected improvement on the best expectation of an observed graph, in
several directions where there are several objectives. The best of that, where it is no answer yet since there are
several objectives, constraints or graphs awaited, are compared by BoTorch's qLogNEI or qLogNEHVI, which integrate over
all of it.

Letters: ``Q`` graphs asked about, ``M`` objectives, ``C`` constraints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optimizers.bayesian.alone import load_botorch
from optimizers.bayesian.outcomes import Standard
from optimizers.graph_bo.belief import Belief, Process

if TYPE_CHECKING:
    from botorch.models import ModelListGP, SingleTaskGP

SHORTLIST = 64
"""Graphs that are compared by quasi-random samples."""
DIRECTIONS = 8
"""Weights of several objectives under which improvement is looked for, the single objectives besides."""


def log_improvement(
    u: Tensor,  # [...]
) -> Tensor:  # [...]
    """Return ``log(phi(u) + u Phi(u))``, also where both are tiny.

    Ament et al., *Unexpected Improvements to Expected Improvement for Bayesian Optimization* (NeurIPS 2023), eq. 9.

    >>> round(float(log_improvement(torch.tensor(0.0, dtype=torch.float64)).exp()), 6)
    0.398942
    """
    constant = 0.5 * math.log(2.0 * math.pi)
    near = u.clamp_min(-1.0)
    plain = (torch.exp(-0.5 * near.square() - constant) + near * torch.special.ndtr(near)).log()
    low = u.clamp(-1e3, -1.0)
    # Phi(u) / phi(u) = sqrt(pi / 2) erfcx(-u / sqrt 2)
    tail = torch.log1p(math.sqrt(math.pi / 2.0) * low * torch.special.erfcx(-low / math.sqrt(2.0)))
    far = -2.0 * u.clamp_max(-1.0).abs().log()  # its limit
    below = -0.5 * u.clamp_max(-1.0).square() - constant + torch.where(u < -1e2, far, tail)
    return torch.where(u > -1.0, plain, below)


def screen(
    belief: Belief,
    among: Sequence[int] | None,
    seed: int,
) -> Tensor:  # [Q]
    """Return the logarithm of the expected improvement and of the probability that the constraints hold.

    Of several objectives every weighted sum has an improvement of its own; told is the greatest, each from the level of
    its best.

    Args:
        belief: what is known.
        among: rows of the graphs asked about; None for the first of every kind in the gallery.
        seed: of the weights.
    """
    objectives = belief.objectives
    mean, variance = belief.moments(among)
    known, _ = belief.moments(belief.seen.rows)
    holds = torch.special.log_ndtr((belief.limits - mean[:, objectives:]) / variance[:, objectives:].sqrt()).sum(1)
    fine = (known[:, objectives:] <= belief.limits).all(1)
    scores = []
    for weights in _weights(objectives, seed):
        centre, spread = mean[:, :objectives] @ weights, (variance[:, :objectives] @ weights.square()).sqrt()
        level = known[:, :objectives] @ weights
        if not fine.any():  # first find one that keeps the constraints
            scores.append(holds)
            break
        value = log_improvement((centre - level[fine].max()) / spread) + spread.log() + holds
        scores.append(value - value.max() if objectives > 1 else value)
    return torch.stack(scores).amax(0)


def needs_samples(belief: Belief) -> bool:
    """Whether the closed form is no answer yet."""
    return len(belief.processes) > 1 or bool(belief.seen.pending)


def sampled(
    belief: Belief,
    among: Sequence[int],
    seed: int,
) -> Tensor:  # [Q]
    """Return qLogNEI, or qLogNEHVI of several objectives, with what is awaited taken into account.

    Args:
        belief: what is known.
        among: rows of the graphs asked about.
        seed: of the quasi-random samples.
    """
    load_botorch()
    from optimizers.bayesian.acquisition import improvement

    seen, objectives = belief.seen, belief.objectives
    rows = list(dict.fromkeys((*seen.rows, *seen.pending, *among)))
    numbers = {row: number for number, row in enumerate(rows)}

    def inputs(asked: Sequence[int]) -> Tensor:
        return torch.tensor([[float(numbers[row])] for row in asked], dtype=torch.float64)

    zeros, ones = torch.zeros(objectives, dtype=torch.float64), torch.ones(objectives, dtype=torch.float64)
    acquisition = improvement(
        model(belief, rows, inputs(seen.rows)),
        inputs(list(dict.fromkeys(seen.rows))),
        objectives=objectives,
        standard=Standard(torch.cat([zeros, belief.standard.centre]), torch.cat([ones, belief.standard.spread])),
        reference=belief.reference,
        pending=inputs(seen.pending) if seen.pending else None,
        seed=seed,
    )
    with torch.no_grad():
        return acquisition(inputs(among)[:, None, :]).nan_to_num(nan=-torch.inf)


def model(
    belief: Belief,
    rows: Sequence[int],
    inputs: Tensor,  # [N, 1]
) -> SingleTaskGP | ModelListGP:
    """Return the processes as a BoTorch model whose inputs are places in a list of graphs.

    Args:
        belief: what is known.
        rows: the graphs.
        inputs: places of the observed ones.
    """
    from botorch.models import ModelListGP, SingleTaskGP
    from gpytorch.kernels import ScaleKernel

    from optimizers.graph_bo.gram_kernel import GramKernel

    grams = belief.gallery.grams(rows, rows, seen=belief.seen.rows)

    def single(process: Process) -> SingleTaskGP:
        mixture = process.mixture
        kernel = ScaleKernel(GramKernel(grams, mixture.weights.log()))
        kernel.outputscale = mixture.scale
        made = SingleTaskGP(inputs, process.y[:, None], covar_module=kernel, outcome_transform=None)
        made.likelihood.noise = torch.tensor([mixture.noise], dtype=torch.float64).clamp_min(1.1e-4)
        made.mean_module.constant.data.fill_(mixture.mean)
        return made.requires_grad_(requires_grad=False).eval()

    models = [single(process) for process in belief.processes]
    return models[0] if len(models) == 1 else ModelListGP(*models)


def _weights(objectives: int, seed: int) -> Tensor:  # [?, M]
    """Return directions of improvement: the objectives themselves, and mixtures drawn evenly."""
    if objectives == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    numbers = torch.Generator().manual_seed(seed % (1 << 63))
    drawn = -torch.rand(DIRECTIONS, objectives, generator=numbers, dtype=torch.float64).log()
    return torch.cat([torch.eye(objectives, dtype=torch.float64), drawn / drawn.sum(1, keepdim=True)])
