"""Sketches are read by the names of their nodes, whatever else is in them."""

from __future__ import annotations

import pytest

from archgraph import ops
from archgraph.errors import GraphError
from archgraph.graph import Graph, GraphBuilder
from archgraph.spaces.legend import Legend

LEGEND = Legend("toy", "layers", ("b", "a"), {"wide": ops.Linear(7), "none": ops.Identity(), "narrow": ops.Linear(3)})


def drawn(a: ops.Op, b: ops.Op) -> Graph:
    build = GraphBuilder()
    return build.graph(build(b, build(ops.ReLU(), build(a, build(ops.Input((5,))), name="a")), name="b"))


def test_nodes_are_read_in_the_order_of_the_legend() -> None:
    assert LEGEND.read(drawn(ops.Linear(3), ops.Identity())) == ("none", "narrow")
    assert LEGEND.read(drawn(ops.Linear(7), ops.Linear(3))) == ("narrow", "wide")


def test_a_node_that_is_not_there() -> None:
    build = GraphBuilder()
    graph = build.graph(build(ops.Linear(3), build(ops.Input((5,))), name="b"))
    with pytest.raises(GraphError, match="this is no toy: it has no node 'a'") as caught:
        LEGEND.read(graph)
    assert caught.value.place == str(graph)


def test_an_op_that_is_not_in_the_legend() -> None:
    graph = drawn(ops.Linear(4), ops.Identity())
    with pytest.raises(GraphError, match=r"this is no toy: Linear\(4\) is none of its layers") as caught:
        LEGEND.read(graph)
    assert caught.value.expected == "Linear(7) or Identity() or Linear(3)"
    assert caught.value.place == str(graph.node("a"))
