"""The layers of a graph on which its output depends: what a surrogate should compare, whatever else is written down.

An :class:`~archgraph.ops.Identity` is an edge and a :class:`~archgraph.ops.Zero` is none; a layer that hears nothing of
the input, or of which the output hears nothing, does not matter. Two cells that differ in these only are one.
"""

from __future__ import annotations

from archgraph import ops
from archgraph.features.leaf_dag import LeafDag, leaf_dag
from archgraph.graph import Graph


def live_dag(graph: Graph) -> LeafDag:
    """Return the layers that matter and how they read one another, see :func:`~archgraph.features.leaf_dag.leaf_dag`.

    A graph whose output hears nothing of its input has the two ends and no edge.

    >>> from archgraph import chain, ops
    >>> live_dag(chain(ops.Input((3,)), ops.Linear(2), ops.Identity(), ops.Linear(5))).labels
    ('in', 'Linear', 'Linear', 'out')
    """
    dag = leaf_dag(graph)
    last = len(dag.names) - 1
    heard: list[frozenset[int]] = []  # by layer: those whose output it hands on, itself if it does something
    for place, reads in enumerate(dag.reads):
        reached = frozenset().union(*(heard[source] for source in reads)) if place else frozenset({0})
        op = graph.op(dag.names[place]) if 0 < place < last else None
        if isinstance(op, ops.Zero):
            reached = frozenset()
        elif op is not None and reached and not isinstance(op, ops.Identity):
            reached = frozenset({place})
        heard.append(reached)
    sources = [_read(dag, heard, place) for place in range(last + 1)]
    wanted, open_ = {0, last}, [last]
    while open_:
        new = sources[open_.pop()] - wanted
        wanted |= new
        open_ += new
    kept = sorted(wanted)
    numbers = {place: number for number, place in enumerate(kept)}
    return LeafDag(
        tuple(dag.names[place] for place in kept),
        tuple(dag.labels[place] for place in kept),
        tuple(tuple(sorted(numbers[source] for source in sources[place])) for place in kept),
    )


def _read(dag: LeafDag, heard: list[frozenset[int]], place: int) -> frozenset[int]:
    return frozenset().union(*(heard[source] for source in dag.reads[place]))
