"""networkx in and out."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given, settings

from archgraph import Graph, ops
from archgraph.errors import GraphError
from tests import strategies as some


@settings(max_examples=60)
@given(some.graphs())
def test_round_trip(graph: Graph) -> None:
    there = graph.to_networkx()
    assert Graph.from_networkx(there) == graph
    assert str(Graph.from_networkx(there)) == str(graph)
    assert networkx.is_directed_acyclic_graph(there)
    assert there.number_of_edges() == sum(len(node.inputs) for node in graph)


def test_attributes() -> None:
    graph = Graph.parse("x = Input((3,))\na = Linear(5)(x)\nb = Linear(5)(x) @ a\nc = Concat()(b, a, b)\nreturn c, a")
    there = graph.to_networkx()
    assert there.graph == {"inputs": ("x",), "outputs": ("c", "a")}
    assert there.nodes["b"] == {"op": ops.Linear(5), "shape": graph.shape("b"), "tie": "a"}
    assert sorted((position, source) for source, _, position in there.in_edges("c", data="position")) == [
        (0, "b"),
        (1, "a"),
        (2, "b"),
    ]


def test_a_plain_digraph_is_read() -> None:
    source = networkx.DiGraph()
    source.add_node("x", op=ops.Input((3,)))
    source.add_node("y", op=ops.ReLU())
    source.add_node("z", op=ops.Add())
    source.add_edges_from([("x", "y"), ("y", "z"), ("x", "z")])
    assert Graph.from_networkx(source) == Graph.parse("x = Input((3,))\ny = ReLU()(x)\nz = Add()(y, x)\nreturn z")


def test_refusals() -> None:
    source = networkx.DiGraph()
    source.add_node("x")
    with pytest.raises(GraphError, match="node 'x' of the networkx graph has no attribute 'op'"):
        Graph.from_networkx(source)
