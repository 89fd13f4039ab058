"""To and from networkx."""

from __future__ import annotations

from typing import Any

from archgraph.errors import GraphError
from archgraph.graph.graph import Graph
from archgraph.graph.node import Node


def to_networkx(graph: Graph) -> Any:
    """Return a ``networkx.MultiDiGraph``.

    Nodes carry ``op`` (the op value), ``shape`` and ``tie``; edges carry ``position``, the number of the input they
    feed; the graph carries ``inputs`` and ``outputs``.
    """
    import networkx

    result = networkx.MultiDiGraph(inputs=graph.inputs, outputs=graph.outputs)
    for node in graph:
        result.add_node(node.name, op=node.op, shape=graph.shape(node.name), tie=node.tie)
    for node in graph:
        for position, source in enumerate(node.inputs):
            result.add_edge(source, node.name, position=position)
    return result


def from_networkx(source: Any) -> Graph:
    """Build a graph from a directed networkx graph as :func:`to_networkx` makes it.

    Without ``position`` on its edges a node's inputs are taken in the order of insertion; without ``outputs`` the nodes
    that nobody reads are returned.

    Raises:
        GraphError: when a node has no ``op`` or the graph is not valid.
    """
    nodes = []
    for name, facts in source.nodes(data=True):
        if "op" not in facts:
            raise GraphError(f"node {name!r} of the networkx graph has no attribute 'op'")
        edges = [(facts.get("position", 0), origin) for origin, _, facts in source.in_edges(name, data=True)]
        inputs = [origin for _, origin in sorted(edges, key=lambda edge: edge[0])]
        nodes.append(Node(str(name), facts["op"], tuple(map(str, inputs)), facts.get("tie")))
    outputs = source.graph.get("outputs") or [str(name) for name in source.nodes if source.out_degree(name) == 0]
    return Graph(nodes, outputs)
