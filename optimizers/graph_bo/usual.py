"""The kernel that suits a space, where the user names none."""

from __future__ import annotations

from archgraph.errors import SpaceError
from archgraph.features.live_dag import live_dag
from archgraph.spaces import Space

DRAWN = 16
"""Graphs of the space that are looked at."""


def usual_kernel(space: Space) -> str:
    """Return ``"wl"``, or ``"wl+descriptors"`` where layers of one colour differ in width, which colours do not tell.

    Args:
        space: of which some graphs are drawn, from seeds that are always the same.
    """
    widths: dict[str, int] = {}
    for seed in range(DRAWN):
        try:
            graph = space.sample(seed)
        except SpaceError:
            continue
        dag = live_dag(graph)
        for name, label in zip(dag.names[1:-1], dag.labels[1:-1], strict=True):
            units = graph.shape(name).units
            if widths.setdefault(label, units) != units:
                return "wl+descriptors"
    return "wl"
