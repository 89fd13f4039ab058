"""Peak memory against hand counts, against live bytes of real runs, and against torch's own allocator."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, fx
from torch.profiler import ProfilerActivity, profile

from archgraph import Graph, GraphBuilder, Network, Op, Shape, ops
from archgraph.errors import SettingError
from archgraph.metrics import LiveBytes, measured_memory, memory_profile, peak_memory
from archgraph.reading import from_torch
from tests.models.zoo import ZOO, grown
from tests.moves.graphs import GRAPHS
from tests.ops.test_conformance import CASES
from tests.strategies import graphs

BATCH = 6
MODES = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
WORKSPACE = (ops.LSTM, ops.GRU)
"""Layers whose kernel on the CPU has autograd keep a workspace of its own making, whose size nothing declares."""

CHAIN = Graph.parse("x = Input((3,))\na = Linear(5)(x)\nr = ReLU()(a)\no = Linear(2)(r)\nreturn o")


def test_a_chain_by_hand() -> None:
    found = memory_profile(CHAIN, 4)  # 16 bytes an entry
    assert dict(found.held) == {"x": 16 * 3, "a": 16 * (3 + 5), "r": 16 * (3 + 5 + 5), "o": 16 * (3 + 5 + 2)}
    assert (found.peak, found.at, found.left) == (16 * 13, "r", 16 * (3 + 2))
    assert dict(found.at_peak) == {"x": 16 * 3, "a": 16 * 5, "r": 16 * 5, "o": 0}


def test_a_chain_in_training_by_hand() -> None:
    found = memory_profile(CHAIN, 4, training=True)
    assert found.left == 16 * (3 + 5 + 2)  # what ReLU read is not needed by its derivative
    assert found.peak == 16 * 13


def test_a_skip_is_held_until_it_is_added() -> None:
    graph = Graph.parse(
        "x = Input((2,))\na = Linear(7)(x)\nb = Linear(3)(a)\nc = Linear(7)(b)\n"
        "s = Add()(a, c)\nt = Tanh()(s)\nreturn t"
    )
    held = memory_profile(graph, 5).held
    assert held["c"] == 20 * (2 + 7 + 3 + 7)
    assert held["s"] == 20 * (2 + 7 + 7 + 7)  # b is gone
    assert held["t"] == 20 * (2 + 7 + 7)


def test_views_hold_what_they_show() -> None:
    graph = Graph.parse(
        "x = Input((3, 4, 5))\na = Conv2d(2, kernel_size=1)(x)\nf = Flatten()(a)\nb = Linear(7)(f)\nreturn b"
    )
    held = memory_profile(graph, 1).held
    assert held["f"] == 4 * (60 + 40)
    assert held["b"] == 4 * (60 + 40 + 7)  # a itself has no reader left, but f shows it


@pytest.mark.parametrize(("dtype", "width"), [("float16", 2), ("bfloat16", 2), ("float32", 4), ("float64", 8)])
def test_types(dtype: str, width: int) -> None:
    assert peak_memory(CHAIN, 7, dtype=dtype) == 7 * 13 * width


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, True, None])
def test_refuses_batch_sizes(batch_size: object) -> None:
    with pytest.raises(SettingError, match="batch_size must be a positive whole number"):
        memory_profile(CHAIN, batch_size)  # type: ignore[arg-type]


@MODES
def test_many_nodes_are_no_trouble(training: bool) -> None:
    text = ["n0 = Input((3,))", *(f"n{i} = {'ReLU' if i % 2 else 'Tanh'}()(n{i - 1})" for i in range(1, 3000))]
    found = memory_profile(Graph.parse("\n".join([*text, "return n2999"])), 2, training=training)
    assert found.peak == 24 * 3  # autograd follows nothing: there are no weights
    assert sum(found.at_peak.values()) == found.peak


# ------------------------------------------------------------------ real runs
def real(graph: Graph, training: bool) -> tuple[int, int]:
    """Return the peak and what is left, counted while the lowered module runs."""
    module, inputs = Network.init(graph).to_torch().train(training), batch(graph)
    with torch.set_grad_enabled(training), LiveBytes([*module.parameters(), *module.buffers(), *inputs]) as live:
        outputs = module(*inputs)
        left = live.now
    assert outputs is not None
    own = sum(tensor.untyped_storage().nbytes() for tensor in inputs)
    return live.greatest + own, left + own


def batch(graph: Graph) -> list[Tensor]:
    kinds = {name: getattr(torch, graph.op(name).dtype) for name in graph.inputs}
    return [torch.rand(BATCH, *graph.shape(name).dims).to(kinds[name]) for name in graph.inputs]


def single(graph: Graph) -> bool:
    """Whether every op is a layer or one call; of others the model holds the inputs until the last call is done."""
    return all(calls(node.op, graph.input_shapes(node.name)) <= 1 for node in graph)


def calls(op: Op, shapes: tuple[Shape, ...]) -> int:
    if op.arity == (0, 0) or op.module(*shapes) is not None:
        return 0
    trace = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(trace)
    op.forward(tuple(fx.Proxy(trace.placeholder(f"x{place}"), tracer) for place in range(len(shapes))), shapes)
    return len(trace.nodes) - len(shapes)


def check(graph: Graph, training: bool) -> None:
    found, (peak, left) = memory_profile(graph, BATCH, training=training), real(graph, training)
    assert sum(found.at_peak.values()) == found.peak == max(found.held.values())
    if training and any(isinstance(node.op, WORKSPACE) for node in graph):
        assert found.left <= left and found.peak <= peak
        return
    assert found.left == left
    if single(graph):
        assert found.peak == peak
    else:
        inputs = max(sum(4 * BATCH * shape.size for shape in graph.input_shapes(name)) for name in graph.nodes)
        assert peak <= found.peak <= peak + inputs


def between(op: Op, shapes: tuple[Shape, ...]) -> Graph:
    """Return a graph with the op between a layer that is trained and one that frees what the op made."""
    build = GraphBuilder()
    words = isinstance(op, ops.Embedding)
    inputs = [build(ops.Input(shape.dims, shape.unit_axis, "int64" if words else "float32")) for shape in shapes]
    last = build(op, *(inputs if words else [build(ops.Scale(), name) for name in inputs]))
    return build.graph(build(ops.Tanh(), last))


OPS = {  # layers on graphs look at the links, which a sample of another shape does not have
    name: (op, shapes)
    for name, (op, shapes) in CASES.items()
    if op.arity != (0, 0) and all(shape.rows == "samples" for shape in shapes)
}


@MODES
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize(("op", "shapes"), OPS.values(), ids=OPS)
def test_every_op_holds_what_a_real_run_holds(op: Op, shapes: tuple[Shape, ...], training: bool) -> None:
    check(between(op, shapes), training)


def test_most_ops_are_single_calls() -> None:
    assert sum(single(between(*case)) for case in OPS.values()) > 0.9 * len(OPS)


@MODES
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_hold_what_a_real_run_holds(name: str, training: bool) -> None:
    check(GRAPHS[name], training)


@MODES
@given(graph=graphs())
@settings(max_examples=20)
def test_random_graphs_hold_what_a_real_run_holds(graph: Graph, training: bool) -> None:
    check(graph, training)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_models_of_others_hold_what_a_real_run_holds(name: str) -> None:
    model, inputs = grown(name)
    network = from_torch(model, inputs)
    module = network.to_torch()
    for training in (False, True):
        found = memory_profile(network.graph, len(inputs[0]), dtype="float64", training=training)
        peak = measured_memory(module, list(inputs), training=training)
        if training and any(isinstance(node.op, WORKSPACE) for node in network.graph):
            assert found.peak <= peak
        elif single(network.graph):
            assert found.peak == peak
        else:
            assert peak <= found.peak <= 1.1 * peak


def allocated(run: Callable[[], object]) -> tuple[int, int]:
    """Return the greatest and the last number of bytes that torch's CPU allocator has handed out during a call."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        result = run()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    assert result is not None
    now = greatest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        greatest = max(greatest, now)
    return greatest, now


@MODES
@pytest.mark.parametrize("name", ["residual", "dropout", "depthwise and a concat with itself"])
def test_the_allocator_agrees(name: str, training: bool) -> None:
    graph = GRAPHS[name]
    module, inputs = Network.init(graph).to_torch().train(training), batch(graph)
    own = sum(tensor.untyped_storage().nbytes() for tensor in inputs)
    with torch.set_grad_enabled(training):
        module(*inputs)  # what is made once and kept
        peak, left = allocated(lambda: module(*inputs))
    found = memory_profile(graph, BATCH, training=training)
    assert found.left == left + own
    assert found.peak <= peak + own  # convolutions take a workspace of their own while they run
    if name == "dropout":
        assert found.peak == peak + own
