"""Graphs: what can be read off them, and that they are values."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given

from archgraph import Graph, Shape, chain, ops
from archgraph.errors import UnknownName
from archgraph.graph import Absorb, Fixed, Invariant
from tests import strategies as some

TEXT = """\
x = Input((2, 5, 4))
y = Input((3, 5, 4))
a = Conv2d(7, kernel_size=1)(y)
b = Conv2d(7, kernel_size=1)(y) @ a
c = Add()(a, b, a)
d = GlobalAvgPool()(x)
return c, d
"""


def test_reading() -> None:
    graph = Graph.parse(TEXT)
    assert (graph.inputs, graph.outputs, len(graph)) == (("x", "y"), ("c", "d"), 6)
    assert graph.shape("c") == Shape((7, 5, 4)) and graph.input_shapes("d") == (Shape((2, 5, 4)),)
    assert graph.users("a") == ("c",) and graph.users("y") == ("a", "b") and graph.users("d") == ()
    assert graph.tied("a") == graph.tied("b") == ("a", "b") and graph.tied("c") == ("c",)
    assert graph.op("a") == ops.Conv2d(7, kernel_size=1) and graph.node("b").tie == "a"
    assert graph.tensors("b")["weight"].shape == (7, 3, 1, 1)
    assert [type(graph.rule(name)) for name in "xac"] == [Fixed, Absorb, Invariant]
    assert "a" in graph and "z" not in graph
    assert [node.name for node in graph] == list(graph.nodes)
    assert repr(graph) == "<Graph of 6 nodes, x, y -> c, d>" and str(graph) == TEXT


@pytest.mark.parametrize("method", ["node", "op", "shape", "input_shapes", "users", "tied", "tensors", "rule"])
def test_unknown_names(method: str) -> None:
    graph = chain(ops.Input((3,)), ops.Linear(5), ops.ReLU())
    with pytest.raises(UnknownName, match="did you mean 'linear1'") as caught:
        getattr(graph, method)("liner1")
    assert isinstance(caught.value, KeyError)


def test_nothing_can_be_written() -> None:
    graph = Graph.parse(TEXT)
    with pytest.raises(TypeError):
        graph.nodes["z"] = graph.node("x")
    with pytest.raises(AttributeError):
        graph.outputs = ()


@given(some.graphs())
def test_a_graph_is_a_value(graph: Graph) -> None:
    other = Graph(list(graph), graph.outputs)
    assert graph == other and hash(graph) == hash(other) and len({graph, other}) == 1
    again = pickle.loads(pickle.dumps(graph))
    assert again == graph and str(again) == str(graph) and copy.deepcopy(graph) == graph
    for name in graph.nodes:
        assert again.shape(name) == graph.shape(name) and again.users(name) == graph.users(name)


def test_equality_sees_names_outputs_and_the_order_of_inputs() -> None:
    graph = Graph.parse(TEXT)
    lines = TEXT.splitlines()
    assert graph != Graph.parse(TEXT.replace("return c, d", "return d, c"))
    assert graph != Graph.parse("\n".join([lines[1], lines[0], *lines[2:]]))
    assert graph == Graph.parse("\n".join([*lines[:2], lines[5], *lines[2:5], lines[6]]))
    assert graph != Graph.parse(TEXT.replace("d = ", "e = ").replace(", d", ", e"))
    assert graph != TEXT
