from __future__ import annotations

import pytest
import torch

from archgraph.errors import GraphError, ShapeError
from archgraph.graph import Graph, Op, Shape, Stack
from archgraph.ops import Add, Concat, Multiply

SHAPES = {
    "add-units": (Add(), (Shape((2, 5)), Shape((3, 5))), "Add needs inputs of one shape"),
    "add-layout": (Add(), (Shape((2, 5)), Shape((2, 5), unit_axis=1)), "Add needs inputs of one shape"),
    "multiply": (Multiply(), (Shape((2,)), Shape((2,)), Shape((3,))), "Multiply needs inputs of one shape"),
    "concat-positions": (Concat(), (Shape((2, 5)), Shape((3, 7))), "differ in their number of units only"),
    "concat-layout": (Concat(), (Shape((5, 2)), Shape((5, 3), unit_axis=1)), "differ in their number of units only"),
}


@pytest.mark.parametrize(("op", "shapes", "message"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_are_refused(op: Op, shapes: tuple[Shape, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        op.infer(*shapes)
    assert ", ".join(map(str, shapes)) in str(caught.value)


@pytest.mark.parametrize("op", ["Add()", "Multiply()"])
def test_one_input_is_too_few(op: str) -> None:
    with pytest.raises(GraphError, match="takes at least 2 inputs, not 1"):
        Graph.parse(f"a = Input((2,))\nb = {op}(a)\nreturn b")


def test_values_by_hand() -> None:
    parts = (torch.tensor([[2.0]]), torch.tensor([[3.0]]), torch.tensor([[7.0]]))
    shapes = (Shape((1,)),) * 3
    assert Add().forward(parts, shapes).item() == 12
    assert Multiply().forward(parts, shapes).item() == 42
    assert Concat().forward(parts, shapes).tolist() == [[2, 3, 7]]


def test_concat_of_tokens_joins_the_last_axis() -> None:
    shapes = (Shape((3, 5), unit_axis=1), Shape((3, 2), unit_axis=1))
    assert Concat().infer(*shapes) == Shape((3, 7), unit_axis=1)
    assert Concat().forward((torch.ones(4, 3, 5), torch.zeros(4, 3, 2)), shapes).shape == (4, 3, 7)
    assert Concat().rule(*shapes) == Stack()


def test_the_same_input_twice() -> None:
    graph = Graph.parse("a = Input((2,))\nb = Add()(a, a)\nreturn b")
    assert graph.shape("b").dims == (2,)
