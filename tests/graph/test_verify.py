"""Every rule a graph must follow: the message and the place it shows."""

from __future__ import annotations

import pytest

from archgraph import Graph, Node, ops
from archgraph.errors import GraphError, ShapeError

X = "x = Input((2, 5, 4))\n"
BROKEN = [
    ("missing", X + "y = ReLU()(w)\nreturn y", "node 'y' reads 'w', which does not exist", "y = ReLU()(w)\n^"),
    ("arity", X + "y = ReLU()(x, x)\nreturn y",
     "node 'y': ReLU takes 1 inputs, not 2", "x = Input((2, 5, 4))\ny = ReLU()(x, x)\n^"),
    ("arity least", X + "y = Add()(x)\nreturn y", "node 'y': Add takes at least 2 inputs, not 1", "y = Add()(x)\n^"),
    ("input reads", X + "y = Input((3,))(x)\nreturn y",
     "node 'y': Input takes 0 inputs, not 1", "y = Input((3,))(x)\n^"),
    ("dead end", X + "yy = ReLU()(x)\nreturn x",
     "the output of node 'yy' is neither read nor returned", "yy = ReLU()(x)\n^^"),
    ("tie missing", X + "y = Conv2d(3, 1)(x) @ z\nreturn y", "uses the weights of 'z', which does not exist", "@ z"),
    (
        "tie of a tie",
        X + "a = Conv2d(2, 1)(x)\nb = Conv2d(2, 1)(a) @ a\nc = Conv2d(2, 1)(b) @ b\nreturn c",
        "node 'c' uses the weights of 'b', which has none of its own",
        "c = Conv2d(2, kernel_size=1)(b) @ b\n^",
    ),
    (
        "tie of another op",
        X + "a = Conv2d(2, 1)(x)\nb = BatchNorm()(a) @ a\nreturn b",
        "node 'b' cannot use the weights of 'a': another kind of op",
        "b = BatchNorm()(a) @ a",
    ),
    (
        "tie of other tensors",
        X + "a = Conv2d(3, 1)(x)\nb = Conv2d(3, 1)(a) @ a\nreturn b",
        "node 'b' cannot use the weights of 'a': it needs other tensors",
        "a = Conv2d(3, kernel_size=1)(x)   # 3x5x4",
    ),
    ("tie of nothing", X + "a = ReLU()(x)\nb = ReLU()(a) @ a\nreturn b",
     "node 'a' has no weights that b could use", "a = ReLU()(x)"),
    ("cycle", X + "a = Add()(x, c)\nb = ReLU()(a)\nc = Tanh()(b)\nreturn b",
     "the graph has a cycle through a <- c <- b <- a", "c = Tanh()(b)"),
    ("self", X + "a = Add()(x, a)\nreturn a", "the graph has a cycle through a <- a", "a = Add()(x, a)"),
    ("output missing", X + "return y", "output 'y' does not exist", ""),
    ("unicode", X + "é = ReLU()(x)\nreturn é", "node name 'é' is not a Python identifier", "é = ReLU()(x)"),
    ("dunder", X + "__y = ReLU()(x)\nreturn __y", "node name '__y' starts with two underscores", "__y = ReLU()(x)"),
    ("shape", X + "y = Linear(3)(x)\nreturn y",
     "node 'y': Linear reads its units from the last axis", "x = Input((2, 5, 4))   # 2x5x4\ny = Linear(3)(x)\n^"),
    (
        "shapes differ",
        X + "a = Conv2d(3, 1)(x)\nb = Add()(x, a)\nreturn b",
        "node 'b': Add needs inputs of one shape",
        "a = Conv2d(3, kernel_size=1)(x)   # 3x5x4\nb = Add()(x, a)\n^",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "place"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_rule(text: str, message: str, place: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.parse(text)
    assert message in caught.value.what
    assert place in (caught.value.place or "")


def test_rules_that_text_cannot_break() -> None:
    x = Node("x", ops.Input((3,)))
    with pytest.raises(GraphError, match="a graph needs at least one output"):
        Graph([x], [])
    with pytest.raises(GraphError, match="two nodes are called 'x'"):
        Graph([x, x], ["x"])
    for name in ("1st", "a b", "class", ""):
        with pytest.raises(GraphError, match="not a Python identifier"):
            Graph([x, Node(name, ops.ReLU(), ("x",))], [name])


def test_a_shape_error_says_expected_and_got() -> None:
    with pytest.raises(ShapeError) as caught:
        Graph.parse(X + "a = Conv2d(3, 1)(x)\nb = Add()(x, a)\nreturn b")
    assert (str(caught.value.expected), caught.value.got) == ("2x5x4", "2x5x4, 3x5x4")


def test_what_is_broken_first_in_the_text_is_named_first() -> None:
    lines = [f"n{i} = ReLU()(missing{i})" for i in range(20)]
    with pytest.raises(GraphError, match="node 'n0' reads 'missing0'"):
        Graph.parse("\n".join([*lines, "return n19"]))


def test_an_input_may_stay_unread() -> None:
    assert Graph.parse("x = Input((3,))\ny = Input((2,))\nreturn x").inputs == ("x", "y")


def test_any_order_is_sorted_keeping_what_is_free() -> None:
    text = "x = Input((3,))\nb = Tanh()(x)\na = ReLU()(x)\nc = Add()(a, b)\nd = Add()(b, c)\nreturn d\n"
    graph = Graph.parse(text)
    nodes = list(graph)
    shuffled = Graph([nodes[4], nodes[1], nodes[3], nodes[2], nodes[0]], graph.outputs)
    assert shuffled == graph and str(shuffled) == text
    assert shuffled.users("b") == graph.users("b") == ("c", "d")


def test_the_owner_of_weights_may_come_later() -> None:
    text = "x = Input((3,))\na = Linear(3)(x) @ b\nb = Linear(3)(a)\nreturn b\n"
    graph = Graph.parse(text)
    assert str(graph) == text and graph.tied("a") == graph.tied("b") == ("a", "b")
