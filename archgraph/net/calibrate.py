"""Running statistics of batch norm for units that a rewrite made: estimated from data, all others left alone.

A fresh unit starts with mean 0 and variance 1, and a copy of a split unit with the statistics of the unit it continues,
though its weights have moved. Until training has seen enough batches both are wrong in eval mode. The estimate is that
of :func:`torch.optim.swa_utils.update_bn`: batches go through the network in training mode, and a unit's statistics are
the means over batches of its mean and of its unbiased variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from archgraph.errors import DataError, GraphError
from archgraph.graph import Absorb, Edit, Fixed, Graph, Invariant, Merge, Select, Stack, makes
from archgraph.net.lowering import lower, target
from archgraph.net.network import Network
from archgraph.net.nodes import Nodes, arguments

Units = NDArray[np.bool_]
_STATISTICS = ("running_mean", "running_var")


def calibrate(
    network: Network,
    edits: Edit | Sequence[Edit],
    inputs: Tensor | tuple[Tensor, ...] | Nodes,  # [N, ...]
    *,
    batch_size: int = 128,
    seed: int = 0,
) -> Network:
    """Estimate the running statistics of those batch-norm units that edits made.

    These are the units of new batch norms, fresh units, and copies that moved away from the unit they continue, as far
    as they go before they are mixed with others. Every other number of the network stays as it was, bit for bit; a
    network without such units is returned as it is.

    Args:
        network: after the edits.
        edits: what led to it, one rewrite or several in order.
        inputs: samples, on the network's device; a tuple of tensors for several inputs, in the order of
            ``graph.inputs``.
        batch_size: samples in a batch; a single sample left over joins the last batch.
        seed: of dropout.

    Raises:
        GraphError: when the edits do not follow one another, or do not end at the network's graph.
        DataError: when the inputs are fewer than two samples, or not one tensor for every input.
    """
    chain = (edits,) if isinstance(edits, Edit) else tuple(edits)
    if chain and chain[-1].after != network.graph:
        raise _astray()
    return estimate(network, made_units(chain), inputs, batch_size=batch_size, seed=seed)


def made_units(edits: Edit | Sequence[Edit]) -> dict[str, tuple[int, ...]]:
    """Return the batch-norm units that edits made, as :func:`calibrate` has it, by the node that owns the statistics.

    Args:
        edits: one rewrite, or several in order.

    Raises:
        GraphError: when the edits do not follow one another.
    """
    chain = (edits,) if isinstance(edits, Edit) else tuple(edits)
    if any(edit.after != following.before for edit, following in pairwise(chain)):
        raise _astray()
    found = _new_units(chain)
    return {name: tuple(np.flatnonzero(units).tolist()) for name, units in found.items() if units.any()}


def estimate(
    network: Network,
    units: Mapping[str, Sequence[int]],
    inputs: Tensor | tuple[Tensor, ...] | Nodes,  # [N, ...]
    *,
    batch_size: int = 128,
    seed: int = 0,
) -> Network:
    """Estimate the running statistics of given units; every other number stays as it was, bit for bit.

    Args:
        network: the network; returned as it is when no units are given.
        units: which ones, by the batch norm that owns the statistics.
        inputs: samples, as in :func:`calibrate`.
        batch_size: samples in a batch; a single sample left over joins the last batch.
        seed: of dropout.

    Raises:
        GraphError: when a node keeps no running statistics of such units.
        DataError: when the inputs are fewer than two samples, or not one tensor for every input.
    """
    graph = network.graph
    if not units:
        return network
    for name, chosen in units.items():
        spec = graph.tensors(name).get("running_mean")
        if spec is None or not all(0 <= unit < spec.shape[0] for unit in chosen):
            raise GraphError(f"node {name!r} keeps no running statistics of units {list(chosen)}")
    batches = arguments(inputs)
    if len(batches) != len(graph.inputs):
        raise DataError("one batch is needed for every input", expected=", ".join(graph.inputs), got=len(batches))
    apart = [graph.shape(name).mixes for name in graph.inputs]  # rows are batched; a graph's nodes stay together
    lengths = [len(one) for one, mixes in zip(batches, apart, strict=True) if mixes]
    if len(set(lengths)) > 1 or lengths[0] < 2:
        raise DataError("statistics need two samples or more", got=lengths)
    module = lower(graph, network.weights)
    layers = {name: layer for name in units if isinstance(layer := module.get_submodule(target(name)), _BatchNorm)}
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    device = batches[0].device
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        for rows in _rows(lengths[0], max(2, batch_size)) if all(apart) else [None]:
            module(*(batches if rows is None else (one[rows] for one in batches)))
    weights = dict(network.weights)
    for name, layer in layers.items():
        here = torch.zeros(layer.num_features, dtype=torch.bool, device=device)
        here[list(units[name])] = True
        for key in _STATISTICS:
            label = f"{name}.{key}"
            weights[label] = torch.where(here, getattr(layer, key).to(weights[label]), weights[label])
    return Network(graph, weights)


def _astray() -> GraphError:
    return GraphError("the edits do not lead to the network's graph", hint="give them in order, all of them")


def _new_units(chain: Sequence[Edit]) -> dict[str, Units]:
    """Return which units of each node with running statistics were made by the edits, by the node that owns them."""
    found: dict[str, Units] = {}
    for edit in chain:
        before, found = found, {}
        moved = _moved(edit)
        for node in edit.after:
            if "running_mean" not in edit.after.tensors(node.name):
                continue
            units = edit.unit_map(node.name)
            if edit.is_new(node.owner):
                here = np.ones(len(units), dtype=np.bool_)
            else:
                old = before.get(node.owner, np.zeros(units.old_units, dtype=np.bool_))
                here = units.fresh | old[units.index.clip(min=0)] | moved.get(node.name, np.bool_(False))
            found[node.owner] = here | found.get(node.owner, np.bool_(False))
    return found


def _moved(edit: Edit) -> dict[str, Units]:
    """Return the output units of each node that an edit displaced, handed on until they are mixed with others."""
    if not edit.displacements:
        return {}
    graph, found = edit.after, dict[str, Units]()
    for node in graph:
        sources = [found[source] for source in node.inputs]
        found[node.name] = _handed_on(graph, node.name, sources) | _displaced(edit, node.name)
    return found


def _handed_on(graph: Graph, name: str, sources: list[Units]) -> Units:
    rule = graph.rule(name)
    none = np.zeros(graph.shape(name).units, dtype=np.bool_)
    if isinstance(rule, Absorb | Fixed) or not sources:
        return none
    if isinstance(rule, Select):
        return sources[0][rule.start : rule.stop]
    if isinstance(rule, Stack):
        return np.concatenate([np.tile(np.repeat(source, rule.repeat), rule.tile) for source in sources])
    if isinstance(rule, Merge):
        return np.any(sources[0].reshape(-1, rule.size), axis=1)
    assert isinstance(rule, Invariant)
    for source in sources:  # one that is spread over all units has a single one
        none = none | source
    return none


def _displaced(edit: Edit, name: str) -> Units:
    """Return the units of a node whose own weights an edit moved."""
    graph, owner = edit.after, edit.after.node(name).owner
    found = np.zeros(graph.shape(name).units, dtype=np.bool_)
    for key, spec in graph.tensors(owner).items():
        shift = edit.displacements.get(f"{owner}.{key}")
        if shift is None or not np.any(shift):
            continue
        axis = next((axis for axis, role in enumerate(spec.axes) if makes(role)), 0)
        rows = np.any(np.moveaxis(np.asarray(shift), axis, 0).reshape(shift.shape[axis], -1), axis=1)
        found = found | (rows if spec.axes[axis] == "out" and len(rows) == len(found) else rows.any())
    return found


def _rows(samples: int, size: int) -> list[slice]:
    """Cut into batches; a single sample left over joins the last one, for batch norm needs two."""
    ends = [*range(size, samples, size), samples]
    if len(ends) > 1 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
