"""Where a step of natural gradient goes: the gradients of parameters divided by the curvature of their block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from optimizers.natural_gradient.blocks import Block, Diagonal, State


class Direction(NamedTuple):
    """Where to some parameters of one group go.

    Attributes:
        group: its place among the groups.
        parameters: these.
        naturals: their natural gradients, of their shapes.
        grads: their gradients.
        inner: ``<n, g>`` of all of them, ``[]``.
        known: whether there is curvature; without it the natural gradient is the gradient.
    """

    group: int
    parameters: Sequence[Parameter]
    naturals: Sequence[Tensor]
    grads: Sequence[Tensor]
    inner: Tensor
    known: bool = True


class Divider:
    """Divides gradients by what is known of blocks.

    Args:
        groups: of parameters, with their damping.
        places: of each parameter's group among them.
        states: of every parameter.
    """

    def __init__(
        self, groups: Sequence[Mapping[str, Any]], places: Mapping[Parameter, int], states: Mapping[Any, State]
    ) -> None:
        self._groups, self._places, self._states = groups, places, states

    def directions(self, block: Block, grads: Mapping[Parameter, Tensor]) -> list[Direction]:
        """Return the directions of a block's parameters that have a gradient: itself, where nothing is known.

        Args:
            block: of curvature.
            grads: of all parameters that have one.
        """
        own = [grads.get(one) for one in block.parameters]
        if all(grad is None for grad in own):
            return []
        state = self._states.get(block.parameters[0], {})
        if block.known(state) and not block.strange(state):
            return self._divided(block, state, own)
        return [part for one, grad in zip(block.parameters, own, strict=True) for part in self._alone(one, grad)]

    def _alone(self, one: Parameter, grad: Tensor | None) -> Iterator[Direction]:
        """Yield that of a parameter of a layer whose weights are read elsewhere, or that nobody looked at."""
        state = self._states.get(one, {})
        if grad is not None and "fisher_diagonal" in state:
            yield from self._divided(Diagonal((one,)), state, [grad])
        elif grad is not None:
            yield Direction(self._places[one], (one,), (grad,), (grad,), _inner(grad, grad), known=False)

    def _divided(self, block: Block, state: State, own: Sequence[Tensor | None]) -> list[Direction]:
        pairs = list(zip(block.parameters, own, strict=True))
        grads = [torch.zeros_like(one) if grad is None else grad for one, grad in pairs]
        places = [self._places[one] for one in block.parameters]
        joined = block.join(state, grads)
        natural = block.solve(state, joined, self._groups[places[0]]["damping"])
        naturals = block.apart(natural)
        if all(place == places[0] for place in places) and not any(grad is None for grad in own):
            return [Direction(places[0], block.parameters, naturals, grads, _inner(natural, joined))]
        return [
            Direction(place, (one,), (n,), (grad,), _inner(n, grad))
            for place, (one, grad), n in zip(places, pairs, naturals, strict=True)
            if grad is not None
        ]


def _inner(natural: Tensor, grad: Tensor) -> Tensor:  # []
    if natural.is_contiguous() and grad.is_contiguous() and natural.dtype == grad.dtype:
        return torch.dot(natural.view(-1), grad.view(-1))
    return torch.sum(natural * grad.to(natural.dtype))
