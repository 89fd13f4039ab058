"""Which nodes of a network work at which resolution: stages, one after the other, shared out exactly."""

from __future__ import annotations

from collections.abc import Sequence

SMALL = 40
"""Images with a longer side of so many pixels or more are large: their stem makes them four times smaller."""


def apportion(nodes: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Return the stage of every node: stages never decrease, and no stage goes without a node where there are enough.

    Every stage has one node; each of the others goes to the stage that lacks most of its share, the earliest of equals.
    With equal shares the numbers of nodes differ by at most one. (A walk with thresholds in floating-point numbers, as
    in public code, can lose the last stage or run over it.)

    Args:
        nodes: number of nodes.
        shares: of every stage, any positive scale.

    >>> apportion(8, (1, 1, 1))
    (0, 0, 0, 1, 1, 1, 2, 2)
    >>> apportion(6, (0.2, 0.2, 0.6)), apportion(2, (1, 1, 1))
    ((0, 1, 2, 2, 2, 2), (0, 1))
    """
    total = sum(shares)
    counts = [int(stage < nodes) for stage in range(len(shares))]
    for _ in range(nodes - sum(counts)):
        lacks = [share / total * nodes - count for share, count in zip(shares, counts, strict=True)]
        counts[max(range(len(shares)), key=lambda stage: (round(lacks[stage], 9), -stage))] += 1
    return tuple(stage for stage, count in enumerate(counts) for _ in range(count))


def side(length: int, stage: int, *, large: bool = False) -> int:
    """Return how many pixels long a side of an image is at a stage: half of it a stage, rounded up.

    Args:
        length: the side of the image, in pixels.
        stage: 0 for the first.
        large: whether the image starts at a quarter, where the stem of a large one leaves it.

    >>> [side(32, stage) for stage in range(3)], [side(224, stage, large=True) for stage in range(3)], side(9, 2)
    ([32, 16, 8], [56, 28, 14], 3)
    """
    return max(1, -(-length // 2 ** (stage + 2 * large)))
