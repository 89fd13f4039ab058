"""Nodes."""

from __future__ import annotations

import pytest

from archgraph import Node, ops


@pytest.mark.parametrize(
    ("node", "text", "owner"),
    [
        (Node("x", ops.Input((3,))), "x = Input((3,))", "x"),
        (Node("y", ops.ReLU(), ("x",)), "y = ReLU()(x)", "y"),
        (Node("z", ops.Add(), ("x", "x", "y")), "z = Add()(x, x, y)", "z"),
        (Node("w", ops.Linear(2), ("y",), "v"), "w = Linear(2)(y) @ v", "v"),
    ],
    ids=["input", "one", "several", "tied"],
)
def test_text_and_owner(node: Node, text: str, owner: str) -> None:
    assert (str(node), repr(node), node.owner) == (text, f"Node({text!r})", owner)


def test_a_node_is_a_value() -> None:
    assert len({Node("y", ops.ReLU(), ("x",)), Node("y", ops.ReLU(), ("x",)), Node("y", ops.ReLU(), ("z",))}) == 2
