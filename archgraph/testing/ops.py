"""Conformance of an op: what it says about itself against what the torch module or function it builds does."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archgraph.errors import ArchGraphError, MoveRefused
from archgraph.graph import (
    GRAPHS,
    SAMPLES,
    Absorb,
    Along,
    Edit,
    Fixed,
    Graph,
    GraphBuilder,
    Invariant,
    Merge,
    Op,
    Select,
    Shape,
    Stack,
    length,
    resize,
)
from archgraph.graph.shape import EDGES
from archgraph.net import Network
from archgraph.ops import Conv1d, Conv2d, Conv3d, Embedding, Flatten, Input, Linear, Unsqueeze
from archgraph.ops.edges import graph_input, source_of
from archgraph.registry import OPS

BATCH = 3
GROUPS = 2
"""Graphs that the nodes of a batch are of."""
EXACT = 1e-10
"""Largest relative change of outputs, in float64, of a rewrite that keeps the function."""


def check_op(op: Op, *input_shapes: Shape | Sequence[int]) -> None:
    """Check all that the contract of an op promises, for one op and one choice of input shapes.

    Sizes should all differ: a rule that mixes two equal sizes passes unseen. Checked are: the text form, the inferred
    shape, parameters and buffers, MACs, the size rule (by disturbing one unit after the other) and re-indexing (units
    before the op, or its own, are duplicated; the function must stay).

    Args:
        op: the op, a value of a registered class.
        *input_shapes: shapes that it accepts, without the batch axis; plain tuples have their units first. Those of
            edges are what the ops that take them infer, such as ``Edges(3).infer()``.

    Raises:
        AssertionError: for the first promise that is broken, with both sides of it.
    """
    shapes = tuple(shape if isinstance(shape, Shape) else Shape(tuple(shape)) for shape in input_shapes)
    _check_value(op)
    graph = _alone(op, shapes)
    network = _drawn(graph)
    inputs = _batches(graph)
    _check_text(op, graph)
    _check_tensors(op, shapes)
    _check_output(op, network, inputs)
    _check_macs(op, network, inputs)
    _check_rule(op, network, inputs)
    _check_resizing(op, shapes)


def _expect(holds: bool, op: Op, what: str, *, said: object, found: object) -> None:
    if not holds:
        raise AssertionError(f"{op!r}: {what}\n  the op says: {said}\n  torch says:  {found}")


def _alone(op: Op, shapes: tuple[Shape, ...]) -> Graph:
    build = GraphBuilder()
    dtype = "int64" if isinstance(op, Embedding) else "float32"
    sources = [
        build(source_of(shape) or Input(shape.dims, shape.unit_axis, dtype), name=f"in{n}")
        for n, shape in enumerate(shapes)
    ]
    return build.graph(build(op, *sources, name="op"))


def _drawn(graph: Graph) -> Network:
    """Return a network in float64 in which nothing is 0 or 1 by default: running statistics and scales vary too."""
    network = Network.init(graph, seed=1, dtype=torch.float64)
    draw = torch.Generator().manual_seed(2)
    weights = {
        key: torch.rand(value.shape, generator=draw, dtype=value.dtype) + 0.5 if value.is_floating_point() else value
        for key, value in network.weights.items()
    }
    return Network(graph, weights)


def _batches(graph: Graph) -> tuple[Tensor, ...]:
    """Return a batch for every input: numbers about zero, or whole ones that every embedding knows."""
    draw = torch.Generator().manual_seed(3)
    words = min((node.op.num_embeddings for node in graph if isinstance(node.op, Embedding)), default=2)
    batches = []
    for name in graph.inputs:
        sizes, op = (BATCH, *graph.shape(name).dims), graph.op(name)
        if (given := graph_input(graph, name, BATCH, draw)) is not None:
            batches.append(given)
        elif isinstance(op, Input) and op.dtype != "float32":
            batches.append(torch.randint(words, sizes, generator=draw, dtype=getattr(torch, op.dtype)))
        else:
            batches.append(torch.randn(*sizes, generator=draw, dtype=torch.float64))
    return tuple(batches)


@torch.no_grad()
def _run(network: Network, inputs: tuple[Tensor, ...], *, train: bool = False) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        result = network.to_torch().train(train)(*inputs)
    assert isinstance(result, Tensor)
    return result


def _check_value(op: Op) -> None:
    kind = type(op)
    _expect(OPS.get(kind.__name__) is kind, op, "registered under its class name", said=kind, found="another class")
    _expect(hash(op) == hash(op._with()), op, "equal ops have equal hashes", said=hash(op), found=hash(op._with()))
    own = inspect.getdoc(kind) or ""
    documented = bool(own) and not own.startswith(f"{kind.__name__}(")
    _expect(documented, op, "has a docstring", said=own, found="what dataclass makes by itself")


def _check_text(op: Op, graph: Graph) -> None:
    read = Graph.parse(str(graph))
    _expect(read == graph and read.op("op") == op, op, "its text parses back", said=op, found=read.op("op"))


def _check_tensors(op: Op, shapes: tuple[Shape, ...]) -> None:
    module = op.module(*shapes)
    specs = dict(op.tensors(*shapes))
    said = {key: spec.shape for key, spec in specs.items()}
    found = {key: tuple(value.shape) for key, value in module.state_dict().items()} if module is not None else {}
    _expect(list(said.items()) == list(found.items()), op, "tensors, in torch's order", said=said, found=found)
    trainable = {key for key, spec in specs.items() if spec.trainable}
    parameters = dict(module.named_parameters()) if isinstance(module, nn.Module) else {}
    _expect(trainable == set(parameters), op, "trainable tensors", said=trainable, found=set(parameters))
    count = sum(spec.size for spec in specs.values() if spec.trainable)
    numbers = sum(parameter.numel() for parameter in parameters.values())
    _expect(count == numbers, op, "number of parameters", said=count, found=numbers)
    rule = op.rule(*shapes)
    out = op.infer(*shapes).units // (rule.tile if isinstance(rule, Absorb) else 1)
    units = {Along("out", reads): out for reads in (False, True)}
    units |= {Along("in", True, place): shape.units for place, shape in enumerate(shapes)}
    units |= {Along(axis, reads): size for axis, size in op.inner(*shapes).items() for reads in (False, True)}
    units |= {Along(axis, inverse=True): size for axis, size in op.inner(*shapes).items()}
    for key, spec in specs.items():
        for size, role in zip(spec.shape, spec.axes, strict=True):
            wanted = length(role, size, units)
            _expect(size == wanted, op, f"an axis of {key!r} runs along {role}", said=wanted, found=size)


def _check_output(op: Op, network: Network, inputs: tuple[Tensor, ...]) -> None:
    result = _run(network, inputs)
    shape = network.graph.shape("op")
    rows = {SAMPLES: BATCH, GRAPHS: GROUPS}.get(shape.rows)
    if rows is None:
        return  # edges, of which there may be any number
    said = (rows, *shape.dims)
    _expect(tuple(result.shape) == said, op, "output shape", said=said, found=tuple(result.shape))
    trained = tuple(_run(network, inputs, train=True).shape)
    _expect(trained == said, op, "output shape in train mode", said=said, found=trained)
    again = _run(network, inputs)
    same = torch.allclose(result, again, rtol=0.0, atol=0.0, equal_nan=True)  # a logarithm has no value below zero
    _expect(same, op, "the same result twice in eval mode", said="equal", found="different")


def _check_macs(op: Op, network: Network, inputs: tuple[Tensor, ...]) -> None:
    module = network.to_torch().eval()
    fused = sdpa_kernel(SDPBackend.MATH)  # the counter does not know the CPU's kernel for attention
    with fused, FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    found = counter.get_total_flops() / 2 / BATCH
    shapes = network.graph.input_shapes("op")
    said = op.macs(*shapes)
    if any(shape.rows == EDGES for shape in shapes):  # sums over edges are not counted by torch
        more = [replace(shape, dims=(shape.positions + 1, 1)) if shape.rows == EDGES else shape for shape in shapes]
        fits = said >= found and op.macs(*more) >= said
        _expect(fits, op, "MACs on one node, those over edges too", said=said, found=found)
        return
    _expect(said == found, op, "MACs on one sample", said=said, found=found)


def _check_rule(op: Op, network: Network, inputs: tuple[Tensor, ...]) -> None:
    """Disturb one input unit at a time: which output units move?"""
    shapes, out = network.graph.input_shapes("op"), network.graph.shape("op")
    rule = op.rule(*shapes)
    if not isinstance(rule, Invariant | Stack | Merge | Select):
        return
    before = _run(network, inputs)
    for place, shape in enumerate(shapes):
        for unit in range(shape.units) if shape.mixes else ():
            if isinstance(rule, Invariant):
                allowed = set(range(out.units)) if place in rule.broadcast else {unit}
            elif isinstance(rule, Merge):
                allowed = {unit // rule.size}
            elif isinstance(rule, Select):
                allowed = {unit - rule.start} if rule.start <= unit < rule.stop else set()
            else:
                start = sum(other.units for other in shapes[:place]) * rule.repeat * rule.tile + unit * rule.repeat
                turns = range(start, start + shape.units * rule.repeat * rule.tile, shape.units * rule.repeat)
                allowed = {turn + entry for turn in list(turns)[: rule.tile] for entry in range(rule.repeat)}
            disturbed = [batch.clone() for batch in inputs]
            _axes(disturbed[place]).select(shape.unit_axis + 1, unit).mul_(-2.0).add_(3.0)
            change = _axes(_run(network, tuple(disturbed)) - before)
            others = [axis for axis in range(change.ndim) if axis != out.unit_axis + 1]
            moved = set((change != 0).sum(dim=others).nonzero().flatten().tolist())
            _expect(moved <= allowed, op, f"output units that unit {unit} reaches", said=allowed, found=moved)
            _expect(
                bool(moved) or not allowed,
                op,
                f"unit {unit} of input {place} reaches the output",
                said=allowed,
                found=moved,
            )


def _axes(batch: Tensor) -> Tensor:
    """Return a batch with an axis of units, even where a sample is one number; it shares the memory."""
    return batch if batch.ndim > 1 else batch.unsqueeze(1)


def _check_resizing(op: Op, shapes: tuple[Shape, ...]) -> None:
    """Duplicate units in a small network around the op: the new tensors fit, and the function stays."""
    if isinstance(op, Embedding):
        return _check_own_units(op, shapes[0])
    if not op.output(*shapes).mixes:
        return  # no layer reads edges as units
    build = GraphBuilder()
    makers: list[str] = []
    for place, shape in enumerate(shapes):
        if (given := source_of(shape)) is not None:
            makers.append(build(given, name=f"in{place}"))
            continue
        maker = _maker(shape)
        if maker is None:
            return  # no op makes units of this layout
        source = build(Input(*_source(shape)), name=f"in{place}")
        makers.append(build(maker, source, name=f"maker{place}"))
    build(op, *makers, name="op")
    vector = Flatten() if op.infer(*shapes).dims else Unsqueeze(1)
    graph = build.graph(build(Linear(2), build(vector, "op"), name="reader"))
    rule = op.rule(*shapes)
    spread = [makers[place] for place in rule.broadcast] if isinstance(rule, Invariant) else []
    inner = [f"op.{axis}" for axis in op.inner(*shapes)]
    made = [name for name, shape in zip(makers, shapes, strict=True) if shape.mixes]
    for name in dict.fromkeys((*made, *(("op",) if isinstance(rule, Absorb | Fixed) else ()), *inner)):
        try:
            edit = resize(graph, name, _copies(graph.units(name)))
        except MoveRefused as error:
            reason = rule.reason if isinstance(rule, Fixed) else "spreads this unit" if name in spread else None
            _expect(reason is not None and reason in str(error), op, "may be resized", said=reason, found=error)
            continue
        fixed = isinstance(rule, Fixed) or name in spread
        _expect(not fixed, op, "its units are fixed", said=rule, found=f"{name} was resized")
        _check_function(op, name, edit)


def _check_own_units(op: Op, shape: Shape) -> None:
    """Resize the units of an op that reads whole numbers, which no op makes."""
    build = GraphBuilder()
    build(Input(shape.dims, shape.unit_axis, "int64"), name="in0")
    build(op, "in0", name="op")
    graph = build.graph(build(Linear(2), build(Flatten(), "op"), name="reader"))
    _check_function(op, "op", resize(graph, "op", _copies(graph.units("op"))))


def _copies(units: int) -> dict[int, tuple[float | None, ...]]:
    """Return two units that become several, one of them beside a fresh one."""
    return {units - 1: (0.25, None, 0.75), 0: (0.5, 0.3, 0.2)} if units > 1 else {0: (0.25, None, 0.75)}


def _check_function(op: Op, name: str, edit: Edit) -> None:
    """The new tensors fit, and the function stays."""
    network = _drawn(edit.before)
    try:
        new = network.after(edit)  # checks the shapes of all tensors
    except (ArchGraphError, IndexError) as error:
        raise AssertionError(f"{op!r}: its tensors follow when {name} is resized\n  {error}") from error
    _check_tensors(edit.after.op("op"), edit.after.input_shapes("op"))
    inputs = _batches(edit.before)
    for train in (False, True):
        if train and not _repeats(network, inputs):
            continue
        before, after = (_run(one, inputs, train=train) for one in (network, new))
        change = float((after - before).abs().max() / before.abs().max())
        _expect(change < EXACT, op, f"relative change when {name} is resized", said=0.0, found=change)


def _repeats(network: Network, inputs: tuple[Tensor, ...]) -> bool:
    """Whether the network draws no random numbers in train mode; equal results would not tell: a draw may keep all."""
    module = network.to_torch()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        module(*inputs)
        return torch.equal(torch.get_rng_state(), before)


def _maker(shape: Shape) -> Op | None:
    if shape.unit_axis == len(shape.dims) - 1:
        return Linear(shape.units)
    kind = {2: Conv1d, 3: Conv2d, 4: Conv3d}.get(len(shape.dims))
    return kind(shape.units, kernel_size=1) if kind is not None and shape.unit_axis == 0 else None


def _source(shape: Shape) -> tuple[tuple[int, ...], int]:
    return shape.resized(shape.units + 1).dims, shape.unit_axis
