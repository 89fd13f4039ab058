"""Pieces: what the combinators wire, and what they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from archgraph import Graph, GraphBuilder, ops
from archgraph.errors import SpaceError
from archgraph.spaces import Choice, Int, Parameters, pieces, space
from archgraph.testing import check_space

VECTOR = ops.Input((4,))


def wide(p: Parameters, build: GraphBuilder, x: str) -> str:
    return build(ops.Linear(p.int("width", 2, 3)), x)


def keep(p: Parameters, build: GraphBuilder, x: str) -> str:
    return build(p.choice("keeps", [ops.ReLU(), ops.Tanh()]), x)


def text(*lines: str) -> Graph:
    return Graph.parse("\n".join(lines))


CASES: dict[str, tuple[tuple[pieces.Part, ...], dict[str, Any], float, Graph]] = {
    "chain": (
        (pieces.chain(wide, ops.ReLU()), pieces.chain()),
        {"width": 3},
        2,
        text("input1 = Input((4,))", "linear1 = Linear(3)(input1)", "relu1 = ReLU()(linear1)", "return relu1"),
    ),
    "scoped": (
        (pieces.scoped("a", wide), pieces.scoped("b", wide, keep)),
        {"a.width": 2, "b.width": 3, "b.keeps": "Tanh()"},
        8,
        text(
            *("input1 = Input((4,))", "linear1 = Linear(2)(input1)", "linear2 = Linear(3)(linear1)"),
            *("tanh1 = Tanh()(linear2)", "return tanh1"),
        ),
    ),
    "repeat": (
        (pieces.repeat("block", wide, 1, 3),),
        {"block.times": 2, "block1.width": 2, "block2.width": 3},
        2 + 4 + 8,
        text("input1 = Input((4,))", "linear1 = Linear(2)(input1)", "linear2 = Linear(3)(linear1)", "return linear2"),
    ),
    "repeat-shared": (
        (pieces.repeat("cell", wide, 2, shared=True),),
        {"cell.width": 3},
        2,
        text("input1 = Input((4,))", "linear1 = Linear(3)(input1)", "linear2 = Linear(3)(linear1)", "return linear2"),
    ),
    "one-of-ops": (
        (pieces.one_of("act", [ops.ReLU(), ops.Tanh(), ops.SiLU()]),),
        {"act": "Tanh()"},
        3,
        text("input1 = Input((4,))", "tanh1 = Tanh()(input1)", "return tanh1"),
    ),
    "one-of-named": (
        (pieces.one_of("kind", {"wide": wide, "keep": keep, "none": pieces.chain()}), ops.Linear(5)),
        {"kind": "wide", "kind.wide.width": 2},
        2 + 2 + 1,
        text("input1 = Input((4,))", "linear1 = Linear(2)(input1)", "linear2 = Linear(5)(linear1)", "return linear2"),
    ),
    "optional": (
        (pieces.optional("more", wide, ops.ReLU()), ops.Linear(5)),
        {"more": False},
        3,
        text("input1 = Input((4,))", "linear1 = Linear(5)(input1)", "return linear1"),
    ),
    "branches": (
        (pieces.branches(keep, wide, pieces.chain(), merge=ops.Concat()),),
        {"branch1.keeps": "ReLU()", "branch2.width": 3},
        4,
        text(
            *("input1 = Input((4,))", "relu1 = ReLU()(input1)", "linear1 = Linear(3)(input1)"),
            *("concat1 = Concat()(relu1, linear1, input1)", "return concat1"),
        ),
    ),
    "edge": (
        (pieces.edge("skip", keep),),
        {"skip": True, "keeps": "Tanh()"},
        4,
        text("input1 = Input((4,))", "tanh1 = Tanh()(input1)", "add1 = Add()(tanh1, input1)", "return add1"),
    ),
    "cell-of-all": (
        (pieces.cell("c", 2, {"relu": ops.ReLU(), "same": pieces.chain()}),),
        {"c.edge1_0": "relu", "c.edge2_0": "same", "c.edge2_1": "relu"},
        8,
        text(
            *("input1 = Input((4,))", "relu1 = ReLU()(input1)", "relu2 = ReLU()(relu1)"),
            *("add1 = Add()(input1, relu2)", "return add1"),
        ),
    ),
    "cell-of-two": (
        (pieces.cell("c", 3, {"relu": ops.ReLU(), "keep": keep}, reads=1, merge=ops.Multiply()),),
        {
            **{"c.edge1_1": "relu", "c.from2_1": 0, "c.edge2_1": "keep", "c.edge2_1.keep.keeps": "Tanh()"},
            **{"c.from3_1": 1, "c.edge3_1": "relu"},
        },
        3 * (2 * 3) * (3 * 3),
        text(
            *("input1 = Input((4,))", "relu1 = ReLU()(input1)", "tanh1 = Tanh()(input1)", "relu2 = ReLU()(relu1)"),
            *("add1 = Add()(tanh1, relu2)", "return add1"),  # node 2 is read by none, so it leaves the cell, too
        ),
    ),
}


@pytest.mark.parametrize(("parts", "values", "size", "graph"), CASES.values(), ids=CASES)
def test_combinators(parts: tuple[pieces.Part, ...], values: dict[str, Any], size: float, graph: Graph) -> None:
    found = space(pieces.network(VECTOR, *parts))
    assert found.canonical(values) == values
    assert found.build(values) == graph
    assert found.size == size


@pytest.mark.parametrize(("parts", "values", "size", "graph"), CASES.values(), ids=CASES)
def test_they_keep_the_contract(
    parts: tuple[pieces.Part, ...], values: dict[str, Any], size: float, graph: Graph
) -> None:
    check_space(space(pieces.network(VECTOR, *parts)), draws=4)


def test_they_nest() -> None:
    inner = pieces.branches(pieces.repeat("deep", keep, 0, 1), pieces.optional("extra", keep))
    found = space(pieces.network(VECTOR, pieces.repeat("stage", pieces.scoped("in", inner), 1, 2), ops.Linear(3)))
    assert found.domains["stage2.in.branch1.deep.times"] == Int(0, 1)
    assert found.domains["stage1.in.branch2.keeps"] == Choice(("ReLU()", "Tanh()"))
    assert found.size == 9 + 81
    check_space(found, draws=5)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: pieces.chain("ReLU"), "a part is an op or a function"),  # type: ignore[arg-type]
        (lambda: pieces.branches(), "branches need at least one part"),
        (lambda: pieces.cell("c", 0, {}), "a cell needs at least one node"),
        (lambda: pieces.cell("c", 2, {}, reads=0), "a cell needs at least one node"),
    ],
)
def test_wrong_parts(make: Any, what: str) -> None:
    with pytest.raises(SpaceError, match=what):
        make()
