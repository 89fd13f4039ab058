"""The move of a step of natural gradient: momentum on clipped directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from optimizers.natural_gradient.damping import clip

Directions = Mapping[Parameter, tuple[Tensor, Tensor]]
"""Of a parameter: its natural gradient and its gradient, both of its shape."""


def move(groups: Sequence[Mapping[str, Any]], state: Any, directions: Directions, count: float) -> None:
    """Move the parameters in place: ``v <- momentum v + nu n``, ``w <- w - lr v``.

    ``nu`` clips the step of all groups together by the tightest ``kl_clip`` (:func:`clip`).

    Args:
        groups: of parameters, with ``lr``, ``momentum`` and ``kl_clip``.
        state: by parameter; gets ``velocity`` and ``step``.
        directions: of the parameters to move.
        count: steps so far, this one included.
    """
    own = [{one: directions[one] for one in group["params"] if one in directions} for group in groups]
    inner = 0.0
    for group, found in zip(groups, own, strict=True):
        parts = [torch.sum(natural * grad.to(natural.dtype)) for natural, grad in found.values()]
        inner += group["lr"] ** 2 * float(sum(parts)) if parts else 0.0
    nu = clip(inner, min(group["kl_clip"] for group in groups))
    for group, found in zip(groups, own, strict=True):
        for one, (natural, _) in found.items():
            if "velocity" not in state[one]:
                state[one]["velocity"] = torch.zeros_like(natural)
            state[one]["step"] = torch.tensor(count)
        if found:
            velocities = [state[one]["velocity"] for one in found]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, [natural for natural, _ in found.values()], alpha=nu)
            moves = [velocity.to(one.dtype) for velocity, one in zip(velocities, found, strict=True)]
            torch._foreach_add_(list(found), moves, alpha=-group["lr"])
