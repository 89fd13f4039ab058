"""Wirings: acyclic, connected, with the numbers of sources and sinks that are known of small worlds."""

from __future__ import annotations

import statistics

import networkx
import pytest

from archgraph.errors import GraphError
from archgraph.generators.orientation import Wiring, wire
from archgraph.generators.random_graphs import BarabasiAlbert, ErdosRenyi, RandomGraph, WattsStrogatz

MODELS: dict[str, RandomGraph] = {
    "one node": ErdosRenyi(1, 0.3),
    "two nodes, never joined": ErdosRenyi(2, 0.0),
    "no edges": ErdosRenyi(6, 0.0),
    "sparse": ErdosRenyi(10, 0.1),
    "dense": ErdosRenyi(7, 0.9),
    "two in a ring": WattsStrogatz(2, 2, 0.5),
    "wild ring": WattsStrogatz(9, 2, 1.0),
    "small world": WattsStrogatz(8, 4, 0.4),
    "preferential": BarabasiAlbert(9, 2),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_node_lies_between_a_source_and_a_sink_of_a_connected_graph(model: RandomGraph) -> None:
    for seed in range(12):
        wiring = wire(model, seed)
        graph = networkx.DiGraph(wiring.edges)
        graph.add_nodes_from(range(model.nodes))
        assert len(wiring) == model.nodes == len(graph)
        assert networkx.is_directed_acyclic_graph(graph)
        assert networkx.is_weakly_connected(graph)
        assert wiring.sources == tuple(node for node in range(model.nodes) if not list(graph.predecessors(node)))
        assert wiring.sinks == tuple(node for node in range(model.nodes) if not list(graph.successors(node)))
        assert wiring.sources[0] == 0
        assert wiring.sinks[-1] == model.nodes - 1
        assert all(a < b for a, b in wiring.edges)


def test_repair_is_counted_and_adds_no_more_than_needed() -> None:
    drawn = [wire(ErdosRenyi(6, 0.0), seed) for seed in range(20)]
    assert {(wiring.added, len(wiring.edges)) for wiring in drawn} == {(5, 5)}
    assert len({wiring.reads for wiring in drawn}) > 10
    sparse = [wire(ErdosRenyi(10, 0.1), seed) for seed in range(60)]
    assert sum(wiring.added > 0 for wiring in sparse) >= 40  # connected with probability .008 a draw
    assert all(wire(WattsStrogatz(9, 2, 0.9), seed).added == 0 for seed in range(60))
    assert all(wire(ErdosRenyi(5, 0.9), seed).added == 0 for seed in range(60))


@pytest.mark.parametrize(
    ("neighbours", "rewiring", "sources", "sinks"), [(4, 0.1, 1.15, 1.13), (4, 0.9, 2.3, 2.1), (2, 0.9, 3.8, 3.6)]
)
def test_numbers_of_sources_and_sinks_are_those_of_small_worlds(
    neighbours: int, rewiring: float, sources: float, sinks: float
) -> None:
    drawn = [wire(WattsStrogatz(10, neighbours, rewiring), seed) for seed in range(300)]
    assert statistics.mean(len(wiring.sources) for wiring in drawn) == pytest.approx(sources, abs=0.25)
    assert statistics.mean(len(wiring.sinks) for wiring in drawn) == pytest.approx(sinks, abs=0.25)


def test_a_seed_is_a_wiring() -> None:
    model = WattsStrogatz(10, 4, 0.5)
    assert wire(model, 5) == wire(model, 5)
    assert len({wire(model, seed) for seed in range(30)}) == 30


def test_written_by_hand() -> None:
    wiring = Wiring.of(4, [(3, 1), (0, 3), (1, 2)])
    assert wiring.reads == ((), (), (1,), (0, 1))
    assert wiring.edges == ((1, 2), (0, 3), (1, 3))
    assert (wiring.sources, wiring.sinks) == ((0, 1), (2, 3))
    assert Wiring.chain(3).reads == ((), (0,), (1,))
    assert (Wiring.chain(1).sources, Wiring.chain(1).sinks) == ((0,), (0,))


@pytest.mark.parametrize("reads", [((0,),), ((), (1,)), ((), (), (1, 0)), ((), (0, 0)), ((), (2,), ())])
def test_what_reads_later_nodes_is_no_wiring(reads: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(GraphError, match="must read smaller ones"):
        Wiring(reads)
