"""Weisfeiler-Lehman colours: what the neighbourhoods of the layers of a graph look like, counted.

    c_0(v) = label of v ;   c_l+1(v) = (c_l(v), {c_l(u): v reads u}, {c_l(w): w reads v})

Shervashidze et al., *Weisfeiler-Lehman Graph Kernels* (JMLR 2011), with the neighbours on both sides told apart, so
that a graph and its reverse differ. Ru, Wan, Dong and Osborne, *Interpretable Neural Architecture Search via Bayesian
Optimisation with Weisfeiler-Lehman Kernels* (ICLR 2021), brought them to architectures. A colour is text that says what
it is: readable for a layer and its neighbours, a hash beyond. So equal neighbourhoods of any two graphs have equal
colours, in every process, and nothing is fitted.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from archgraph.errors import SettingError
from archgraph.features.leaf_dag import LeafDag

DIRECTIONS = ("both", "in", "out")
"""Whose colours make the next colour: those on both sides, of those that are read, or of those that read."""


def colours(dag: LeafDag, depth: int, direction: str = "both") -> tuple[Counter[str], ...]:
    """Count the colours of the layers of a graph, level by level.

    Args:
        dag: the layers.
        depth: of the last level, at least 0.
        direction: one of :data:`DIRECTIONS`.

    Returns:
        How often every colour occurs, one count a level: ``depth + 1`` of them. The two ends count as layers.

    Raises:
        SettingError: when there is no such direction, or the depth is negative.

    >>> from archgraph import chain, ops
    >>> from archgraph.features import leaf_dag
    >>> counts = colours(leaf_dag(chain(ops.Input((3,)), ops.Linear(2), ops.Linear(5))), 1, "in")
    >>> counts[0]["Linear"], counts[1]["Linear <- Linear"]
    (2, 1)
    """
    if direction not in DIRECTIONS:
        raise SettingError("unknown direction of neighbours", expected=" or ".join(DIRECTIONS), got=repr(direction))
    if depth < 0:
        raise SettingError("colours have a depth", expected="a whole number of at least 0", got=depth)
    read_by: list[list[int]] = [[] for _ in dag.names]
    for place, reads in enumerate(dag.reads):
        for source in reads:
            read_by[source].append(place)
    held = list(dag.labels)
    counts = [Counter(held)]
    for level in range(1, depth + 1):
        if level == 2:  # their lists would run into one another
            held = [f"[{colour}]" for colour in held]
        texts = [_text(held, place, dag.reads[place], read_by[place], direction) for place in range(len(held))]
        held = texts if level == 1 else [f"[{_hash(text)}]" for text in texts]
        counts.append(Counter(held))
    return tuple(counts)


def _text(held: list[str], place: int, reads: tuple[int, ...], read_by: list[int], direction: str) -> str:
    parts = [held[place]]
    for arrow, others, unwanted in (("<-", reads, "out"), ("->", read_by, "in")):
        if direction != unwanted and others:
            parts.append(f"{arrow} {', '.join(sorted(held[other] for other in others))}")
    return " ".join(parts)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
