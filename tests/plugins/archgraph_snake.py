"""A stranger's package in one file: an op, a move, a driver and a task, found by archgraph through entry points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from archgraph import Graph, Loss, Move, Task, Train, moves, ops
from archgraph.errors import MoveRefused
from archgraph.graph import Edit
from archgraph.search import Driver, Setting, Steps
from archgraph.tasks import Split


@dataclass(frozen=True, repr=False)
class Snake(ops.Activation):
    """``z + sin(a z)^2 / a`` of arXiv 2006.08195, for signals that repeat themselves.

    Args:
        a: how often it waves.
    """

    a: float = 1.0

    def function(self, z: Any) -> Any:
        return z + torch.sin(z * self.a) ** 2 / self.a


@dataclass(frozen=True, repr=False)
class Charm(Move):
    """Put a snake in the place of a swish.

    Args:
        node: a node with a ``SiLU``.
    """

    node: str

    def plan(self, graph: Graph) -> Edit:
        node = graph.node(self.node)
        if not isinstance(node.op, ops.SiLU):
            raise MoveRefused(f"node {self.node!r} is no swish", place=str(node))
        with graph.edit() as edit:
            edit.replace(self.node, Snake())
        return Edit(graph, edit.graph)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield from (cls(node.name) for node in graph if isinstance(node.op, ops.SiLU))

    def inverse(self, graph: Graph) -> Calm:
        """Return the move that puts the swish back."""
        return Calm(self.node)


@dataclass(frozen=True, repr=False)
class Calm(Move):
    """Put a swish in the place of a snake: known by name once the package is loaded.

    Args:
        node: a node with a ``Snake``.
    """

    node: str

    def plan(self, graph: Graph) -> Edit:
        node = graph.node(self.node)
        if not isinstance(node.op, Snake):
            raise MoveRefused(f"node {self.node!r} is no snake", place=str(node))
        with graph.edit() as edit:
            edit.replace(self.node, ops.SiLU())
        return Edit(graph, edit.graph)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        yield from (cls(node.name) for node in graph if isinstance(node.op, Snake))

    def inverse(self, graph: Graph) -> Move:
        """Return the move that puts this very snake back."""
        return moves.SwapOp(self.node, graph.op(self.node))


@dataclass(frozen=True)
class TrainCharmed(Driver):
    """Train a graph as it is, then with its swishes charmed one after the other."""

    graph: Graph
    most: int = 10

    def steps(self, setting: Setting) -> Steps:
        graph = self.graph
        yield Train(graph, setting.recipe, seed=setting.seed)
        for _ in range(self.most):
            move = next(Charm.sites(graph), None)
            if move is None:
                return "no swish is left"
            graph = move.apply(graph)
            yield Train(graph, setting.recipe, seed=setting.seed)
        return f"{self.most} swishes are charmed"


def waves(*, seed: int = 0, data_root: str | Path | None = None) -> Task:
    """Make the task: tell a sine from a cosine, sampled at seven points with noise."""
    splits = {}
    for number, (name, count) in enumerate((("train", 60), ("val", 30), ("test", 40))):
        draw = torch.Generator().manual_seed(1000 * seed + number)
        y = torch.randint(2, (count,), generator=draw)
        points = torch.linspace(0, 3, 7) + y[:, None] * torch.pi / 2
        splits[name] = Split(points.sin() + 0.1 * torch.randn(count, 7, generator=draw), y)
    return Task("waves", splits, Loss("cross-entropy"), (7,), 2)
