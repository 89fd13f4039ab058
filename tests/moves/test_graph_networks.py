"""Moves on networks on graphs: what keeps the function keeps it, and copies move apart along what units see."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, GraphBuilder, Move, Network, ops
from archgraph.errors import MoveRefused
from archgraph.moves import AddEdge, Duplicate, InsertIdentity, InsertLayer, Prune, RemoveEdge, Split, Widen
from archgraph.net import capture, inherit_state
from archgraph.testing import check_move
from tests.node_graphs import LAYERS, gap, layer, node_graphs, nodes_of
from tests.strategies import network_of, outputs_of

KEEPING: tuple[type[Move], ...] = (Duplicate, Split, Widen, InsertLayer, InsertIdentity, AddEdge)


def between(op: ops.Op, *more: ops.Op) -> Graph:
    build = GraphBuilder()
    x, edges = build(ops.Input((3,)), name="x"), build(ops.Edges(2), name="edges")
    y = build(op, build(ops.Tanh(), build(ops.Linear(4), x, name="maker")), edges, name="op")
    for one in more:
        y = build(one, y)
    return build.graph(build(ops.Linear(2), build(ops.Tanh(), y), name="reader"))


@pytest.mark.parametrize("kind", KEEPING, ids=lambda kind: kind.__name__)
def test_every_site_of_random_networks_keeps_the_function(kind: type[Move]) -> None:
    @settings(max_examples=4)
    @given(node_graphs(), st.integers(0, 99))
    def check(graph: Graph, seed: int) -> None:
        network = network_of(graph, seed)
        for move in islice(kind.sites(graph), 14):
            assert gap(network, move.apply(network)) < 1e-10, move

    check()


@settings(max_examples=5)
@given(node_graphs(), st.integers(0, 99))
def test_pruned_networks_run_and_have_fewer_weights(graph: Graph, seed: int) -> None:
    network = network_of(graph, seed)
    for move in islice(Prune.sites(graph), 10):
        smaller = move.apply(network)
        outputs_of(smaller, nodes_of(smaller.graph))
        assert sum(one.numel() for one in smaller.weights.values()) < sum(
            one.numel() for one in network.weights.values()
        )


@pytest.mark.parametrize("name", LAYERS)
def test_the_contract_of_moves_beside_every_layer(name: str) -> None:
    network = network_of(between(layer(name, 5)))
    for kind in (Duplicate, Widen, Prune):
        for move in islice(kind.sites(network.graph), 3):
            check_move(move, network, inputs=nodes_of(network.graph))


@pytest.mark.parametrize("concat", [True, False])
@pytest.mark.parametrize("name", ["gat", "gatv2", "transformer"])
def test_heads_and_their_width_grow(name: str, concat: bool) -> None:
    network = network_of(between(layer(name, 5, heads=2, concat=concat)))
    wide = Duplicate("op", (1,)).apply(network)
    more = Duplicate("op.heads", (0,), copies=3).apply(wide)
    assert (more.graph.op("op").heads, more.graph.op("op").out_channels) == (4, 6)
    assert more.graph.units("op") == (24 if concat else 6)
    assert gap(network, more) < 1e-10
    fewer = Prune("op.heads", (1,)).apply(more)
    assert fewer.graph.op("op").heads == 3


def test_heads_of_concatenated_attention_that_is_returned_stay() -> None:
    build = GraphBuilder()
    x, edges = build(ops.Input((3,))), build(ops.Edges())
    graph = build.graph(build(ops.GATConv(2, heads=3), x, edges))
    assert list(Duplicate.sites(graph)) == []
    with pytest.raises(MoveRefused, match="is an output of the network"):
        Duplicate("gatconv1.heads", (0,)).plan(graph)


def test_two_layouts_of_heads_on_one_axis_are_refused() -> None:
    build = GraphBuilder()
    x, edges = build(ops.Input((3,))), build(ops.Edges())
    one, other = build(ops.GATConv(2, heads=3), x, edges), build(ops.GATConv(3, heads=2), x, edges)
    graph = build.graph(build(ops.Linear(2), build(ops.Add(), one, other)))
    with pytest.raises(MoveRefused, match="tiles of its own"):
        Duplicate(f"{one}.heads", (0,)).plan(graph)
    network = network_of(graph)
    assert gap(network, Duplicate(one, (0,)).apply(network)) < 1e-10  # which takes all that are coupled


@pytest.mark.parametrize("name", ["gcn", "sage", "cheb", "tag", "sgc"])
def test_a_displaced_copy_moves_its_unit_by_what_it_sees(name: str) -> None:
    network = network_of(between(layer(name, 5)))
    inputs = nodes_of(network.graph)
    seen = capture(network, inputs, lambda out: out.sum(), seen=["op"], values=["op"])
    op = network.graph.op("op")
    names, bias = op.rows_of_unit(*network.graph.input_shapes("op"))
    weight = torch.cat([network.weights[f"op.{key}"] for key in names], dim=1)
    shift = network.weights[f"op.{bias}"] if bias else 0.0
    assert (seen.seen["op"] @ weight.T + shift - seen.values["op"]).abs().max() < 1e-12

    direction = torch.randn(1, weight.shape[1] + 1, dtype=torch.float64)
    move = Split.along("op", (2,), direction, step=0.1, bias=True)
    after = capture(move.apply(network), inputs, lambda out: out.sum(), values=["op"])
    change = 0.1 * (seen.seen["op"] @ direction[0, :-1] + direction[0, -1])
    assert (after.values["op"][:, 2] - seen.values["op"][:, 2] - change).abs().max() < 1e-12
    assert (after.values["op"][:, 3] - seen.values["op"][:, 2] + change).abs().max() < 1e-12


def test_no_move_brings_nodes_and_graphs_or_edges_together() -> None:
    build = GraphBuilder()
    x, edges, weights, member = (
        build(op) for op in (ops.Input((3,)), ops.Edges(), ops.EdgeWeights(), ops.Membership())
    )
    h = build(ops.GraphNorm(), build(ops.GCNConv(4), x, edges, weights), member)
    graph = build.graph(build(ops.Linear(2), build(ops.GraphMeanPool(), h, member)))
    others = {edges, weights, member}
    for move in AddEdge.sites(graph):
        assert graph.shape(move.source).rows == graph.shape(move.target).rows
        assert not {move.source, move.target} & others
    for move in (*InsertLayer.sites(graph), *InsertIdentity.sites(graph)):
        assert move.after not in others
    assert list(RemoveEdge.sites(graph)) == []


@pytest.mark.parametrize("entry", ["exp_avg", "exp_avg_sq"])
@pytest.mark.parametrize("concat", [True, False])
def test_moments_of_copied_heads_are_those_of_their_gradients(entry: str, concat: bool) -> None:
    network = network_of(between(layer("gat", 3, heads=2, concat=concat)))
    move = Duplicate("op.heads", (1,))
    edit, power = move.plan(network.graph), 2 if entry == "exp_avg_sq" else 1

    def gradients(net: Network) -> dict[str, torch.Tensor]:
        module = net.to_torch()
        module(*nodes_of(net.graph)).square().sum().backward()
        return {name: value.grad**power for name, value in module.named_parameters()}

    state = {name: {entry: value} for name, value in gradients(network).items()}
    found = inherit_state(edit, state)
    for name, wanted in gradients(move.apply(network)).items():
        assert torch.allclose(found[name][entry], wanted, rtol=1e-9, atol=1e-12), name
