"""``T -> f(T) -> readers becomes T -> readers``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Graph
from archgraph.moves.move import Move, refusing


@dataclass(frozen=True, repr=False)
class RemoveLayer(Move):
    """Take out a node with one input whose output has the shape of its input.

    The function is kept only where the node handed its input on.

    Args:
        node: the node.
    """

    node: str

    def plan(self, graph: Graph) -> Edit:
        node = graph.node(self.node)
        if len(node.inputs) != 1 or graph.shape(self.node) != graph.shape(node.inputs[0]):
            raise MoveRefused(
                f"node {self.node!r} cannot be left out: its readers would get another shape",
                expected="a node with one input of the shape of its output",
                place=str(node),
            )
        with refusing(f"node {self.node!r} cannot be left out"), graph.edit() as edit:
            edit.remove(self.node)
        return Edit(graph, edit.graph)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        for node in graph:
            move = cls(node.name)
            if len(node.inputs) == 1 and move.refusal(graph) is None:
                yield move
