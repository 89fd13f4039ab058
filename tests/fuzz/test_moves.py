"""Random graphs under random chains of moves of every kind: whatever must hold, after every single one."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archgraph import Graph, Move, Network
from archgraph.metrics.graph import macs, params
from archgraph.moves import (
    AddEdge,
    Duplicate,
    InsertIdentity,
    InsertLayer,
    Prune,
    RemoveEdge,
    RemoveLayer,
    Split,
    SwapOp,
    Widen,
    parse,
)
from tests import strategies as some

KINDS: tuple[type[Move], ...] = (
    AddEdge,
    Duplicate,
    InsertIdentity,
    InsertLayer,
    Prune,
    RemoveEdge,
    RemoveLayer,
    Split,
    SwapOp,
    Widen,
)
LONGEST = 10
MOST = 1e4
"""Outputs larger than this are no longer compared: products of products of sums grow without bounds."""

Outputs = list[tuple[Tensor, ...]]


def drive(data: st.DataObject) -> int:
    """Draw a graph and a chain of moves, check every link, and return the number of moves."""
    network = some.network_of(data.draw(some.graphs()), data.draw(st.integers(0, 99)))
    inputs = some.inputs_of(network.graph, seed=11)
    outputs, count = run(network, inputs), 0
    for kind in data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=LONGEST)):
        sites = list(islice(kind.sites(network.graph), 40))
        if not sites or len(network.graph) > 60:
            continue
        move, count = data.draw(st.sampled_from(sites)), count + 1
        old, text = network, str(network.graph)
        network = move.apply(old)
        assert str(old.graph) == text
        assert parse(repr(move)) == move
        check_graph(network.graph)
        now = run(network, inputs)
        check_counts(network, inputs)
        for before, after in zip(outputs, now, strict=True):
            assert [one.shape for one in before] == [one.shape for one in after]
            if move.keeps_function:
                for one, other in zip(before, after, strict=True):
                    size = float(one.abs().max())
                    assert size > MOST or float((one - other).abs().max()) <= 1e-10 * max(size, 1e-12), move
        outputs = now
    return count


def run(network: Network, inputs: tuple[Tensor, ...]) -> Outputs:
    return [some.outputs_of(network, inputs, train=train) for train in (False, True)]


def check_graph(graph: Graph) -> None:
    """What was updated in place is what is built from the nodes alone, and from the text."""
    for fresh in (Graph(tuple(graph), graph.outputs), Graph.parse(str(graph))):
        assert fresh == graph and fresh.hash == graph.hash and list(fresh.nodes) == list(graph.nodes)
        for name in graph.nodes:
            assert fresh.shape(name) == graph.shape(name)
            assert fresh.users(name) == graph.users(name)
            assert fresh.tied(name) == graph.tied(name)
            assert fresh.rule(name) == graph.rule(name)


def check_counts(network: Network, inputs: tuple[Tensor, ...]) -> None:
    module = network.to_torch().eval()
    assert params(network.graph) == sum(parameter.numel() for parameter in module.parameters())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    assert macs(network.graph) == counter.get_total_flops() / 2 / some.BATCH
    Network(network.graph, network.weights)  # checks the shapes of all tensors


def fuzz(examples: int) -> int:
    """Run so many cases; return how many moves were made."""
    moves = 0

    @settings(
        max_examples=examples,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        nonlocal moves
        moves += drive(data)

    cases()
    return moves


def test_chains_of_moves() -> None:
    assert fuzz(80) > 80


@pytest.mark.slow
def test_many_chains_of_moves() -> None:
    assert fuzz(2000) > 2000
