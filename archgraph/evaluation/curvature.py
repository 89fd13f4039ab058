"""Weight optimizers that want to see more than gradients: the layers on the way, and the outputs before the loss.

Any optimizer with these methods is shown them by the trainer; no other is asked for anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeGuard

from torch import Tensor, nn
from torch.optim import Optimizer


class CurvatureOptimizer(Protocol):
    """What a weight optimizer offers that computes curvature."""

    def attach(self, module: nn.Module) -> None:
        """Learn to which layers of a module its parameters belong; called once, before the first step."""

    @property
    def due(self) -> bool:
        """Whether it wants to look in this step."""

    def watching(self) -> AbstractContextManager[None]:
        """Return a context in which it sees the module's forward pass."""

    def curvature(self, outputs: Tensor, value: Tensor, *, loss: str, rows: Tensor | None = None) -> None:
        """Look, between the forward and the backward pass.

        Args:
            outputs: of the network, ``[N, ...]``, before any scaling for low precision.
            value: of the loss.
            loss: its name.
            rows: which outputs it is a mean over, ``[K]``; all where there are none.
        """


def looks(optimizer: Optimizer) -> TypeGuard[CurvatureOptimizer]:
    """Whether an optimizer wants to see the layers and the outputs."""
    return all(hasattr(type(optimizer), name) for name in ("attach", "due", "watching", "curvature"))


@contextlib.contextmanager
def watched(optimizer: Optimizer) -> Iterator[bool]:
    """Have an optimizer see the forward pass within this block, if it wants to in this step; yield whether it does."""
    if not looks(optimizer) or not optimizer.due:
        yield False
        return
    with optimizer.watching():
        yield True


def tell(optimizer: Optimizer, outputs: Tensor, value: Tensor, loss: str, rows: Tensor | None) -> None:
    """Tell an optimizer the outputs and the loss, if it wants to know them in this step.

    Args:
        optimizer: any.
        outputs: of the network.
        value: of the loss.
        loss: its name.
        rows: which outputs it is a mean over.
    """
    if looks(optimizer) and optimizer.due:
        optimizer.curvature(outputs, value, loss=loss, rows=rows)
