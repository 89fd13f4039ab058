"""What stands for what in the sketches of a tabulated space: named nodes, and the ops that may be at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from archgraph.errors import GraphError
from archgraph.graph import Graph, Op


@dataclass(frozen=True)
class Legend:
    """The nodes of a sketch that say which architecture it is, and the names of what they may be.

    Args:
        what: a sketch, in words for errors: ``cell of NAS-Bench-201``.
        parts: what its nodes are, likewise: ``operations``.
        nodes: their names, in the order of the published table.
        ops: what may be at them, by published names.
    """

    what: str
    parts: str
    nodes: tuple[str, ...]
    ops: Mapping[str, Op]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Published names by the ops as text, which is the same for equal ones."""
        return {repr(op): name for name, op in self.ops.items()}

    def read(self, graph: Graph) -> tuple[str, ...]:
        """Return the published names of what is at the nodes, in their order.

        Raises:
            GraphError: when a node is missing, or anything else is at it; the node is shown.
        """
        found = []
        for name in self.nodes:
            if name not in graph:
                raise GraphError(f"this is no {self.what}: it has no node {name!r}", place=str(graph))
            node = graph.node(name)
            published = self.names.get(repr(node.op))
            if published is None:
                raise GraphError(
                    f"this is no {self.what}: {node.op!r} is none of its {self.parts}",
                    expected=" or ".join(self.names),
                    place=str(node),
                )
            found.append(published)
        return tuple(found)
