"""What directions score on samples they may not come from: Rayleigh quotients, each with its standard error.

A sample's own part of ``v^T S v`` is ``q_n``, S the mean of the samples' own matrices; the mean of q_n is the quotient
of a unit vector, and its standard error ``sqrt(sum_n (q_n - q)^2 / (N (N - 1)))``. The quotient is unbiased where the
direction comes from other samples; where it comes from these, it is the optimum on them, too good to be true, and the
standard error does not say by how much. Nodes of one graph are taken for samples that are drawn by themselves, though
neighbours are alike and few nodes reach those that count: then the standard error is about the root of the sum of
``(q_n / N)^2``, whatever N is, and rather too small.

Letters: ``N`` samples, ``B`` of a batch, ``U`` units, ``D`` entries of a weight row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archgraph.scoring.captures import Captures
from archgraph.scoring.moments import Moments


@dataclass(frozen=True, eq=False)
class Quotient:
    """Rayleigh quotients of one direction a unit.

    Args:
        values: ``[U]``.
        noise: ``[U]`` their standard errors; infinite on a single sample, which tells nothing of them.
    """

    values: Tensor
    noise: Tensor


def quotients(
    captures: Captures,
    directions: Mapping[str, Sequence[Tensor]],  # by node, [U, D] of unit vectors each
    *,
    every: int = 1,
) -> dict[str, list[Quotient]]:
    """Return the quotients of all directions by one pass over the batches.

    Args:
        captures: the samples.
        directions: any number of them for a node.
        every: read one sample of so many, where that is cheaper: for noise alone, of which a rough idea is enough. It
            is the noise of a mean over all samples.

    Raises:
        DataError: when captured tensors are not finite.
    """
    sums = {name: [Moments() for _ in vectors] for name, vectors in directions.items()}
    for operators, _ in captures.operators([name for name, vectors in directions.items() if vectors]):
        for name, operator in operators.items():
            for moments, vectors in zip(sums[name], directions[name], strict=True):
                parts = operator.contributions(vectors, every=every).double()
                samples = operator.layers[0].inputs.shape[0]
                moments.add(parts * samples)  # all of them sum to the batch's mean
                captures.macs += operator.macs * len(parts) // (2 * samples)
    dtype = captures.network.dtype
    return {name: [_quotient(one, captures.samples, dtype) for one in many] for name, many in sums.items()}


def _quotient(moments: Moments, samples: int, dtype: torch.dtype) -> Quotient:
    values, count = moments.mean.to(dtype), moments.count
    if count < 2:
        return Quotient(values, torch.full_like(values, torch.inf))
    return Quotient(values, (moments.squares / (count - 1) / samples).sqrt().to(dtype))
