"""What holds for every move: the contract, on awkward graphs and on random ones, and old parameters train on alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archgraph import Graph, Move, Network, ops
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
from archgraph.net import inherit_state, load_state, state_of
from archgraph.testing import check_move
from tests import strategies as some
from tests.moves.graphs import GRAPHS

KEEPING: tuple[type[Move], ...] = (Widen, InsertLayer, InsertIdentity, AddEdge)
CHANGING: tuple[type[Move], ...] = (RemoveEdge, RemoveLayer, SwapOp)
EVERY: tuple[type[Move], ...] = (Duplicate, Split, Prune, *KEEPING, *CHANGING)


def named(kinds: Iterable[type[Move]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.__name__)


@named(EVERY)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_contract_at_every_site_of_awkward_graphs(kind: type[Move], name: str) -> None:
    network = some.network_of(GRAPHS[name])
    for move in islice(kind.sites(network.graph), 7):
        check_move(move, network)


@named(EVERY)
def test_every_move_has_a_site_somewhere(kind: type[Move]) -> None:
    assert any(True for graph in GRAPHS.values() for _ in kind.sites(graph))


def test_those_that_say_so_keep_the_function() -> None:
    assert {kind for kind in EVERY if kind.keeps_function} == {Duplicate, *KEEPING}


@pytest.mark.parametrize("family", some.FAMILIES)
@named(KEEPING)
def test_every_site_of_random_graphs_keeps_the_function(kind: type[Move], family: str) -> None:
    @settings(max_examples=2)
    @given(some.FAMILIES[family], st.integers(0, 99))
    def check(graph: Graph, seed: int) -> None:
        network, inputs, text = some.network_of(graph, seed), some.inputs_of(graph, seed=11), str(graph)
        before = [some.outputs_of(network, inputs, train=train) for train in (False, True)]
        for move in islice(kind.sites(graph), 25):
            after = move.apply(network)
            assert recounted(after) == (params(after.graph), macs(after.graph)), move
            for train, wanted in zip((False, True), before, strict=True):
                for one, other in zip(wanted, some.outputs_of(after, inputs, train=train), strict=True):
                    assert (one - other).abs().max() < 1e-10 * one.abs().max().clamp(min=1e-12), (move, train)
        assert str(graph) == text

    check()


@settings(max_examples=20)
@given(st.data())
def test_moves_that_take_away_or_swap_leave_a_graph_that_runs(data: st.DataObject) -> None:
    graph = data.draw(some.graphs())
    network, inputs = some.network_of(graph), some.inputs_of(graph)
    before = [output.shape for output in some.outputs_of(network, inputs)]
    for kind in CHANGING:
        for move in kind.sites(graph):
            after = move.apply(network)
            assert after.graph == move.apply(graph) == Graph(tuple(after.graph), after.graph.outputs)
            assert recounted(after) == (params(after.graph), macs(after.graph)), move
            assert [output.shape for output in some.outputs_of(after, inputs)] == before, move
            assert parse(repr(move)) == move


def recounted(network: Network) -> tuple[int, int]:
    """Parameters and MACs of one sample as torch counts them."""
    module, inputs = network.to_torch().eval(), some.inputs_of(network.graph)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return parameters, counter.get_total_flops() // 2 // some.BATCH


# ---------------------------------------------------------------------- training goes on
Make = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
# eps is large: behind a bias before a batch norm lies a gradient of pure rounding error, which Adam would blow up
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=0.01),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, eps=1e-3),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, eps=1e-3, amsgrad=True),
}
State = dict[str, dict[str, Tensor]]


def step(network: Network, state: State, make: Make) -> tuple[Network, State]:
    """Train one step on fixed data in train mode, from an optimizer state."""
    module = network.to_torch()
    optimizer = make(module.parameters())
    load_state(module, optimizer, state)
    outputs = module(*some.inputs_of(network.graph, seed=5))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((output - 1).square().mean() for output in outputs)
    assert isinstance(loss, Tensor)
    loss.backward()
    optimizer.step()
    return network.with_weights_of(module), state_of(module, optimizer)


TRAINED = [
    ("residual", Widen("b", 2)),
    ("residual", Widen("c")),
    ("residual", InsertLayer("r")),
    ("residual", InsertLayer("s", reader="t", width=5)),
    ("residual", AddEdge("x", "o")),
    ("residual", AddEdge("r", "c")),
    ("depthwise and a concat with itself", Widen("a")),
    ("shared weights", Widen("a")),
    ("shared weights", Widen("b", 3)),
    ("one input twice", InsertLayer("r")),
    ("several inputs and outputs", AddEdge("x", "q")),
    ("layer norm over tokens", InsertLayer("n")),
    ("layer norm over tokens", Widen("b")),
    ("coupled with an input in part", Widen("a", 2)),
    ("attention", Widen("m.heads")),
    ("attention", Widen("m.qk", 2)),
    ("attention", Widen("m.v")),
    ("attention", Widen("c.qk")),
    ("attention", Widen("a")),
    ("recurrent", Widen("g", 2)),
    ("recurrent", Widen("l")),
]


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("name", "move"), TRAINED, ids=str)
def test_one_step_later_old_parameters_are_where_they_would_have_been(name: str, move: Move, make: Make) -> None:
    """Fresh units and new layers are silent, so the loss and its gradients in old parameters stay what they were."""
    network, state = some.network_of(GRAPHS[name]), State()
    for _ in range(3):
        network, state = step(network, state, make)
    edit = move.plan(network.graph)
    wider, carried = network.after(edit), inherit_state(edit, state)
    plain, plain_state = step(network, state, make)
    grown, grown_state = step(wider, carried, make)
    moved = 0.0
    for label, entries in plain_state.items():
        assert grown_state[label]["step"] == 4 if "step" in entries else "step" not in grown_state[label]
        old = old_entries(edit, label)
        for key, value in ({"": plain.weights[label]} | entries).items():
            if value.ndim:
                found = (grown_state[label][key] if key else grown.weights[label])[old]
                assert (found - value).abs().max() < 1e-12, (label, key)
        moved = max(moved, float((plain.weights[label] - network.weights[label]).abs().max()))
    assert 1e-4 < moved < 1
    for label in grown_state.keys() - plain_state.keys():
        assert label.partition(".")[0] not in network.graph
        assert label not in carried and grown_state[label].get("step", 1) == 1


def old_entries(edit, label: str) -> tuple[Tensor, ...]:  # type: ignore[no-untyped-def]
    """Index, in a tensor after an edit that adds units alone, the entries that were there before."""
    name, _, key = label.partition(".")
    axes, shape = edit.after.tensors(name)[key].axes, edit.after.tensors(name)[key].shape
    sizes = edit.before.tensors(name)[key].shape if name in edit.before else shape
    maps = [edit.axis_map(name, role, size) for role, size in zip(axes, sizes, strict=True)]
    kept = [torch.from_numpy((~one.fresh).nonzero()[0]) for one in maps]
    return torch.meshgrid(*kept, indexing="ij")


@pytest.mark.parametrize(("name", "move"), TRAINED[:4], ids=str)
def test_moments_of_fresh_entries_are_zero_and_new_nodes_have_none(name: str, move: Move) -> None:
    network, state = step(some.network_of(GRAPHS[name]), State(), OPTIMIZERS["adam"])
    edit = move.plan(network.graph)
    for label, entries in inherit_state(edit, state).items():
        rest = torch.ones_like(entries["exp_avg"], dtype=torch.bool)
        rest[old_entries(edit, label)] = False
        assert not entries["exp_avg"][rest].any() and not entries["exp_avg_sq"][rest].any(), label
        assert torch.equal(entries["exp_avg"][~rest], state[label]["exp_avg"].reshape(-1)), label
        assert entries["step"] == state[label]["step"] == 1


def test_a_chain_of_moves_carries_state_as_each_of_them_does() -> None:
    network, state = step(some.network_of(GRAPHS["residual"]), State(), OPTIMIZERS["adamw"])
    first = {label: dict(entries) for label, entries in state.items()}
    chain = (Widen("b", 2), InsertLayer("s"), AddEdge("x", "m"), SwapOp("t", ops.GELU()), RemoveEdge("add2", 1))
    for move in chain:
        edit = move.plan(network.graph)
        network, state = network.after(edit), inherit_state(edit, state)
    assert set(state) == set(first)
    for label in ("o.weight", "c.bias", "m.weight", "x"):
        if label in state:
            assert all(torch.equal(state[label][key], first[label][key]) for key in first[label]), label
    assert torch.equal(state["a.weight"]["exp_avg"][:3], first["a.weight"]["exp_avg"])
    assert not state["a.weight"]["exp_avg"][3:].any()
    step(network, state, OPTIMIZERS["adamw"])
