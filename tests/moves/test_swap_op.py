"""SwapOp: structure, function, refusal."""

from __future__ import annotations

import pytest
import torch

from archgraph import Graph, ops
from archgraph.errors import MoveRefused, UnknownName
from archgraph.moves import SwapOp, parse
from tests import strategies as some
from tests.moves.graphs import GRAPHS

RESIDUAL = GRAPHS["residual"]


def test_structure() -> None:
    after = SwapOp("r", ops.GELU()).apply(RESIDUAL)
    assert str(after) == str(RESIDUAL).replace("r = ReLU()(n)", "r = GELU()(n)")
    assert SwapOp("g", ops.GlobalMaxPool()).apply(RESIDUAL).op("g") == ops.GlobalMaxPool()


def test_weights_stay_where_they_fit() -> None:
    network = some.network_of(RESIDUAL)
    dilated = SwapOp("a", ops.Conv2d(3, kernel_size=3, padding=2, dilation=2)).apply(network)
    assert all(torch.equal(dilated.weights[label], network.weights[label]) for label in network.weights)
    biased = SwapOp("b", ops.Conv2d(3, kernel_size=1)).apply(network)
    assert torch.equal(biased.weights["b.weight"], network.weights["b.weight"]) and "b.bias" in biased.weights


def test_weights_are_drawn_anew_from_the_seed_where_they_do_not_fit() -> None:
    network = some.network_of(RESIDUAL)
    five = ops.Conv2d(3, kernel_size=5, padding=2)
    one, same, other = (SwapOp("a", five, seed=seed).apply(network) for seed in (1, 1, 2))
    assert one == same and not torch.equal(one.weights["a.weight"], other.weights["a.weight"])
    assert one.weights["a.weight"].shape == (3, 2, 5, 5) and one.weights["a.weight"].dtype == torch.float64
    depthwise = SwapOp("b", ops.Conv2d(3, kernel_size=1, groups=3)).apply(network)
    assert depthwise.weights["b.weight"].shape == (3, 1, 1, 1)


def test_function_changes_as_the_op_does() -> None:
    network = some.network_of(RESIDUAL)
    assert some.change(network, SwapOp("r", ops.LeakyReLU(0.0)).apply(network)) == 0.0
    assert some.change(network, SwapOp("r", ops.Tanh()).apply(network)) > 1e-3
    assert some.change(network, SwapOp("r", ops.SiLU()).inverse(RESIDUAL).apply(network_swapped(network))) == 0.0


def network_swapped(network):  # type: ignore[no-untyped-def]
    return SwapOp("r", ops.SiLU()).apply(network)


def test_text() -> None:
    move = SwapOp("r", ops.LeakyReLU(0.3), seed=4)
    assert repr(move) == "SwapOp('r', op=LeakyReLU(negative_slope=0.3), seed=4)" and parse(repr(move)) == move


def test_inverse() -> None:
    move = SwapOp("a", ops.Conv2d(3, kernel_size=1))
    back = move.inverse(RESIDUAL)
    assert back == SwapOp("a", RESIDUAL.op("a")) and back.apply(move.apply(RESIDUAL)) == RESIDUAL


def test_sites_are_within_families() -> None:
    sites = list(SwapOp.sites(RESIDUAL))
    assert [move for move in sites if move.node == "s"] == [SwapOp("s", ops.Multiply())]
    assert [move for move in sites if move.node == "g"] == [SwapOp("g", ops.GlobalMaxPool())]
    assert {move.node for move in sites} == {"r", "s", "t", "g"}
    assert len([move for move in sites if move.node == "r"]) == 6


@pytest.mark.parametrize(
    ("graph", "move", "error", "message"),
    [
        ("residual", SwapOp("r", ops.ReLU()), MoveRefused, "node 'r' has this op already"),
        ("residual", SwapOp("a", ops.Conv2d(3, kernel_size=3)), MoveRefused, "does not fit"),
        ("residual", SwapOp("c", ops.Conv2d(5, kernel_size=3, stride=2)), MoveRefused, "does not fit|another shape"),
        ("residual", SwapOp("o", ops.Linear(6)), MoveRefused, "gives another shape"),
        ("residual", SwapOp("r", ops.Add()), MoveRefused, "does not fit: node 'r': Add takes at least 2 inputs"),
        ("residual", SwapOp("r", ops.LayerNorm()), MoveRefused, "does not fit"),
        ("residual", SwapOp("z", ops.ReLU()), UnknownName, "unknown node 'z'"),
        ("residual", SwapOp("r", "Tanh()"), MoveRefused, "not an op"),  # type: ignore[arg-type]
        ("shared weights", SwapOp("b", ops.Linear(4, bias=False)), MoveRefused, "node 'b' shares its weights"),
        ("shared weights", SwapOp("c", ops.Linear(4, bias=False)), MoveRefused, "node 'c' shares its weights"),
    ],
    ids=repr,
)
def test_refusal(graph: str, move: SwapOp, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        move.apply(GRAPHS[graph])
    assert error is UnknownName or caught.value.place  # type: ignore[attr-defined]


def test_the_new_op_may_be_given_by_keyword_text_alone() -> None:
    graph = Graph.parse("x = Input((3,))\na = Tanh()(x)\no = Linear(2)(a)\nreturn o")
    assert parse("SwapOp('a', ReLU())").apply(graph).op("a") == ops.ReLU()
