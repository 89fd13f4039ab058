"""Layers that matter: cells that do the same are the same."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings

from archgraph import Graph
from archgraph.features.leaf_dag import leaf_dag
from archgraph.features.live_dag import live_dag
from archgraph.spaces.nas_bench_201 import EDGES, OPERATIONS, cell
from tests.strategies import graphs


def test_identities_are_edges_and_zeros_are_none() -> None:
    dag = live_dag(cell(("nor_conv_3x3", "skip_connect", "none", "none", "avg_pool_3x3", "nor_conv_1x1")))
    assert dag.names == ("in", "edge1_0", "edge3_1", "edge3_2", "out")
    assert dag.reads == ((), (0,), (1,), (0,), (2, 3))


def test_what_leads_nowhere_is_gone() -> None:
    dag = live_dag(cell(("nor_conv_3x3", "nor_conv_1x1", "none", "none", "none", "avg_pool_3x3")))
    assert dag.names == ("in", "edge2_0", "edge3_2", "out")
    nothing = live_dag(cell(("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "none", "none", "none")))
    assert (nothing.labels, nothing.reads) == (("in", "out"), ((), ()))


def walks(operations: tuple[str, ...]) -> set[tuple[str, ...]]:
    """All ways from input to output of a cell, as the operations on them that do something, by brute force."""
    on = dict(zip(EDGES, operations, strict=True))
    found = set()
    for inner in itertools.chain.from_iterable(itertools.combinations((1, 2), size) for size in range(3)):
        stops = (0, *inner, 3)
        edges = [f"edge{target}_{source}" for source, target in itertools.pairwise(stops)]
        if all(on[edge] != "none" for edge in edges):
            found.add(tuple(edge for edge in edges if on[edge] != "skip_connect"))
    return found


def test_ways_through_cells_against_brute_force() -> None:
    numbers = random.Random(0)
    for _ in range(60):
        operations = tuple(numbers.choice(OPERATIONS) for _ in EDGES)
        dag = live_dag(cell(operations))
        ways: list[set[tuple[str, ...]]] = [{()}]
        for place, reads in enumerate(dag.reads[1:], start=1):
            own = () if dag.names[place] == "out" else (dag.names[place],)
            ways.append({(*way, *own) for source in reads for way in ways[source]})
        assert ways[-1] == walks(operations)


@settings(max_examples=40)
@given(graphs())
def test_every_layer_lies_between_the_ends(graph: Graph) -> None:
    dag = live_dag(graph)
    assert set(dag.names) <= set(leaf_dag(graph).names)
    assert all(source < place for place, reads in enumerate(dag.reads) for source in reads)
    read = {source for reads in dag.reads for source in reads}
    assert all(reads for reads in dag.reads[1:-1])
    assert read >= set(range(1, len(dag.names) - 1))
