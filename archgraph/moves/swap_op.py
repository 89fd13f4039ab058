"""``node = f(T) becomes node = g(T), of the same shape``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Graph, Op, parse_op
from archgraph.moves.move import Move, refusing

FAMILIES = (
    ("ReLU()", "LeakyReLU()", "GELU()", "SiLU()", "Tanh()", "Sigmoid()", "Softplus()"),
    ("GlobalAvgPool()", "GlobalMaxPool()"),
    ("Add()", "Multiply()"),
)
"""Ops without weights that can stand in for each other on any shape, as text."""


@dataclass(frozen=True, repr=False)
class SwapOp(Move):
    """Put another op in the place of a node's, with the same inputs and the same output shape.

    Weights are kept where the new op is of the same kind and has tensors of the same layout (a convolution with another
    dilation, say); otherwise they are drawn anew.

    Args:
        node: the node.
        op: what it computes from now on.
        seed: from which new weights are drawn.
    """

    node: str
    op: Op
    seed: int = 0

    def plan(self, graph: Graph) -> Edit:
        node = graph.node(self.node)
        if not isinstance(self.op, Op):
            raise MoveRefused(
                f"{self.op!r} is not an op", expected="a value such as ops.SiLU()", got=self.op, place=str(node)
            )
        if node.op == self.op:
            raise MoveRefused(f"node {self.node!r} has this op already", place=str(node))
        if len(graph.tied(self.node)) > 1:
            raise MoveRefused(f"node {self.node!r} shares its weights", place=str(node))
        with refusing(f"{self.op!r} does not fit"), graph.edit() as edit:
            edit.replace(self.node, self.op)
        after = edit.graph
        if after.shape(self.node) != graph.shape(self.node):
            raise MoveRefused(
                f"{self.op!r} gives another shape",
                expected=graph.shape(self.node),
                got=after.shape(self.node),
                place=str(node),
            )
        return Edit(graph, after, seed=self.seed)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        for node in graph:
            for family in FAMILIES:
                if repr(node.op) in family:
                    yield from (cls(node.name, parse_op(text)) for text in family if text != repr(node.op))

    def inverse(self, graph: Graph) -> SwapOp:
        """Return the move that puts the old op back (with weights drawn anew where they were)."""
        return SwapOp(self.node, graph.op(self.node), self.seed)
