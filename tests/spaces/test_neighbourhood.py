"""The neighbourhood of any graph: every step is legal, within the limits and a step; walks reach far."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, Network, chain, ops
from archgraph.errors import SpaceError, UnknownName
from archgraph.metrics import macs, params, widths
from archgraph.moves import AddEdge, InsertLayer, Prune, RemoveEdge, RemoveLayer, SwapOp, Widen
from archgraph.spaces import Neighbourhood
from archgraph.spaces.neighbourhood import KINDS
from archgraph.testing import check_space
from tests.strategies import graphs, inputs_of, network_of, outputs_of

GRAPH = chain(
    ops.Input((2, 6, 5)),
    *(ops.Conv2d(4, kernel_size=3, padding=1), ops.BatchNorm(), ops.ReLU()),
    *(ops.Conv2d(6, kernel_size=3, padding=1), ops.ReLU(), ops.GlobalAvgPool(), ops.Linear(7)),
)
MOVES = {
    "add-edge": AddEdge,
    "remove-edge": RemoveEdge,
    "insert-layer": InsertLayer,
    "remove-layer": RemoveLayer,
    "swap-op": SwapOp,
    "widen": Widen,
    "narrow": Prune,
}


def test_it_keeps_the_contract_of_a_space() -> None:
    check_space(Neighbourhood(GRAPH, steps_drawn=3), draws=4, vectors=False)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_moves(kind: str) -> None:
    start = AddEdge("relu1", "conv2d2").apply(GRAPH)
    steps = list(Neighbourhood(start, kinds=(kind,)).steps(start))
    assert steps
    assert all(type(step) is MOVES[kind] for step in steps)
    assert all(step.refusal(start) is None for step in steps)


def test_widths_go_by_a_factor_and_back() -> None:
    wider = set(Neighbourhood(GRAPH, kinds=("widen",)).steps(GRAPH))
    assert wider == {Widen("conv2d1", units=2), Widen("conv2d2", units=3)}
    narrow = Neighbourhood(GRAPH, kinds=("narrow",))
    for step in wider:
        larger = step.apply(GRAPH)
        assert widths(GRAPH) in {widths(move.apply(larger)) for move in narrow.steps(larger)}


def test_kernels_are_swapped() -> None:
    steps = set(Neighbourhood(GRAPH, kinds=("swap-op",)).steps(GRAPH))
    assert SwapOp("conv2d1", ops.Conv2d(4, kernel_size=5, padding=2)) in steps
    assert SwapOp("conv2d2", ops.Conv2d(6, kernel_size=1)) in steps
    assert SwapOp("relu2", ops.SiLU()) in steps


@settings(max_examples=15)
@given(graphs(), st.integers(0, 99))
def test_walks_on_random_graphs_stay_valid(graph: Graph, seed: int) -> None:
    space = Neighbourhood(graph)
    here = graph
    for step in range(6):
        after = space.mutated(here, seed + step)
        assert space.mutated(here, seed + step) == after
        here = after
    assert here.inputs == graph.inputs
    assert [here.shape(name) for name in here.outputs] == [graph.shape(name) for name in graph.outputs]
    for output, name in zip(outputs_of(network_of(here), inputs_of(here)), here.outputs, strict=True):
        assert tuple(output.shape[1:]) == here.shape(name).dims


def test_long_walks_go_everywhere() -> None:
    space, here, seen = Neighbourhood(GRAPH), GRAPH, set()
    for seed in range(60):
        move = space.step(here, seed)
        assert move is not None
        seen.add(type(move))
        here = move.apply(here)
    assert seen == set(MOVES.values())
    assert len(here.nodes) != len(GRAPH.nodes)
    assert Network.init(here).to_torch()(torch.zeros(3, 2, 6, 5)).shape == (3, 7)


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        ({"max_nodes": 11}, lambda graph: len(graph.nodes)),
        ({"max_params": 500}, params),
        ({"max_macs": 20_000}, macs),
    ],
)
def test_limits_hold(limits: dict[str, Any], count: Any) -> None:
    space, free, (limit,) = Neighbourhood(GRAPH, **limits), Neighbourhood(GRAPH, max_nodes=99), limits.values()
    here = there = GRAPH
    most = 0
    for seed in range(30):
        here, there = space.mutated(here, seed), free.mutated(there, seed)
        assert count(here) <= limit
        most = max(most, count(there))
    assert most > limit  # which such a walk goes over where it may
    assert all(count(near) <= limit for near in space.around(here))
    with pytest.raises(SpaceError, match="the graph itself has"):
        Neighbourhood(GRAPH, **{name: count(GRAPH) - 1 for name in limits})


def test_neighbours_are_all_graphs_a_step_away_once() -> None:
    space = Neighbourhood(GRAPH)
    near = list(space.around(GRAPH))
    assert len({graph.hash for graph in near}) == len(near)
    assert {graph.hash for graph in near} == {move.apply(GRAPH).hash for move in space.steps(GRAPH)} - {GRAPH.hash}


def test_the_key_does_not_depend_on_names() -> None:
    space = Neighbourhood(GRAPH)
    renamed = Graph.parse(str(GRAPH).replace("conv2d1", "first"))
    assert space.key({"graph": str(GRAPH)}) == space.key({"graph": str(renamed)})
    assert space.canonical({"graph": GRAPH}) == {"graph": str(GRAPH)}


def test_points_that_are_none() -> None:
    space = Neighbourhood(GRAPH, max_nodes=9)
    with pytest.raises(SpaceError, match="parameter 'graph' cannot be"):
        space.build({"graph": "x = Input((2,))\nreturn y"})
    deep = chain(ops.Input((2,)), *([ops.ReLU()] * 9), ops.Linear(3))
    with pytest.raises(SpaceError, match="not in the neighbourhood: it has 11 nodes, more than 9"):
        space.build({"graph": str(deep)})
    for call in (lambda: space.encode({"graph": str(GRAPH)}), lambda: space.decode([])):
        with pytest.raises(SpaceError, match="no vector form"):
            call()


@pytest.mark.parametrize(
    ("settings", "kind", "what"),
    [
        ({"kinds": ("widen", "delete")}, UnknownName, "unknown kind of step 'delete'"),
        ({"kinds": ()}, SpaceError, "at least one kind of step"),
        ({"factor": 1.0}, SpaceError, "the factor of widths must be above 1"),
        ({"steps_drawn": -1}, SpaceError, "steps_drawn must be a whole number"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], kind: type[Exception], what: str) -> None:
    with pytest.raises(kind, match=what):
        Neighbourhood(GRAPH, **settings)


def test_a_graph_without_a_step_stays() -> None:
    still = chain(ops.Input((2,)), ops.Linear(3))
    space = Neighbourhood(still, kinds=("remove-edge",))
    assert space.step(still, 0) is None
    assert space.mutate({"graph": str(still)}, 0) == {"graph": str(still)}
