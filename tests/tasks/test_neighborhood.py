"""Parts of a graph: what is drawn against a slow rule, chances against counting, and PyTorch Geometric's own loader."""

from __future__ import annotations

import gc
import importlib.util
import weakref
from collections import Counter
from itertools import combinations

import pytest
import torch
from torch import Tensor

from archgraph.ops.graph_layer import geometric
from archgraph.tasks.neighborhood import ALL, Arrivals, Neighborhood

NODES = 23
EDGES = torch.randint(NODES - 1, (2, 90), generator=torch.Generator().manual_seed(5))  # loops, some twice; 22 has none


def drawn(middle: list[int], neighbors: tuple[int, ...], seed: int = 0, edges: Tensor = EDGES) -> Neighborhood:
    return Arrivals(edges, NODES).around(torch.tensor(middle), neighbors, torch.Generator().manual_seed(seed))


def hops(middle: list[int], count: int) -> list[set[int]]:
    """Nodes that are reached after each hop, by walking over edges one by one."""
    found = [set(middle)]
    for _ in range(count):
        found.append(found[-1] | {int(a) for a, b in EDGES.T.tolist() if b in found[-1]})
    return found


def test_all_neighbours_are_those_that_have_an_edge_to_a_node() -> None:
    middle = [4, 0, 22]
    part, reached = drawn(middle, (ALL, ALL)), hops(middle, 2)
    assert part.nodes[:3].tolist() == middle and sorted(part.nodes.tolist()) == sorted(reached[2])
    wanted = [place for place, (_, b) in enumerate(EDGES.T.tolist()) if b in reached[1]]
    assert sorted(part.edges.tolist()) == wanted
    assert torch.equal(part.nodes[part.edge_index], EDGES[:, part.edges])


@pytest.mark.parametrize("seed", range(5))
def test_a_few_are_different_edges_of_nodes_that_were_just_reached(seed: int) -> None:
    middle, numbers = [1, 22, 9, 17], (3, 2)
    part, degree = drawn(middle, numbers, seed), torch.bincount(EDGES[1], minlength=NODES).tolist()
    assert len(part.nodes.unique()) == len(part.nodes) and len(part.edges.unique()) == len(part.edges)
    assert torch.equal(part.nodes[part.edge_index], EDGES[:, part.edges])
    ends, known, asked, first = part.edge_index[1].tolist(), set(middle), list(range(4)), 0
    for number in numbers:
        count = sum(min(number, degree[int(part.nodes[one])]) for one in asked)
        own = ends[first : first + count]
        assert Counter(own) == {one: few for one in asked if (few := min(number, degree[int(part.nodes[one])]))}
        fresh = {int(one) for one in EDGES[0, part.edges[first : first + count]]} - known
        asked = list(range(len(known), len(known) + len(fresh)))
        assert {int(part.nodes[one]) for one in asked} == fresh
        known, first = known | fresh, first + count
    assert first == len(ends) and len(known) == len(part.nodes)


def test_every_set_of_edges_is_as_likely() -> None:
    trials = 4000  # stars of five edges each, all at once
    centres = torch.arange(trials).repeat_interleave(5)
    arrivals = Arrivals(torch.stack([trials + torch.arange(5 * trials), centres]), 6 * trials)
    part = arrivals.around(torch.arange(trials), (2,), torch.Generator().manual_seed(3))
    ends = part.edge_index[1].sort(stable=True)
    assert torch.equal(ends.values, torch.arange(trials).repeat_interleave(2))
    sets = Counter(frozenset(pair) for pair in (part.edges[ends.indices] % 5).reshape(-1, 2).tolist())
    assert set(sets) == set(map(frozenset, combinations(range(5), 2)))
    wanted = trials / 10
    assert sum((count - wanted) ** 2 / wanted for count in sets.values()) < 21.7  # 99 % of chi-squared with 9


def test_a_seed_draws_the_same_and_another_does_not() -> None:
    one, same, other = (drawn([3, 8], (2, 2), seed) for seed in (0, 0, 1))
    assert torch.equal(one.nodes, same.nodes) and torch.equal(one.edge_index, same.edge_index)
    assert set(one.edges.tolist()) != set(other.edges.tolist())


def test_no_hops_and_no_edges() -> None:
    for part in (drawn([5, 2], ()), drawn([5, 2], (ALL, 3), edges=EDGES[:, :0])):
        assert part.nodes.tolist() == [5, 2] and part.edge_index.shape == (2, 0) and part.edges.shape == (0,)


def test_edges_are_sorted_once_as_long_as_they_are_there() -> None:
    edges = EDGES.clone()
    first = Arrivals.of(edges, NODES)
    assert Arrivals.of(edges, NODES) is first and Arrivals.of(EDGES.clone(), NODES) is not first
    gone = weakref.ref(first)
    del edges, first
    gc.collect()
    assert gone() is None


@pytest.mark.gpu
def test_a_gpu_draws_the_same() -> None:
    there = Arrivals(EDGES.cuda(), NODES).around(torch.tensor([1, 9]).cuda(), (3, 2), torch.Generator().manual_seed(4))
    here = drawn([1, 9], (3, 2), 4)
    assert there.nodes.is_cuda and torch.equal(there.nodes.cpu(), here.nodes)
    assert torch.equal(there.edge_index.cpu(), here.edge_index)


SAMPLERS = [name for name in ("pyg_lib", "torch_sparse") if importlib.util.find_spec(name)]


@pytest.mark.skipif(not SAMPLERS, reason="needs pyg-lib or torch-sparse")
@pytest.mark.parametrize("neighbors", [(ALL, ALL), (3, 2)], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_it_is_what_the_loader_of_pytorch_geometric_draws(neighbors: tuple[int, ...]) -> None:
    geometric()
    from torch_geometric.data import Data
    from torch_geometric.loader import NeighborLoader

    middle = [4, 1, 9]
    data = Data(edge_index=EDGES.unique(dim=1), num_nodes=NODES)
    loader = NeighborLoader(data, list(neighbors), torch.tensor(middle), batch_size=3)
    batches = [next(iter(loader)) for _ in range(300 if neighbors[0] != ALL else 1)]
    arrivals, generator = Arrivals(EDGES.unique(dim=1), NODES), torch.Generator().manual_seed(1)
    parts = [arrivals.around(torch.tensor(middle), neighbors, generator) for _ in batches]
    assert all(batch.n_id[:3].tolist() == middle for batch in batches)
    if neighbors[0] == ALL:
        assert set(batches[0].n_id.tolist()) == set(parts[0].nodes.tolist())
        theirs, own = batches[0].n_id[batches[0].edge_index], parts[0].nodes[parts[0].edge_index]
        assert sorted(theirs.T.tolist()) == sorted(own.T.tolist())
        return
    for theirs_of, own_of in (
        (lambda one: len(one.n_id), lambda one: len(one.nodes)),
        (lambda one: one.edge_index.shape[1], lambda one: one.edge_index.shape[1]),
    ):
        theirs_mean = sum(map(theirs_of, batches)) / len(batches)
        assert theirs_mean == pytest.approx(sum(map(own_of, parts)) / len(parts), rel=0.05)
