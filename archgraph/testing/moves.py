"""Conformance of a move: what it says about itself against what it does to a graph and to a network on it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archgraph.errors import ArchGraphError, MoveRefused, UnknownName
from archgraph.graph import Edit, Graph, UnitMap, node_of
from archgraph.metrics.graph import macs, params
from archgraph.moves import Move, parse
from archgraph.net import Network, inherit_state, load_state, tensor_shapes
from archgraph.ops.edges import graph_input
from archgraph.registry import MOVES

BATCH = 3
EXACT = 1e-10
"""Largest relative change of outputs, in float64, of a rewrite that keeps the function."""
SITES = 200
"""How many of a move's sites are tried at most."""
NOWHERE = "no_node_is_called_so"


def check_move(move: Move, network: Network, *, inputs: Sequence[Tensor] | None = None) -> None:
    """Check all that the contract of a move promises, for one move and one network on which it is legal.

    Checked are: its text form, its sites, that graph and network become the same valid graph and stay what they were,
    the unit maps, the tensors, MACs and parameters counted anew, optimizer state, and, where they are declared, that
    the function is kept and that the inverse leads back. Sizes in the graph should all differ, and it should hold what
    may stand in the way: batch norms, sums, concats, shared weights. The function is compared with statistics and
    vectors drawn anew, too, so a fresh network will do.

    Args:
        move: the move, a value of a registered class, legal on the network.
        network: where it is applied.
        inputs: a batch for every input of the graph; drawn by default.

    Raises:
        AssertionError: for the first promise that is broken, with both sides of it.
    """
    before, text = network.graph, str(network.graph)
    _check_value(move)
    edit = _planned(move, before)
    _check_text(move, edit)
    _check_unknown_names(move, before)
    _check_sites(move, before)
    _check_graph(move, edit)
    _check_units(move, edit)
    exact = network.to(torch.float64)
    batches = _drawn_inputs(before) if inputs is None else tuple(map(_exact, inputs))
    for subject in (exact, disturbed(exact)):
        after = _applied(move, subject, edit)
        _check_counts(move, after, batches)
        _check_state(move, edit, after)
        if move.keeps_function:
            _same(move, subject, after, batches, "relative change of the outputs")
        _check_inverse(move, subject, after, batches)
    _expect(str(before) == text, move, "leaves alone the graph it is applied to", text, before)


def disturbed(network: Network) -> Network:
    """Return a network in which no scale, shift or running statistic is 0 or 1 by default; matrices stay."""
    draw = torch.Generator().manual_seed(2)
    weights = {
        key: (torch.rand(value.shape, generator=draw, dtype=torch.float64) + 0.5).to(value)
        if value.is_floating_point() and value.ndim == 1
        else value
        for key, value in network.weights.items()
    }
    return Network(network.graph, weights)


def _expect(holds: bool, move: Move, what: str, said: object, found: object) -> None:
    if not holds:
        raise AssertionError(f"{move!r}: {what}\n  expected: {said}\n  found:    {found}")


def _planned(move: Move, graph: Graph) -> Edit:
    try:
        edit = move.plan(graph)
    except ArchGraphError as error:
        raise AssertionError(f"{move!r}: is not legal on this network, name another site\n  {error}") from error
    _expect(edit.before == graph, move, "its edit starts from the graph it was given", graph, edit.before)
    refusal = move.refusal(graph)
    _expect(refusal is None, move, "refuses what it plans", None, refusal)
    again = move.plan(graph)
    same = again.after == edit.after and dict(again.units) == dict(edit.units)
    _expect(same, move, "plans the same twice", edit.after, again.after)
    return edit


def _check_value(move: Move) -> None:
    kind = type(move)
    _expect(MOVES.get(kind.__name__) is kind, move, "is registered under its class name", kind, "another class")
    _expect(hash(move) == hash(replace(move)) and move == replace(move), move, "is a value", "equal copies", "others")
    own = inspect.getdoc(kind) or ""
    _expect(bool(own) and not own.startswith(f"{kind.__name__}("), move, "has a docstring", "a sentence", own)


def _check_text(move: Move, edit: Edit) -> None:
    try:
        read = parse(repr(move))
    except ArchGraphError as error:
        raise AssertionError(f"{move!r}: does not parse back\n  {error}") from error
    if all(field.repr for field in fields(move)):
        _expect(read == move, move, "its text parses back", move, read)
    after = read.plan(edit.before).after
    _expect(after == edit.after, move, "read back, it makes the same graph", edit.after, after)


def _check_unknown_names(move: Move, graph: Graph) -> None:
    """A field that names a node refuses a name that no node has."""
    for field in fields(move):
        named = getattr(move, field.name)
        if isinstance(named, str) and node_of(named) in graph:
            lost = replace(move, **{field.name: NOWHERE})
            found: object = "no error"
            try:
                lost.plan(graph)
            except (MoveRefused, UnknownName):
                continue
            except Exception as error:
                found = repr(error)
            _expect(False, move, f"{field.name}={NOWHERE!r} is an error", "MoveRefused or UnknownName", found)


def _check_sites(move: Move, graph: Graph) -> None:
    seen: set[Move] = set()
    for site in islice(type(move).sites(graph), SITES):
        _expect(type(site) is type(move), move, "yields sites of its own class", type(move), type(site))
        _expect(site not in seen, move, "yields every site once", "once", f"{site!r} again")
        refusal = site.refusal(graph)
        _expect(refusal is None, move, f"every site is legal, {site!r} too", "legal", refusal)
        seen.add(site)


def _check_graph(move: Move, edit: Edit) -> None:
    before, after = edit.before, edit.after
    applied = move.apply(before)
    _expect(applied == after, move, "applied to a graph, gives the graph of its plan", after, applied)
    fresh = Graph(tuple(after), after.outputs)  # verified and inferred from nothing
    _expect(fresh == after, move, "its graph is a valid one", fresh, after)
    for node in fresh:
        said, found = fresh.shape(node.name), after.shape(node.name)
        _expect(said == found, move, f"shape of node {node.name!r}", said, found)
        _expect(set(fresh.users(node.name)) == set(after.users(node.name)), move, f"readers of {node.name!r}", said, "")
    _expect(Graph.parse(str(after)) == after, move, "the text of its graph parses back", after, "another graph")
    if move.keeps_function:
        for what, names in (("inputs", before.inputs), ("outputs", before.outputs)):
            others = after.inputs if what == "inputs" else after.outputs
            shapes = [[graph.shape(name) for name in found] for graph, found in ((before, names), (after, others))]
            _expect(shapes[0] == shapes[1], move, f"keeps the shapes of the {what}", *shapes)


def _check_units(move: Move, edit: Edit) -> None:
    """Every unit map leads from the old units to the new ones, and where none is given their number stays."""
    for node in edit.after:
        units = edit.after.shape(node.name).units
        if edit.is_new(node.name):
            _expect(node.name not in edit.units, move, f"new node {node.name!r} continues no units", None, "a unit map")
            continue
        old = edit.before.shape(node.name).units
        found: UnitMap | None = edit.units.get(node.name)
        said = (old, units)
        got = (old, old) if found is None else (found.old_units, len(found))
        _expect(said == got, move, f"old and new units of node {node.name!r} by its unit map", said, got)
        for axis, wide in edit.after.inner(node.name).items():
            if node.tie is None and axis in edit.before.inner(node.name):
                said = (edit.before.inner(node.name)[axis], wide)
                found = edit.unit_map(f"{node.name}.{axis}")
                got = (found.old_units, len(found))
                _expect(said == got, move, f"old and new units of {node.name}.{axis} by its unit map", said, got)
    extra = [name for name in edit.units if node_of(name) not in edit.after]
    _expect(not extra, move, "unit maps are of nodes of the new graph", [], extra)


def _applied(move: Move, network: Network, edit: Edit) -> Network:
    key = Network(network.graph, network.weights).key
    after = move.apply(network)
    found = Network(network.graph, network.weights).key  # a network remembers its own
    _expect(key == found, move, "leaves alone what it is applied to", "equal weights", "changed ones")
    _expect(after.graph == edit.after, move, "graph and network become the same", edit.after, after.graph)
    state = torch.random.get_rng_state()
    again = move.apply(network)
    _expect(after == again, move, "gives the same network twice", "equal", "different")
    drew = not torch.equal(state, torch.random.get_rng_state())
    _expect(not drew, move, "draws from its own seed", "torch's global stream left alone", "changed")
    Network(after.graph, after.weights)  # checks that all tensors are there, of the right shape
    for name, tensor in after.weights.items():
        right = not tensor.is_floating_point() or (tensor.dtype == network.dtype and bool(tensor.isfinite().all()))
        _expect(right, move, f"tensor {name!r} is finite, of the type of the others", network.dtype, tensor)
    return after


def _check_counts(move: Move, network: Network, inputs: tuple[Tensor, ...]) -> None:
    module = network.to_torch().eval()
    said, found = sum(parameter.numel() for parameter in module.parameters()), params(network.graph)
    _expect(said == found, move, "parameters counted from the tensors", said, found)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    flops, predicted = counter.get_total_flops() / 2 / len(inputs[0]), macs(network.graph)
    if not all(
        network.graph.shape(name).mixes for name in network.graph.inputs
    ):  # torch does not count sums over edges
        _expect(flops <= predicted, move, "MACs on one node, those over edges too", flops, predicted)
        return
    _expect(flops == predicted, move, "MACs on one sample counted by torch", flops, predicted)


def _check_state(move: Move, edit: Edit, after: Network) -> None:
    """Adam's moments go through the edit, and an optimizer on the new module takes them."""
    trainable = {
        f"{node.name}.{key}": spec.shape
        for node in edit.before
        if node.tie is None
        for key, spec in edit.before.tensors(node.name).items()
        if spec.trainable
    }
    state = {
        label: {"step": torch.tensor(5.0), "exp_avg": torch.ones(shape), "exp_avg_sq": torch.ones(shape)}
        for label, shape in trainable.items()
    }
    carried, shapes = inherit_state(edit, state), tensor_shapes(edit.after)
    for label, entries in carried.items():
        said, found = shapes.get(label), tuple(entries["exp_avg"].shape)
        _expect(said == found, move, f"moments of {label!r}", said, found)
    module = after.to_torch()
    load_state(module, torch.optim.Adam(module.parameters()), carried)


def _check_inverse(move: Move, network: Network, after: Network, inputs: tuple[Tensor, ...]) -> None:
    inverse = getattr(move, "inverse", None)
    if inverse is None:
        return
    back = inverse(network.graph).apply(after)
    _expect(back.graph == network.graph, move, "its inverse leads back to the graph", network.graph, back.graph)
    if move.keeps_function:
        _same(move, network, back, inputs, "relative change of the outputs there and back")
        for name, tensor in network.weights.items():
            same = torch.allclose(back.weights[name], tensor, rtol=EXACT, atol=0.0)
            _expect(same, move, f"its inverse leads back to tensor {name!r}", tensor, back.weights[name])


def _same(move: Move, one: Network, other: Network, inputs: tuple[Tensor, ...], what: str) -> None:
    for train in (False, True):
        if train and not _repeats(one, inputs):
            continue  # it draws random numbers
        for left, right in zip(_run(one, inputs, train), _run(other, inputs, train), strict=True):
            change = float((left - right).abs().max() / left.abs().max().clamp(min=torch.finfo(left.dtype).tiny))
            _expect(change < EXACT, move, f"{what} in {'train' if train else 'eval'} mode", 0.0, change)


def _repeats(network: Network, inputs: tuple[Tensor, ...]) -> bool:
    pairs = zip(_run(network, inputs, True, seed=0), _run(network, inputs, True, seed=1), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


@torch.no_grad()
def _run(network: Network, inputs: tuple[Tensor, ...], train: bool, *, seed: int = 0) -> tuple[Tensor, ...]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = network.to_torch().train(train)
        for part in module.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.eval()  # it draws anew every time, and would hide what batch norms do
        result = module(*inputs)
    return result if isinstance(result, tuple) else (result,)


def _exact(batch: Tensor) -> Tensor:
    return batch.to(torch.float64) if batch.is_floating_point() else batch


def _drawn_inputs(graph: Graph) -> tuple[Tensor, ...]:
    """Return a batch for every input: numbers about zero, or whole ones that every embedding knows."""
    draw = torch.Generator().manual_seed(3)
    counts = [getattr(node.op, "num_embeddings", None) for node in graph]
    words = min((count for count in counts if count is not None), default=2)
    batches = []
    for name in graph.inputs:
        sizes, kind = (BATCH, *graph.shape(name).dims), str(getattr(graph.op(name), "dtype", ""))
        if (given := graph_input(graph, name, BATCH, draw)) is not None:
            batches.append(given)
        elif kind.startswith("int"):
            batches.append(torch.randint(words, sizes, generator=draw, dtype=getattr(torch, kind)))
        else:
            batches.append(torch.randn(sizes, generator=draw, dtype=torch.float64))
    return tuple(batches)
