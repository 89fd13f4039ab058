"""The canonical hash: the same under renaming and reordering, another under any change of what is computed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, Node, ops
from archgraph.errors import GraphError
from tests import strategies as some


def renamed(graph: Graph, draw: st.DrawFn) -> Graph:
    """The same graph under other names, independent nodes in another order; inputs keep theirs."""
    numbers = draw(st.permutations(range(len(graph))))
    names = {name: f"n{number}" for name, number in zip(graph.nodes, numbers, strict=True)}
    nodes = [
        Node(names[node.name], node.op, tuple(names[source] for source in node.inputs), names.get(node.tie or ""))
        for node in graph
    ]
    sources = [node for node in nodes if not node.inputs]
    others = draw(st.permutations([node for node in nodes if node.inputs]))
    return Graph([*sources, *others], [names[name] for name in graph.outputs])


@settings(max_examples=60)
@given(st.data())
def test_names_and_order_do_not_count(data: st.DataObject) -> None:
    graph = data.draw(some.graphs())
    other = renamed(graph, data.draw)
    assert other.hash == graph.hash
    assert len(graph.hash) == 32 and int(graph.hash, 16) >= 0


def single_changes(graph: Graph) -> Iterator[Node]:
    """Every node that could stand in the place of the one of its name, with one thing about it changed."""
    for node in graph:
        name, op, inputs, tie = node.name, node.op, node.inputs, node.tie
        if isinstance(op, ops.Activation):
            yield from (Node(name, other, inputs, tie) for other in some.ACTIVATIONS if other != op)
        if inputs != inputs[::-1]:
            yield Node(name, op, inputs[::-1], tie)
        for place, source in enumerate(inputs):
            alike = [o for o in graph.nodes if o not in (name, source) and graph.shape(o) == graph.shape(source)]
            yield from (Node(name, op, (*inputs[:place], o, *inputs[place + 1 :]), tie) for o in alike)
        if tie is not None:
            yield Node(name, op, inputs)
        elif len(graph.tied(name)) == 1 and graph.tensors(name):
            yield from (Node(name, op, inputs, o.name) for o in graph if o.op == op and o is not node and o.tie is None)


def is_isomorphic(one: Graph, other: Graph) -> bool:
    """Search for a renaming of nodes under which two graphs compute the same with the same sharing of weights."""
    return networkx.is_isomorphic(
        *map(_plain, (one, other)),
        node_match=lambda a, b: a["fact"] == b["fact"],
        edge_match=lambda a, b: a["role"] == b["role"],
    )


def _plain(graph: Graph) -> networkx.DiGraph:
    result = networkx.DiGraph()
    for node in graph:
        place = graph.inputs.index(node.name) if node.name in graph.inputs else None
        returned = tuple(p for p, name in enumerate(graph.outputs) if name == node.name)
        result.add_node(node.name, fact=(node.op, place, returned))
        result.add_node(("weights", node.owner), fact="weights")
        result.add_edge(node.name, ("weights", node.owner), role="uses")
    for node in graph:
        for source in node.inputs:
            role = tuple(place for place, other in enumerate(node.inputs) if other == source)
            result.add_edge(source, node.name, role=role)
    return result


@settings(max_examples=60)
@given(some.graphs())
def test_a_single_change_counts_unless_the_graphs_are_isomorphic(graph: Graph) -> None:
    for node in single_changes(graph):
        try:
            changed = Graph((graph.nodes | {node.name: node}).values(), graph.outputs)
        except GraphError:
            continue  # a cycle, a dead end, other tensors
        assert (changed.hash == graph.hash) == is_isomorphic(changed, graph), node


X = "x = Input((3,))\n"
DIFFERENT = {
    "untied": X + "a = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c",
    "tied": X + "a = Linear(5)(x)\nb = Linear(5)(x) @ a\nc = Add()(a, b)\nreturn c",
    "twice the same node": X + "a = Linear(5)(x)\nc = Add()(a, a)\nreturn c",
    "two outputs": X + "a = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c, a",
    "the other output": X + "a = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c, b",
    "outputs swapped": X + "a = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn a, c",
    "one output twice": X + "a = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c, c",
    "wider": X + "a = Linear(7)(x)\nb = Linear(7)(x)\nc = Add()(a, b)\nreturn c",
    "another input": "x = Input((2,))\na = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c",
    "an input more": X + "y = Input((2,))\na = Linear(5)(x)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c",
    "two inputs": X + "y = Input((3,))\na = Linear(5)(x)\nb = Linear(5)(y)\nc = Add()(a, b)\nreturn c",
    "two inputs swapped": X + "y = Input((3,))\na = Linear(5)(y)\nb = Linear(5)(x)\nc = Add()(a, b)\nreturn c",
}


def test_graphs_that_compute_something_else_hash_apart() -> None:
    hashes = {name: Graph.parse(text).hash for name, text in DIFFERENT.items()}
    assert len(set(hashes.values())) == len(hashes), hashes


def _four(ties: dict[str, str]) -> str:
    lines = ["x = Input((3,))"]
    for name in "abcd":
        lines.append(f"{name} = Linear(3)(x)" + (f" @ {ties[name]}" if name in ties else ""))
    return "\n".join([*lines, "s = Add()(a, b)", "t = Add()(c, d)", "u = Multiply()(s, t)", "return u"])


def test_who_shares_with_whom_counts() -> None:
    pairings = (
        {},
        {"b": "a"},
        {"c": "a"},
        {"b": "a", "d": "c"},
        {"c": "a", "d": "b"},
        {"d": "a", "c": "b"},
        {"b": "a", "c": "a"},
    )
    assert len({Graph.parse(_four(ties)).hash for ties in pairings}) == len(pairings)


def test_which_of_the_sharers_owns_the_weights_does_not_count() -> None:
    graph = Graph.parse(DIFFERENT["tied"])
    other = Graph.parse(X + "b = Linear(5)(x)\na = Linear(5)(x) @ b\nc = Add()(a, b)\nreturn c")
    assert graph != other and graph.hash == other.hash


@pytest.mark.slow
@pytest.mark.parametrize("salt", ["1", "2"])
def test_another_process_finds_the_same_hash(salt: str) -> None:
    program = f"from archgraph import Graph; print(Graph.parse({DIFFERENT['tied']!r}).hash)"
    environment = os.environ | {"PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == Graph.parse(DIFFERENT["tied"]).hash
