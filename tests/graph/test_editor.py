"""The editor: every change, every refusal, and that editing step by step equals building from scratch."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, Op, ops
from archgraph.errors import GraphError, ShapeError, UnknownName
from archgraph.graph import Editor
from tests import strategies as some

TEXT = """\
x = Input((3,))
a = Linear(5)(x)
b = ReLU()(a)
c = Add()(a, b)
d = Linear(2)(c)
return d, b
"""


def edited(text: str = TEXT) -> tuple[Graph, Editor]:
    graph = Graph.parse(text)
    return graph, graph.edit()


def assert_consistent(graph: Graph) -> None:
    """All that is derived equals what building from scratch derives, order included."""
    scratch = Graph(list(graph), graph.outputs)
    assert str(scratch) == str(graph) and scratch == graph and scratch.inputs == graph.inputs
    assert scratch._shapes == graph._shapes
    assert scratch._users == graph._users
    assert scratch._ties == graph._ties


def lines(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_insert_stands_on_every_leaving_edge_behind_its_input() -> None:
    graph, edit = edited()
    with edit:
        assert edit.insert("b", ops.Dropout(0.5)) == "dropout1"
        assert edit.insert("a", ops.Tanh(), name="t") == "t"
    assert str(edit.graph) == lines(
        TEXT,
        ("b = ReLU()(a)\n", "t = Tanh()(a)\nb = ReLU()(t)\ndropout1 = Dropout()(b)\n"),
        ("Add()(a, b)", "Add()(t, dropout1)"),
        ("return d, b", "return d, dropout1"),
    )
    assert_consistent(edit.graph)
    assert str(graph) == TEXT


def test_add_rewire_connect_and_outputs() -> None:
    graph, edit = edited()
    with edit:
        late = edit.add(ops.Linear(5), "x", tie="a")
        edit.rewire("c", 1, late)
        edit.connect("d", "b")
        edit.outputs("d", "c")
    assert str(edit.graph) == lines(
        TEXT,
        ("a = Linear(5)(x)\n", "a = Linear(5)(x)\nlinear1 = Linear(5)(x) @ a\n"),
        ("Add()(a, b)", "Add()(a, linear1)"),
        ("Linear(2)(c)", "Linear(2)(b)"),
        ("return d, b", "return d, c"),
    )
    assert edit.graph.tied("linear1") == ("a", "linear1") and graph.tied("a") == ("a",)
    assert_consistent(edit.graph)


def test_replace_infers_shapes_downstream() -> None:
    _, edit = edited()
    with edit:
        edit.replace("a", ops.Linear(7))
    assert [edit.graph.shape(name).units for name in "xabcd"] == [3, 7, 7, 7, 2]
    assert_consistent(edit.graph)


def test_remove_lets_readers_read_its_input() -> None:
    _, edit = edited()
    with edit:
        edit.remove("b")
    assert str(edit.graph) == lines(TEXT, ("b = ReLU()(a)\n", ""), ("(a, b)", "(a, a)"), ("d, b", "d, a"))
    assert_consistent(edit.graph)


def test_remove_what_nobody_reads() -> None:
    _, edit = edited(TEXT.replace("return d, b", "return d, b, c"))
    with edit:
        edit.outputs("c")
        edit.remove("d")
    assert list(edit.graph.nodes) == ["x", "a", "b", "c"]
    assert_consistent(edit.graph)


def test_a_name_can_be_taken_again_after_removal() -> None:
    _, edit = edited()
    with edit:
        edit.remove("b")
        edit.insert("a", ops.SiLU(), name="b")
    assert str(edit.graph) == lines(TEXT, ("ReLU()", "SiLU()"), ("Add()(a, b)", "Add()(b, b)"))
    assert_consistent(edit.graph)


def test_a_new_input_stands_behind_the_others() -> None:
    _, edit = edited()
    with edit:
        edit.rewire("c", 1, edit.add(ops.ReLU(), edit.add(ops.Input((5,))), name="r"))
    assert edit.graph.inputs == ("x", "input1")
    assert list(edit.graph.nodes) == ["x", "input1", "r", "a", "b", "c", "d"]
    assert_consistent(edit.graph)


def test_edges_may_turn_around() -> None:
    _, edit = edited()
    with edit:
        edit.connect("c", "a", "a")
        edit.connect("b", "c")
    assert list(edit.graph.nodes) == ["x", "a", "c", "b", "d"]
    assert edit.graph.users("a") == ("c",) and edit.graph.users("c") == ("b", "d")
    assert_consistent(edit.graph)


def test_ties_go_with_their_nodes() -> None:
    text = "x = Input((3,))\na = Linear(3)(x)\nb = Linear(3)(x) @ a\nc = Add()(a, b)\nd = Linear(2)(c)\nreturn d\n"
    _, edit = edited(text)
    with edit:
        with pytest.raises(GraphError, match="node 'a' owns weights that b use") as caught:
            edit.remove("a")
        assert caught.value.hint == "remove those first"
        edit.remove("b")
    assert str(edit.graph) == lines(text, ("b = Linear(3)(x) @ a\n", ""), ("(a, b)", "(a, x)"))
    assert edit.graph.tied("a") == ("a",)
    assert_consistent(edit.graph)


REFUSED = [
    ("unknown node", lambda edit: edit.replace("bb", ops.ReLU()), UnknownName, "did you mean 'b'"),
    ("insert after nothing", lambda edit: edit.insert("z", ops.ReLU()), UnknownName, "unknown node 'z'"),
    ("no such input", lambda edit: edit.rewire("c", 2, "x"), GraphError, "node 'c' has no input 2"),
    ("negative input", lambda edit: edit.rewire("c", -1, "x"), GraphError, "node 'c' has no input -1"),
    ("name taken", lambda edit: edit.add(ops.ReLU(), "x", name="b"), GraphError, "two nodes are called 'b'"),
    ("remove a sum", lambda edit: edit.remove("c"), GraphError, "node 'c' has 2 inputs, so its readers"),
    ("remove an input", lambda edit: edit.remove("x"), GraphError, "node 'x' has 0 inputs"),
]


@pytest.mark.parametrize(
    ("change", "error", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused_at_once_and_the_edit_goes_on(change: object, error: type[Exception], message: str) -> None:
    graph, edit = edited()
    with pytest.raises(error, match=message):
        change(edit)
    assert edit.finish() == graph


INVALID = [
    ("cycle", lambda edit: edit.rewire("b", 0, "c"), GraphError, "cycle through b <- c <- b"),
    ("dead end", lambda edit: edit.connect("d", "b"), GraphError, "output of node 'c' is neither read nor returned"),
    ("dropped output", lambda edit: edit.outputs("b"), GraphError, "output of node 'd' is neither"),
    ("no output", lambda edit: edit.outputs(), GraphError, "at least one output"),
    ("unknown output", lambda edit: edit.outputs("z"), GraphError, "output 'z' does not exist"),
    ("unknown source", lambda edit: edit.rewire("b", 0, "z"), GraphError, "node 'b' reads 'z', which does not exist"),
    ("wrong arity", lambda edit: edit.insert("a", ops.Add()), GraphError, "takes at least 2 inputs, not 1"),
    ("shape", lambda edit: edit.rewire("c", 1, "x"), ShapeError, "node 'c': Add needs inputs of one shape"),
    ("shape downstream", lambda edit: edit.insert("b", ops.Linear(7)), ShapeError, "node 'c': Add needs inputs"),
    ("bad name", lambda edit: edit.insert("b", ops.ReLU(), name="a b"), GraphError, "not a Python identifier"),
]


@pytest.mark.parametrize(
    ("change", "error", "message"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_verified_when_left(change: object, error: type[Exception], message: str) -> None:
    graph, edit = edited()
    with pytest.raises(error, match=message), edit:
        change(edit)
    with pytest.raises(error, match=message):  # and it is not accepted the second time
        edit.finish()
    with pytest.raises(GraphError, match="the edit is not finished"):
        _ = edit.graph
    assert str(graph) == TEXT
    assert_consistent(graph)


def test_a_failed_edit_can_be_mended() -> None:
    _, edit = edited()
    edit.replace("a", ops.Linear(7))
    edit.insert("b", ops.Linear(5), name="e")
    with pytest.raises(ShapeError):
        edit.finish()
    edit.replace("e", ops.Linear(7))
    assert edit.finish().shape("c").units == 7
    assert_consistent(edit.graph)


def test_an_error_inside_the_block_is_not_hidden() -> None:
    _, edit = edited()
    with pytest.raises(RuntimeError, match="mine"), edit:
        edit.outputs()
        raise RuntimeError("mine")


def test_a_finished_edit_cannot_change_its_graph() -> None:
    _, edit = edited()
    graph = edit.finish()
    for change in (
        lambda: edit.replace("b", ops.Tanh()),
        lambda: edit.add(ops.ReLU(), "x"),
        lambda: edit.outputs("d"),
        lambda: edit.remove("b"),
        lambda: edit.insert("b", ops.ReLU()),
    ):
        with pytest.raises(GraphError, match="the edit is finished"):
            change()
    assert str(graph) == TEXT
    assert_consistent(graph)


def test_an_unchanged_edit_gives_an_equal_graph() -> None:
    graph, edit = edited()
    assert edit.finish() == graph and edit.finish() is edit.graph


def _random_change(draw: st.DrawFn, edit: Editor, graph: Graph) -> None:
    """One change that keeps shapes, on a graph that may have been changed already."""
    nodes = edit._draft.nodes
    name = draw(st.sampled_from(sorted(nodes)))
    node = nodes[name]
    kind = draw(st.sampled_from(("insert", "replace", "remove", "rewire", "add", "widen", "tie")))
    activation: Op = draw(st.sampled_from(some.ACTIVATIONS))
    twins = [
        other for other in graph.nodes if other in nodes and name in graph and graph.shape(other) == graph.shape(name)
    ]
    if kind == "insert":
        edit.insert(name, activation)
    elif kind == "replace" and isinstance(node.op, ops.Activation):
        edit.replace(name, activation)
    elif kind == "remove" and isinstance(node.op, ops.Activation):
        edit.remove(name)
    elif kind == "rewire" and node.inputs and twins:  # may make a cycle or a dead end: then the edit is refused
        readers = [other for other in nodes if name in nodes[other].inputs]
        if readers:
            reader = draw(st.sampled_from(readers))
            edit.rewire(reader, nodes[reader].inputs.index(name), draw(st.sampled_from(twins)))
    elif kind == "add":
        edit.outputs(*edit._draft.outputs, edit.add(activation, name))
    elif kind == "widen" and isinstance(node.op, ops.Linear):
        edit.replace(name, ops.Linear(node.op.out_features + 1, bias=node.op.bias))
    elif kind == "tie" and node.tie is None and isinstance(node.op, ops.Linear | ops.Conv2d):
        edit.outputs(*edit._draft.outputs, edit.add(node.op, *node.inputs, tie=name))


@settings(max_examples=200)
@given(st.data())
def test_editing_step_by_step_equals_building_from_scratch(data: st.DataObject) -> None:
    graph = data.draw(some.graphs())
    for _ in range(3):
        before = str(graph)
        edit = graph.edit()
        for _ in range(data.draw(st.integers(1, 4))):
            try:
                _random_change(data.draw, edit, graph)
            except GraphError:
                break
        nodes, outputs = list(edit._draft.nodes.values()), edit._draft.outputs
        try:
            after = edit.finish()
        except GraphError as error:
            with pytest.raises(type(error)):
                Graph(nodes, outputs)
        else:
            assert Graph(nodes, outputs)._shapes == after._shapes
            assert_consistent(after)
            assert graph.edit().finish() == graph
            assert str(graph) == before
            assert_consistent(graph)
            graph = after
