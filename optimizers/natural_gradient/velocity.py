"""The move of a step of natural gradient: momentum on clipped directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.natural_gradient.damping import clip
from optimizers.natural_gradient.direction import Direction


def move(groups: Sequence[Mapping[str, Any]], state: Any, directions: Sequence[Direction], count: float) -> None:
    """Move the parameters in place: ``v <- momentum v + nu n``, ``w <- w - lr v``.

    ``nu`` clips the step of all groups together by the tightest ``kl_clip`` (:func:`clip`).

    Args:
        groups: of parameters, with ``lr``, ``momentum`` and ``kl_clip``.
        state: by parameter; gets ``velocity`` and ``step``.
        directions: of the parameters to move.
        count: steps so far, this one included.
    """
    inner = sum(groups[one.group]["lr"] ** 2 * float(one.inner) for one in directions)
    nu = clip(inner, min(group["kl_clip"] for group in groups))
    for place, group in enumerate(groups):
        own = [one for one in directions if one.group == place]
        if not own:
            continue
        parameters: list[Tensor] = [parameter for one in own for parameter in one.parameters]
        naturals = [natural for one in own for natural in one.naturals]
        velocities = [_velocity(state[one], natural, count) for one, natural in zip(parameters, naturals, strict=True)]
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, naturals, alpha=nu)
        moves = [velocity.to(one.dtype) for velocity, one in zip(velocities, parameters, strict=True)]
        torch._foreach_add_(parameters, moves, alpha=-group["lr"])


def _velocity(state: dict[str, Tensor], natural: Tensor, count: float) -> Tensor:
    """Return the velocity of a parameter, which counts the step too."""
    if "velocity" not in state:
        state["velocity"] = torch.zeros_like(natural, memory_format=torch.contiguous_format)
    if "step" in state:
        state["step"].fill_(count)
    else:
        state["step"] = torch.tensor(count)
    return state["velocity"]
