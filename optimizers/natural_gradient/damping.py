"""How far a step may go: the clip by predicted change of the distribution, and damping that follows the model's trust.

Letters: ``g`` gradient, ``n`` natural gradient, ``F`` Fisher information.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from optimizers.natural_gradient.blocks import Block, State

LEAST, MOST = 1e-8, 1e4
"""Bounds of adaptive damping."""


def clip(inner: float, limit: float) -> float:
    """Return the factor ``nu = min(1, sqrt(kappa / (lr^2 <n, g>)))`` of a step.

    The step ``lr nu n`` changes the predicted distribution by about ``lr^2 nu^2 <n, g> / 2`` in Kullback-Leibler
    divergence; ``kappa`` bounds twice that (Ba, Grosse, Martens, ICLR 2017).

    Args:
        inner: ``sum lr^2 <n, g>`` over all parameters.
        limit: ``kappa``; 0 for no clip.

    >>> clip(0.04, 0.01)
    0.5
    """
    if limit <= 0.0 or not inner > limit:
        return 1.0
    return (limit / inner) ** 0.5


def adapted(damping: float, ratio: float, interval: int) -> float:
    """Return the damping after a look at how well the quadratic model predicted (Levenberg, Marquardt).

    ``omega = (19 / 20)^T``: times ``omega`` above a ratio of 3/4, divided by it below 1/4, as in arXiv 1503.05671,
    section 6.5.

    Args:
        damping: before.
        ratio: measured change of the loss by the predicted one.
        interval: steps since the last look, ``T``.
    """
    omega = 0.95**interval
    if ratio > 0.75:
        damping *= omega
    elif not ratio >= 0.25:  # a loss that is no number is a bad prediction
        damping /= omega
    return min(max(damping, LEAST), MOST)


def predicted(
    blocks: Iterable[Block],
    states: Mapping[Parameter, State],
    moved: Mapping[Parameter, Tensor],
    grads: Mapping[Parameter, Tensor],
    damping: Mapping[Parameter, float],
) -> float:
    """Return what the quadratic model expects of a step ``d``: ``g^T d + d^T (F + damping) d / 2``.

    Args:
        blocks: of curvature.
        states: of every parameter.
        moved: ``d``, by parameter.
        grads: ``g``.
        damping: of each parameter.
    """
    slope = sum(float((step * grads[one].to(step.dtype)).sum()) for one, step in moved.items())
    bend = sum(damping[one] * float(step.square().sum()) for one, step in moved.items())
    for block in blocks:
        state = states.get(block.parameters[0], {})
        if block.known(state) and not block.strange(state):
            own = [moved.get(one, torch.zeros_like(one)) for one in block.parameters]
            joined = block.join(state, own)
            bend += float((block.multiply(state, joined) * joined).sum())
    return slope + bend / 2.0
