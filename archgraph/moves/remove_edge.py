"""``op(T_1, ..., T_k) -> op without T_i ; what nobody reads any more goes too``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Editor, Graph, Invariant
from archgraph.moves.move import Move


@dataclass(frozen=True, repr=False)
class RemoveEdge(Move):
    """Take one input away from a sum or product, with every node that fed nothing else.

    A sum or product left with one input goes, too. The function is kept when the input was zero (of a sum) or one (of a
    product).

    Args:
        node: a node that adds or multiplies.
        position: which of its inputs.
    """

    node: str
    position: int

    def plan(self, graph: Graph) -> Edit:
        node = graph.node(self.node)
        if not isinstance(graph.rule(self.node), Invariant) or len(node.inputs) < 2:
            raise MoveRefused(f"node {self.node!r} is no sum or product of several inputs", place=str(node))
        if not 0 <= self.position < len(node.inputs):
            raise MoveRefused(f"node {self.node!r} has no input {self.position}", place=str(node))
        rest = node.inputs[: self.position] + node.inputs[self.position + 1 :]
        edit = graph.edit()
        edit.connect(self.node, *rest)
        if len(rest) == 1:
            edit.remove(self.node)
        _sweep(edit, graph, node.inputs[self.position], {self.node})
        return Edit(graph, edit.finish())

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        for node in graph:
            if isinstance(graph.rule(node.name), Invariant) and len(node.inputs) > 1:
                for position in range(len(node.inputs)):
                    move = cls(node.name, position)
                    if move.refusal(graph) is None:
                        yield move


def _sweep(edit: Editor, graph: Graph, name: str, gone: set[str]) -> None:
    """Remove a node that nobody reads any more, and whatever fed nothing else."""
    waiting = [name]
    while waiting:
        here = waiting.pop()
        node = graph.node(here)
        if here in gone or edit.is_read(here) or not node.inputs:
            continue
        living = [name for name in graph.tied(here) if name not in gone and name != here]
        if node.tie is None and living:
            raise MoveRefused(
                f"node {here!r} would go, but {', '.join(living)} use its weights", place=str(graph.node(here))
            )
        gone.add(here)
        edit.remove(here)
        waiting += node.inputs
