"""``op(T_1, ..., T_k) -> op without T_i ; what nobody reads any more goes too``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Editor, Graph, Invariant
from archgraph.moves.move import Move, refusing


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
        kinds = {graph.shape(name).rows for name in node.inputs}  # edges, or a membership, are no summands
        if not isinstance(graph.rule(self.node), Invariant) or len(node.inputs) < 2 or len(kinds) > 1:
            raise MoveRefused(f"node {self.node!r} is no sum or product of several inputs", place=str(node))
        number = self.position
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(node.inputs):
            raise MoveRefused(
                f"node {self.node!r} has no input {number!r}",
                expected=f"0 to {len(node.inputs) - 1}",
                place=str(node),
            )
        rest = node.inputs[:number] + node.inputs[number + 1 :]
        with refusing(f"input {number} of node {self.node!r} cannot go"), graph.edit() as edit:
            edit.connect(self.node, *rest)
            if len(rest) == 1:
                edit.remove(self.node)
            for name in _unread(edit, graph, node.inputs[number]):
                edit.remove(name)
        read = self.node if len(rest) > 1 else rest[0]
        if edit.graph.shape(read) != graph.shape(self.node):  # what is left spreads over fewer units or places
            raise MoveRefused(
                f"input {number} of node {self.node!r} cannot go: its readers would get another shape",
                expected=graph.shape(self.node),
                got=edit.graph.shape(read),
                place=str(node),
            )
        return Edit(graph, edit.graph)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        for node in graph:
            if isinstance(graph.rule(node.name), Invariant) and len(node.inputs) > 1:
                for position in range(len(node.inputs)):
                    move = cls(node.name, position)
                    if move.refusal(graph) is None:
                        yield move


def _unread(edit: Editor, graph: Graph, name: str) -> list[str]:
    """Return a node that nobody reads any more and whatever fed nothing else, in an order in which they can go.

    Raises:
        MoveRefused: when a node that stays uses the weights of one that would go.
    """
    gone: dict[str, None] = {}
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here in gone or here not in graph or not graph.node(here).inputs or edit.is_read(here, but=gone):
            continue
        gone[here] = None
        waiting += graph.node(here).inputs
    for owner in gone:
        staying = [other for other in graph.tied(owner) if other not in gone]
        if graph.node(owner).tie is None and staying:
            raise MoveRefused(
                f"node {owner!r} would go, but {', '.join(staying)} use its weights", place=str(graph.node(owner))
            )
    return sorted(gone, key=lambda name: graph.node(name).tie is None)  # those that use weights before their owners
