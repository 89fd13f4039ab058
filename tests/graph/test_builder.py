"""Chains and builders."""

from __future__ import annotations

import pytest

from archgraph import GraphBuilder, chain, ops
from archgraph.errors import GraphError


def test_chain_names_nodes_after_their_ops() -> None:
    graph = chain(ops.Input((3,)), ops.Linear(5), ops.ReLU(), ops.Linear(2))
    assert list(graph.nodes) == ["input1", "linear1", "relu1", "linear2"]
    assert graph.node("linear2").inputs == ("relu1",) and graph.outputs == ("linear2",)


def test_builder() -> None:
    build = GraphBuilder()
    x = build(ops.Input((3,)), name="x")
    wide = build(ops.Linear(5), x)
    again = build(ops.Linear(5), x, tie=wide)
    graph = build.graph(build(ops.Add(), wide, again), wide)
    assert str(graph) == (
        "x = Input((3,))\nlinear1 = Linear(5)(x)\nlinear2 = Linear(5)(x) @ linear1\n"
        "add1 = Add()(linear1, linear2)\nreturn add1, linear1\n"
    )


def test_made_names_step_around_given_ones() -> None:
    build = GraphBuilder()
    x = build(ops.Input((3,)), name="relu1")
    assert build(ops.ReLU(), build(ops.ReLU(), x)) == "relu3"


def test_refusals() -> None:
    build = GraphBuilder()
    build(ops.Input((3,)), name="x")
    with pytest.raises(GraphError, match="two nodes are called 'x'"):
        build(ops.Input((2,)), name="x")
    with pytest.raises(GraphError, match="a chain needs at least one op"):
        chain()
    with pytest.raises(GraphError, match=r"'linear1'.*takes 1 inputs, not 0"):
        chain(ops.Linear(3))
