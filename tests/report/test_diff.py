"""What differs between two graphs: named by name, said in one line, and nothing when they are the same."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from archgraph import moves, ops
from archgraph.errors import UnknownName
from archgraph.graph import Graph, Op, chain
from archgraph.report import graph_diff
from archgraph.report.diff import op_change

BEFORE = Graph.parse("""
image = Input((3, 9, 7))
stem = Conv2d(4, kernel_size=3, padding=1)(image)
relu = ReLU()(stem)
extra = Dropout(0.2)(relu)
mean = GlobalAvgPool()(extra)
wide = Linear(5)(mean)
tanh = Tanh()(wide)
again = Linear(5)(tanh)
head = Linear(2)(again)
return head
""")
AFTER = Graph.parse("""
image = Input((3, 9, 7))
stem = Conv2d(6, kernel_size=3, padding=1, bias=False)(image)
relu = SiLU()(stem)
norm = BatchNorm()(relu)
mean = GlobalAvgPool()(norm)
wide = Linear(5)(mean)
tanh = Tanh()(wide)
head = Linear(2)(tanh)
return head, tanh
""")
TIED = Graph.parse(
    str(BEFORE)
    .replace("tanh = Tanh()(wide)", "tie = Linear(5)(wide)\ntanh = Tanh()(tie)")
    .replace("again = Linear(5)(tanh)", "again = Linear(5)(tanh) @ tie")
)


def test_every_kind_of_difference_is_found() -> None:
    diff = graph_diff(BEFORE, AFTER)
    assert diff.added == ("norm",) and diff.removed == ("extra", "again")
    assert dict(diff.changed) == {
        "stem": ("op", "shape", "weights"),
        "relu": ("op", "shape"),
        "mean": ("inputs", "shape"),
        "wide": ("weights",),
        "tanh": ("output",),
        "head": ("inputs",),
    }
    assert {name: diff.status(name) for name in ("norm", "extra", "stem", "wide", "image", "tanh")} == {
        "norm": "added", "extra": "removed", "stem": "changed", "wide": "resized", "image": "same", "tanh": "changed",
    }  # fmt: skip
    with pytest.raises(UnknownName, match="unknown node 'tahn'"):
        diff.status("tahn")
    assert bool(diff) and repr(diff) == "<Diff: 1 added, 2 removed, 6 changed>"


def test_the_text_of_a_difference() -> None:
    assert (
        str(graph_diff(BEFORE, AFTER))
        == """\
- extra = Dropout(p=0.2)(relu)
- again = Linear(5)(tanh)
+ norm = BatchNorm()(relu)
~ stem: op Conv2d(4 → 6, kernel_size=3, padding=1, bias=True → False); shape 4x9x7 → 6x9x7; weights
~ relu: op ReLU() → SiLU(); shape 4x9x7 → 6x9x7
~ mean: inputs extra → norm; shape 4 → 6
~ wide: weights
~ tanh: output
~ head: inputs again → tanh
"""
    )


def test_edges_are_new_where_a_node_did_not_read_another_before() -> None:
    diff = graph_diff(BEFORE, AFTER)
    new = {(source, node.name) for node in AFTER for source in node.inputs if diff.is_new_edge(source, node.name)}
    assert new == {("relu", "norm"), ("norm", "mean"), ("tanh", "head")}


def test_ties_come_and_go() -> None:
    diff = graph_diff(BEFORE, TIED)
    assert diff.changed["again"] == ("tie",) and diff.op("again") == "Linear(5) → @ tie"
    assert graph_diff(TIED, BEFORE).op("again") == "Linear(5) @ tie → own weights"
    assert graph_diff(TIED, TIED).op("again") == "Linear(5) @ tie"


@pytest.mark.parametrize("graph", [BEFORE, AFTER, TIED], ids=["before", "after", "tied"])
def test_a_graph_differs_from_itself_in_nothing(graph: Graph) -> None:
    diff = graph_diff(graph, Graph.parse(str(graph)))
    assert not diff and str(diff) == "" and {diff.status(name) for name in graph.nodes} == {"same"}


@pytest.mark.parametrize(("before", "after"), [(BEFORE, AFTER), (AFTER, TIED), (BEFORE, TIED)])
def test_the_other_way_round_adds_what_was_removed(before: Graph, after: Graph) -> None:
    there, back = graph_diff(before, after), graph_diff(after, before)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert dict(there.changed) == dict(back.changed)  # the same nodes in the same aspects
    same = [name for name in after.nodes if there.status(name) == "same"]
    for name in same:  # a slow second look
        assert before.node(name) == after.node(name) and before.shape(name) == after.shape(name)
        assert (name in before.outputs) == (name in after.outputs)


def test_a_move_changes_what_it_duplicates_and_resizes_what_follows() -> None:
    graph = chain(
        ops.Input((3, 8, 8)), ops.Conv2d(4, kernel_size=3), ops.BatchNorm(), ops.ReLU(), ops.GlobalAvgPool(),
        ops.Linear(5),
    )  # fmt: skip
    diff = graph_diff(graph, moves.Duplicate("conv2d1", units=(0, 2)).apply(graph))
    statuses = {name: diff.status(name) for name in graph.nodes}
    assert statuses.pop("input1") == "same" and statuses.pop("conv2d1") == "changed"
    assert len(statuses) == 4 and set(statuses.values()) == {"resized"}
    assert diff.shape("relu1") == "4x6x6 → 6x6x6"


@dataclass(frozen=True, repr=False)
class _Odd(Op):
    size: int

    def __repr__(self) -> str:
        return f"Odd<{self.size}>"


def test_ops_that_print_themselves_are_shown_whole() -> None:
    assert op_change(_Odd(2), _Odd(3)) == "Odd<2> → Odd<3>"
