"""What a seed graph tells a space of graph networks: features of a node, how many edges it has, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from archgraph import ops
from archgraph.errors import SpaceError
from archgraph.graph import Graph


@dataclass(frozen=True)
class GraphEnds:
    """What a network on graphs reads and gives.

    Args:
        features: of a node.
        outputs: number of outputs.
        degree: mean number of edges of a node.
        pooled: whether outputs are of graphs.
    """

    features: int
    outputs: int
    degree: int
    pooled: bool

    @classmethod
    def of(cls, graph: Graph) -> GraphEnds:
        """Read them off a seed graph.

        Raises:
            SpaceError: when it does not make a vector from a vector.
        """
        sources = {name: graph.op(name) for name in graph.inputs}
        features = [graph.shape(name) for name, op in sources.items() if isinstance(op, ops.Input)]
        results = [graph.shape(name) for name in graph.outputs]
        if [len(shape.dims) for shape in (*features, *results)] != [1, 1]:
            raise SpaceError(
                "a space of graph networks needs a seed graph from features of nodes to a vector",
                expected="input (features,), output (units,)",
                got=f"{', '.join(map(str, features))} -> {', '.join(map(str, results))}",
            )
        degree = next((op.degree for op in sources.values() if isinstance(op, ops.Edges)), ops.Edges().degree)
        pooled = any(isinstance(op, ops.Membership) for op in sources.values())
        return cls(features[0].units, results[0].units, degree, pooled)
