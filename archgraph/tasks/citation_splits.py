"""Splits of citation graphs: the public one, and the others that papers report.

======== ============================================================ ===============================================
name     training                                                     validation, testing
======== ============================================================ ===============================================
public   20 papers of a class                                         500, 1,000 as published
full     all that are not for validation or testing                   as in ``public``
complete all but the last 1,000, in the order of the files            the 500 after, and the last 500
random   20 papers of a class                                         500, 1,000 of the others
======== ============================================================ ===============================================

``full`` is that of Chen, Ma, Xiao, *FastGCN*, arXiv 1801.10247; ``complete`` that of Izadi et al., arXiv 2008.09624;
``full`` and ``random`` are called so in PyTorch Geometric. Papers without a label are in none.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError
from archgraph.rng import derive
from archgraph.tasks.node_graph import UNKNOWN, NodeGraph
from archgraph.tasks.node_splits import TRAINED, Rows, check

NAMES = ("public", "full", "complete", "random")
HELD, TESTED = 500, 1000
"""Papers for validation and for testing; in ``complete`` half of the latter."""


def resplit(graph: NodeGraph, split: str, *, number: int, seed: int) -> NodeGraph:
    """Return a citation graph with another split.

    Args:
        graph: with the public split.
        split: one of :data:`NAMES`.
        number: of ``random``, which papers are for testing, whatever the seed; else 0.
        seed: of ``random``, which of the others are for training.

    Raises:
        SettingError: when there is no such split.
        DataError: when the graph is too small for it.
    """
    if split not in NAMES:
        raise SettingError("there is no such split", expected=", ".join(NAMES), got=repr(split))
    check(number, None if split == "random" else 1)
    if split == "public":
        return graph
    if split == "full":
        rows = {**graph.rows, "train": _others(graph, graph.rows["val"], graph.rows["test"])}
    elif split == "complete":
        rows = _complete(graph)
    else:
        rows = _random(graph, number, seed)
    if any(not len(one) for one in rows.values()):
        least = f"more than {HELD + TESTED} papers"
        raise DataError(f"the graph is too small for split {split!r}", expected=least, got=f"{len(graph)} papers")
    return replace(graph, rows=rows)


def _complete(graph: NodeGraph) -> Rows:
    parts = torch.arange(len(graph)).tensor_split([max(0, len(graph) - 2 * HELD), max(0, len(graph) - HELD)])
    return {name: part[graph.y[part] != UNKNOWN] for name, part in zip(("train", "val", "test"), parts, strict=True)}


def _random(graph: NodeGraph, number: int, seed: int) -> Rows:
    labelled = _others(graph)
    outer = torch.Generator().manual_seed(derive(number, "citations", "test"))
    inner = torch.Generator().manual_seed(derive(seed, "citations", "train", number))
    order = labelled[torch.randperm(len(labelled), generator=outer)]
    tested, rest = order[:TESTED], order[TESTED:]
    rest = rest[torch.randperm(len(rest), generator=inner)]
    y = graph.y[rest]
    first = torch.zeros(len(rest), dtype=torch.bool)
    for label in y.unique():
        first[(y == label).nonzero().squeeze(1)[:TRAINED]] = True
    return {"train": rest[first].sort().values, "val": rest[~first][:HELD].sort().values, "test": tested.sort().values}


def _others(graph: NodeGraph, *taken: Tensor) -> Tensor:
    """Return the papers with a label that are not taken."""
    left = graph.y != UNKNOWN
    for rows in taken:
        left[rows] = False
    return left.nonzero().squeeze(1)
