"""What a round of growth has set free."""

from __future__ import annotations

from dataclasses import dataclass

from archgraph.continual import Library, Plan, Widened
from archgraph.net import Network, State


@dataclass(frozen=True, eq=False)
class Lesson:
    """Where a task stands when a round of growth begins.

    Args:
        network: as it was trained.
        plan: which versions it uses.
        state: the optimizer's, to be carried over; None where it starts anew.
        library: what was learned before.
        number: of the round, from 1.
        seed: of what is drawn.
    """

    network: Network
    plan: Plan
    state: State | None
    library: Library
    number: int
    seed: int


@dataclass(frozen=True, eq=False)
class Freed:
    """A task's network after a round of growth.

    Args:
        task: the network with its plan, the optimizer's state and what was done.
        predicted: by how much the scores say that the loss changes.
        measured: by how much it did, before any training.
    """

    task: Widened
    predicted: float | None = None
    measured: float | None = None
