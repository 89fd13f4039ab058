"""Random graphs: numbers of edges, distributions, and nothing but the given numbers."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from itertools import combinations

import networkx
import pytest

from archgraph.errors import SettingError
from archgraph.generators.random_graphs import BarabasiAlbert, Edge, ErdosRenyi, RandomGraph, WattsStrogatz

MODELS: dict[str, RandomGraph] = {
    "one node": ErdosRenyi(1, 0.5),
    "sparse": ErdosRenyi(9, 0.1),
    "dense": ErdosRenyi(5, 1.0),
    "ring": WattsStrogatz(8, 2, 0.0),
    "small world": WattsStrogatz(11, 4, 0.6),
    "two in a ring": WattsStrogatz(2, 4, 0.5),
    "complete ring": WattsStrogatz(5, 4, 0.9),
    "preferential": BarabasiAlbert(13, 3),
    "one newcomer": BarabasiAlbert(1, 5),
}


def degrees(nodes: int, edges: tuple[Edge, ...]) -> list[int]:
    return [sum(node in edge for edge in edges) for node in range(nodes)]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_edges_are_pairs_in_order_each_once(model: RandomGraph) -> None:
    for seed in range(20):
        edges = model.draw(random.Random(seed))
        assert list(edges) == sorted(set(edges))
        assert all(0 <= a < b < model.nodes for a, b in edges)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_draws_come_from_the_given_numbers_alone(model: RandomGraph) -> None:
    state = random.getstate()
    first = [model.draw(numbers) for numbers in [random.Random(3)] for _ in range(4)]
    random.seed(99)
    assert [model.draw(numbers) for numbers in [random.Random(3)] for _ in range(4)] == first
    random.setstate(state)
    drawn = model.draw(random.Random(0))
    assert random.getstate() == state
    assert drawn == model.draw(random.Random(0))


@pytest.mark.parametrize("rewiring", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("nodes", "neighbours"), [(3, 2), (4, 4), (5, 3), (7, 4), (10, 5), (13, 20)])
def test_rewiring_keeps_the_number_of_edges(nodes: int, neighbours: int, rewiring: float) -> None:
    model = WattsStrogatz(nodes, neighbours, rewiring)
    wanted = nodes * (min(neighbours, nodes - 1) // 2)
    assert {len(model.draw(random.Random(seed))) for seed in range(25)} == {wanted}


def test_without_rewiring_the_ring_is_regular() -> None:
    assert degrees(9, WattsStrogatz(9, 4, 0.0).draw(random.Random(1))) == [4] * 9
    assert WattsStrogatz(6, 5, 0.0).reach == 2
    assert WattsStrogatz(4, 5, 0.0).reach == 1


@pytest.mark.parametrize(
    ("make", "varies"),
    [
        *((lambda p, n=n: ErdosRenyi(n, p), n > 2) for n in (1, 2, 3, 7)),
        (lambda p: WattsStrogatz(2, 2, p), False),
        (lambda p: WattsStrogatz(6, 1, p), False),
        (lambda p: WattsStrogatz(5, 4, p), False),
        (lambda p: WattsStrogatz(5, 7, p), False),
        (lambda p: WattsStrogatz(6, 5, p), True),
        (lambda p: WattsStrogatz(5, 2, p), True),
        (lambda p: BarabasiAlbert(6, 2), False),
    ],
)
def test_a_probability_that_does_not_matter(make: Callable[[float], RandomGraph], varies: bool) -> None:
    drawn = [{make(p).draw(random.Random(seed)) for p in (0.1, 0.4, 0.9)} for seed in range(9)]
    assert make(0.3).varies == varies
    assert make(0.3).nodes == 2 or any(len(graphs) > 1 for graphs in drawn) == varies


@pytest.mark.parametrize("density", [0.0, 0.15, 0.5, 0.85, 1.0])
def test_every_pair_is_joined_with_the_same_probability(density: float) -> None:
    draws, nodes = 600, 7
    found = [set(ErdosRenyi(nodes, density).draw(random.Random(seed))) for seed in range(draws)]
    pairs = nodes * (nodes - 1) // 2
    deviation = (pairs * density * (1 - density) / draws) ** 0.5
    assert abs(statistics.mean(map(len, found)) - density * pairs) <= 4 * deviation
    for pair in combinations(range(nodes), 2):
        share = sum(pair in edges for edges in found) / draws
        assert abs(share - density) <= 5 * (density * (1 - density) / draws) ** 0.5


def test_newcomers_have_their_links_and_prefer_what_is_linked() -> None:
    model = BarabasiAlbert(40, 2)
    for seed in range(10):
        edges = model.draw(random.Random(seed))
        assert len(edges) == 2 * (40 - 2)
        assert networkx.is_connected(networkx.Graph(edges))
    hubs = statistics.mean(max(degrees(40, model.draw(random.Random(seed)))) for seed in range(50))
    even = statistics.mean(
        max(degrees(40, ErdosRenyi(40, 2 * 76 / (40 * 39)).draw(random.Random(seed)))) for seed in range(50)
    )
    assert hubs > 1.3 * even
    assert len(BarabasiAlbert(3, 5).draw(random.Random(0))) == 2  # as many links as there are others


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: ErdosRenyi(0, 0.5), "at least one node"),
        (lambda: ErdosRenyi(True, 0.5), "at least one node"),
        (lambda: ErdosRenyi(3, 1.5), "density must be a probability"),
        (lambda: ErdosRenyi(3, float("nan")), "density must be a probability"),
        (lambda: WattsStrogatz(5, 2, -0.1), "rewiring must be a probability"),
        (lambda: WattsStrogatz(5, -1, 0.1), "neighbours must be at least 0"),
        (lambda: BarabasiAlbert(5, 0), "links must be at least 1"),
    ],
)
def test_wrong_settings(make: object, what: str) -> None:
    with pytest.raises(SettingError, match=what):
        make()  # type: ignore[operator]
