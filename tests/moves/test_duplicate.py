"""Duplicate: structure, function, refusal; on hand-written and on random graphs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph
from archgraph.errors import MoveRefused, UnknownName
from archgraph.metrics.graph import macs, params
from archgraph.moves import Duplicate, Prune
from tests import strategies as some

RESIDUAL = """
input1 = Input((2, 5, 4))
conv2d1 = Conv2d(3, kernel_size=3, padding=1)(input1)
batchnorm1 = BatchNorm()(conv2d1)
relu1 = ReLU()(batchnorm1)
conv2d2 = Conv2d(3, kernel_size=1)(relu1)
add1 = Add()(relu1, conv2d2)
depthwise1 = Conv2d(6, kernel_size=3, groups=3)(add1)
concat1 = Concat()(depthwise1, depthwise1)
flatten1 = Flatten()(concat1)
linear1 = Linear(7)(flatten1)
return linear1
"""


def test_structure() -> None:
    graph = Graph.parse(RESIDUAL)
    wider = Duplicate("conv2d1", units=(0, 2)).apply(graph)
    assert str(wider) == str(
        Graph.parse(
            RESIDUAL.replace("Conv2d(3,", "Conv2d(5,").replace(
                "Conv2d(6, kernel_size=3, groups=3", "Conv2d(10, kernel_size=3, groups=5"
            )
        )
    )
    edit = Duplicate("conv2d1", units=(0, 2)).plan(graph)
    assert set(edit.units) == set(graph.nodes) - {"input1", "linear1"}
    assert edit.unit_map("conv2d2").index.tolist() == [0, 0, 1, 2, 2]
    assert edit.unit_map("depthwise1").index.tolist() == [0, 1, 0, 1, 2, 3, 4, 5, 4, 5]
    assert edit.unit_map("depthwise1").coefficient.tolist() == [0.5] * 4 + [1.0] * 2 + [0.5] * 4
    assert edit.input_map("linear1").old_units == 12 * 3 * 2


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("units", [(0,), (1, 2), (0, 1, 2)], ids=str)
def test_function_is_kept(units: tuple[int, ...], copies: int) -> None:
    network = some.network_of(Graph.parse(RESIDUAL))
    wider = Duplicate("conv2d2", units=units, copies=copies).apply(network)
    assert wider.graph.shape("add1").units == 3 + len(units) * (copies - 1)
    assert some.change(network, wider) < 1e-10


@pytest.mark.parametrize("family", some.FAMILIES)
def test_every_legal_site_of_random_graphs_keeps_the_function(family: str) -> None:
    @settings(max_examples=4)
    @given(some.FAMILIES[family], st.integers(0, 99))
    def check(graph: Graph, seed: int) -> None:
        network, text = some.network_of(graph, seed), str(graph)
        for move in Duplicate.sites(graph):
            wider = move.apply(network)
            assert some.change(network, wider) < 1e-10, move
            assert wider.graph.units(move.node) > graph.units(move.node)
        assert str(graph) == text

    check()


@settings(max_examples=25)
@given(st.data())
def test_several_units_and_copies_and_the_way_back(data: st.DataObject) -> None:
    graph = data.draw(some.graphs())
    move = data.draw(some.moves(graph, (Duplicate,)))
    network = some.network_of(graph)
    wider = move.apply(network)
    assert some.change(network, wider) < 1e-10
    assert params(wider.graph) == sum(
        wider.weights[f"{node.name}.{key}"].numel()
        for node in wider.graph
        if node.tie is None
        for key, spec in wider.graph.tensors(node.name).items()
        if spec.trainable
    )
    assert macs(wider.graph) == macs(Graph.parse(str(wider.graph))) > macs(graph)
    back = move.inverse(graph).apply(wider)
    assert back.graph == graph and back.graph.hash == graph.hash
    assert some.change(network, back) < 1e-10
    for name, tensor in network.weights.items():
        assert torch.allclose(back.weights[name], tensor, rtol=1e-12, atol=0), name


@settings(max_examples=30)
@given(st.data())
def test_one_after_the_other(data: st.DataObject) -> None:
    network = start = some.network_of(data.draw(some.graphs()))
    for _ in range(3):
        network = data.draw(some.moves(network.graph, (Duplicate,))).apply(network)
    assert some.change(start, network) < 1e-10


def test_inverse_is_a_prune() -> None:
    graph = Graph.parse(RESIDUAL)
    assert Duplicate("conv2d1", (0, 2), copies=3).inverse(graph) == Prune("conv2d1", (1, 2, 5, 6), into=(0, 0, 4, 4))


def test_sites() -> None:
    graph = Graph.parse(RESIDUAL)
    assert list(Duplicate.sites(graph)) == [Duplicate(name, (i,)) for name in ("conv2d1", "conv2d2") for i in range(3)]


REFUSED = [
    ("linear1", (0,), 2, MoveRefused, "node 'linear1' is an output of the network"),
    ("input1", (0,), 2, MoveRefused, "node 'input1' is an input of the network"),
    ("relu1", (0,), 2, MoveRefused, "'relu1' has no units of its own"),
    ("conv2d1", (3,), 2, MoveRefused, "node 'conv2d1' has no unit 3"),
    ("conv2d1", (-1,), 2, MoveRefused, "node 'conv2d1' has no unit -1"),
    ("conv2d1", (0, 0), 2, MoveRefused, "a unit is named twice"),
    ("conv2d1", (), 2, MoveRefused, "non-empty tuple"),
    ("conv2d1", (True,), 2, MoveRefused, "non-empty tuple"),
    ("conv2d1", 1, 2, MoveRefused, "non-empty tuple"),
    ("conv2d1", (0,), 1, MoveRefused, "at least two copies"),
    ("conv2d1", (0,), 2.5, MoveRefused, "at least two copies"),
    ("conv2d3", (0,), 2, UnknownName, "did you mean 'conv2d"),
]


@pytest.mark.parametrize(("node", "units", "copies", "error", "message"), REFUSED, ids=[case[4] for case in REFUSED])
def test_refusal(node: str, units: tuple[int, ...], copies: int, error: type[Exception], message: str) -> None:
    graph = Graph.parse(RESIDUAL)
    move = Duplicate(node, units, copies)
    with pytest.raises(error, match=message):
        move.apply(graph)
    assert move.refusal(graph)
