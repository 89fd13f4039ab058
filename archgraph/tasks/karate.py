"""Zachary's karate club: 34 members, 78 friendships, and the two clubs into which they fell apart.

Zachary, *An Information Flow Model for Conflict and Fission in Small Groups*, Journal of Anthropological Research 33
(1977). It comes with NetworkX and needs no files, so it is the task of the examples with graphs.
"""

from __future__ import annotations

from pathlib import Path

import torch

from archgraph.rng import derive
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph
from archgraph.tasks.split import partition
from archgraph.tasks.task import Task

LEADERS = (0, 33)
"""The two whose side is known in training: the teacher and the president."""

VAL = 12


def karate(*, seed: int = 0, data_root: str | Path | None = None) -> Task:
    """Make the task of telling who joined whose club, with the labels of the two leaders alone for training.

    12 of the others are for validation and 20 for testing, the same for every seed. A member's features are who it is,
    so that a network that does not look at friendships learns nothing about the others. Weights of edges say in how
    many ways two members meet outside of the club.

    Args:
        seed: not used.
        data_root: not used; the graph comes with NetworkX.

    Returns:
        The task ``"karate"``: features float32 ``[N, 34]``, labels int64 ``[N]``, cross-entropy, and its graph.
    """
    import networkx

    club = networkx.karate_club_graph()
    pairs = [(one, other, float(weight)) for one, other, weight in club.edges(data="weight", default=1.0)]
    links = sorted(pairs + [(other, one, weight) for one, other, weight in pairs])
    edges = torch.tensor([link[:2] for link in links]).T.contiguous()
    weights = torch.tensor([link[2] for link in links])
    y = torch.tensor([int(club.nodes[one]["club"] == "Officer") for one in range(len(club))])
    others = torch.tensor([one for one in range(len(club)) if one not in LEADERS])
    val, test = partition(len(others), (VAL, len(others) - VAL), seed=derive(0, "karate"), labels=y[others])
    rows = {"train": torch.tensor(LEADERS), "val": others[val], "test": others[test]}
    graph = NodeGraph(torch.eye(len(club)), y, edges, rows, weights)
    return Task("karate", graph.splits(), Loss("cross-entropy"), (len(club),), 2, graph=graph)
