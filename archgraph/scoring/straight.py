"""The way from a layer that makes new units to one that hears them, where a closed form can follow it.

Closed forms (:mod:`archgraph.criteria.tiny`, :mod:`archgraph.criteria.gradmax`) take what lies between two layers to be
linear at zero. A way is straight where there is one path, along which a unit passes activations, batch norm, dropout,
pooling, flatten, sums and concats. It is *plain* where in addition nothing but activations that are zero at zero and
moves of its numbers lie on it: then a unit whose row is scaled to zero says nothing, and what it says nearby is known
exactly. Elsewhere the closed form draws up rows, and only the network itself tells what the units say: a max pool is
taken for the mean of its window, batch norm for the identity, and a depthwise convolution hands new units on as they
are. A graph convolution that makes units is the linear layer of what they see; one that reads them reads them as they
were propagated, and as what lies between is taken to be linear, they are propagated before it.

Letters: ``B`` samples, ``D`` entries of an incoming row, ``J`` weights of each unit of the reader for a new one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archgraph import ops
from archgraph.criteria.first_order import Activation, slopes_at_zero
from archgraph.criteria.window import Window, as_map, receptive_field
from archgraph.errors import SettingError
from archgraph.graph import Graph, Invariant, Op, Stack
from archgraph.ops.activation import Activation as ActivationOp
from archgraph.ops.layout import each
from archgraph.scoring.closure import Refused
from archgraph.scoring.layer import GRAPH_LAYERS
from archgraph.scoring.spots import Reader, Spot

LAYERS = (ops.Linear, ops.Conv1d, ops.Conv2d, *GRAPH_LAYERS, ops.GATConv)
"""Ops whose rows a closed form can draw up."""

_QUIET = (ops.Identity, ops.Dropout, ops.AlphaDropout, ops.Dropout1d, ops.Dropout2d, ops.Dropout3d)
_MEANS: Mapping[type[Op], type[Op]] = {ops.MaxPool1d: ops.AvgPool1d, ops.MaxPool2d: ops.AvgPool2d}
_POOLS = (ops.AvgPool1d, ops.AvgPool2d, ops.AdaptiveAvgPool1d, ops.AdaptiveAvgPool2d, ops.GlobalAvgPool)
_JOINS = (ops.Add, ops.Concat)


@dataclass(frozen=True)
class Straight:
    """A straight way.

    Args:
        producer: the layer that makes the units.
        reader: the layer that hears them.
        nodes: what lies between, in order.
        slope: of all activations on it, at zero from above.
        plain: whether what a unit says near zero is known exactly.
        filters: depthwise convolutions among the nodes.
    """

    producer: str
    reader: Reader
    nodes: tuple[str, ...]
    slope: float
    plain: bool
    filters: tuple[str, ...] = ()


def straight(graph: Graph, spot: Spot, producer: str, reader: Reader) -> Straight | Refused:
    """Return the way from a layer to one that reads its units, or why no closed form follows it.

    Args:
        graph: the graph.
        spot: that both belong to.
        producer: one of its producers.
        reader: one of its readers.
    """
    if not isinstance(graph.op(producer), LAYERS):
        return Refused(f"is made by node {producer!r}, which is no linear layer or convolution of one or two sides")
    op = graph.op(producer)
    if getattr(op, "padding", 0) == "same" and any(not k % 2 for k in each(op.kernel_size, op.axes)):  # type: ignore[attr-defined]
        return Refused(f"is made by node {producer!r}, which pads its input unevenly")
    path = _path(graph, spot, producer, reader.boundary)
    if isinstance(path, Refused):
        return path
    if getattr(graph.op(reader.node), "aggr", "") == "max":
        return Refused(f"is read by node {reader.node!r}, which takes the largest of neighbours")
    slope, plain = 1.0, not isinstance(graph.op(reader.node), GRAPH_LAYERS)
    filters: tuple[str, ...] = ()
    for name in path:
        op = graph.op(name)
        if isinstance(op, ActivationOp):
            try:
                slope *= slopes_at_zero(op.function)[1]
            except SettingError:  # not zero at zero
                slope, plain = slope * _slope(op.function), False
        elif (
            isinstance(op, ops.Flatten)
            and isinstance(rule := graph.rule(name), Stack)
            and 1 in (rule.repeat, rule.tile)
        ):
            pass
        elif isinstance(op, ops.Concat) and not isinstance(graph.rule(name), Stack):
            return Refused(f"passes node {name!r} (Concat), which joins positions")
        elif isinstance(op, ops.BatchNorm) or type(op) in _MEANS or isinstance(op, _POOLS):
            plain = False
        elif _is_filter(graph, name):
            plain, filters = False, (*filters, name)
        elif not isinstance(op, (*_QUIET, *_JOINS)):
            return Refused(f"passes node {name!r} ({type(op).__name__}), which no closed form follows")
    if slope == 0.0:
        return Refused(
            "passes activations that are flat at zero, where no closed form can start a unit: firefly, north, "
            "natural-expansion and zero-fan-out can"
        )
    if len(spot.producers) > 1:
        plain = plain and not any(isinstance(graph.op(name), ops.Add) for name in path)
    return Straight(producer, reader, path, slope, plain, filters)


def ways(graph: Graph, spot: Spot) -> tuple[list[Straight], str]:
    """Return the way of every producer to the first reader that it reaches straight, and why there is none if so."""
    found: list[Straight] = []
    reason = "has no straight way to a reader"
    for producer in spot.producers:
        for reader in spot.readers:
            one = straight(graph, spot, producer, reader)
            if isinstance(one, Straight):
                found.append(one)
                break
            if one.reason:
                reason = one.reason
    return found, reason


def scale_free(graph: Graph, way: Straight) -> bool:
    """Return whether batch norm takes the scale of a unit's row away before anything bends what the unit says."""
    for name in way.nodes:
        op = graph.op(name)
        if not isinstance(op, _QUIET) and type(op) not in _MEANS and not isinstance(op, _POOLS):
            return isinstance(op, ops.BatchNorm)
    return False


def activation(graph: Graph, way: Straight) -> Activation:
    """Return the function of a number that a plain way applies to what a unit says."""
    bends = [op for name in way.nodes if isinstance(op := graph.op(name), ActivationOp)]

    def function(z: Tensor) -> Tensor:
        for op in bends:
            z = op.function(z)
        return z

    return function


@torch.no_grad()
def seen(
    graph: Graph,
    way: Straight,
    inputs: Tensor,  # [B, ...]  of the producer
    links: tuple[Tensor, ...] = (),
) -> Tensor:  # [B, D, H, W]
    """Return what new units would see through a layer, at the positions of the map that the reader reads.

    Args:
        graph: the graph.
        way: from the layer to the reader.
        inputs: what the layer reads; of a graph convolution, what its units see.
        links: edges, and perhaps their weights, of a reader that is a graph convolution.
    """
    op = graph.op(way.producer)
    found = receptive_field(as_layer_map(op, inputs), window(op), include_bias=op.bias)  # type: ignore[attr-defined]
    shape = graph.shape(way.producer).resized(found.shape[1])
    here = _native(op, found, inputs)
    for name in way.nodes:
        node = graph.node(name)
        if type(node.op) in _MEANS:
            here = _mean(node.op).forward((here,), (shape,))
            shape = _mean(node.op).infer(shape)
        elif name in way.filters:
            here, shape = _filtered(node.op, here), graph.shape(name).resized(found.shape[1])
        elif isinstance(node.op, _POOLS):
            here, shape = node.op.forward((here,), (shape,)), node.op.infer(shape)
        elif isinstance(node.op, ops.Flatten):
            rule = graph.rule(name)
            assert isinstance(rule, Stack)
            flat = node.op.forward((here,), (shape,))
            return _by_unit(flat, found.shape[1], tiled=rule.tile > 1)
    reader = graph.op(way.reader.node)
    if isinstance(reader, GRAPH_LAYERS):
        heard = reader.seen(reader.module(*graph.input_shapes(way.reader.node)), (here, *links))
        return _by_unit(heard, found.shape[1], tiled=True)
    return as_layer_map(reader, here)


def as_layer_map(
    op: Op,
    tensor: Tensor,  # [B, ...]  that a layer reads, or makes
) -> Tensor:  # [B, U, H, W]
    """Return a tensor that a linear layer or convolution reads or makes as a map."""
    if isinstance(op, ops.Conv1d):
        return tensor.unsqueeze(3)
    if isinstance(op, ops.Conv2d):
        return tensor
    return as_map(tensor if tensor.dim() < 4 else tensor.flatten(1, -2))


def window(op: Op) -> Window:
    """Return how a linear layer or convolution reads a map (behind a flatten, see :class:`Reader`)."""
    if isinstance(op, (ops.Linear, *GRAPH_LAYERS, ops.GATConv)):
        return Window()
    assert isinstance(op, ops.Conv1d | ops.Conv2d)
    settings = {name: each(getattr(op, name), op.axes) for name in ("kernel_size", "stride", "dilation")}
    if isinstance(op.padding, str):
        gaps = zip(settings["dilation"], settings["kernel_size"], strict=True)
        settings["padding"] = tuple(gap * (side - 1) // 2 for gap, side in gaps)
    else:
        settings["padding"] = each(op.padding, op.axes)
    if op.axes == 1:
        settings = {name: (*value, 0 if name == "padding" else 1) for name, value in settings.items()}
    return Window(**settings)  # type: ignore[arg-type]


def reading(graph: Graph, reader: Reader) -> Window:
    """Return how a reader reads the map of a new unit: all of it at once where it was flattened or propagated."""
    op = graph.op(reader.node)
    return (
        Window((reader.offsets, 1))
        if isinstance(op, (ops.Linear, *GRAPH_LAYERS)) and reader.offsets > 1
        else window(op)
    )


def _native(op: Op, found: Tensor, inputs: Tensor) -> Tensor:
    """Return a map in the layout of what a layer makes."""
    if isinstance(op, ops.Conv2d):
        return found
    if isinstance(op, ops.Conv1d):
        return found.squeeze(3)
    return found.flatten(1) if inputs.dim() == 2 else found.flatten(2).mT.reshape(*inputs.shape[:-1], -1)


def identity_filter(
    graph: Graph,
    name: str,
    rows: Tensor,  # [K, D]  filters of new units at a depthwise convolution, the bias last if it has one
) -> Tensor:  # [K, D]
    """Return the filters that hand a unit on as it is, at the middle of the kernel."""
    op = graph.op(name)
    found = torch.zeros_like(rows)
    found[:, _middle(each(op.kernel_size, op.axes))] = 1.0  # type: ignore[attr-defined]
    return found


def _middle(kernel: tuple[int, ...]) -> int:
    """Return the number of the entry in the middle of a kernel."""
    place = 0
    for side in kernel:
        place = place * side + side // 2
    return place


def _is_filter(graph: Graph, name: str) -> bool:
    op = graph.op(name)
    return isinstance(op, ops.Conv1d | ops.Conv2d) and isinstance(graph.rule(name), Invariant) and op.groups > 1


def _filtered(op: Any, here: Tensor) -> Tensor:
    """Return a tensor through a depthwise convolution whose filters are the identity."""
    kernel = each(op.kernel_size, op.axes)
    weight = here.new_zeros(here.shape[1], 1, math.prod(kernel))
    weight[:, :, _middle(kernel)] = 1.0
    call = functional.conv1d if op.axes == 1 else functional.conv2d
    settings = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation}
    found: Tensor = call(here, weight.unflatten(2, kernel), groups=here.shape[1], **settings)
    return found


def _by_unit(flat: Tensor, units: int, *, tiled: bool) -> Tensor:  # [B, U, J, 1]
    """Return a flattened tensor as the map of each unit's entries."""
    found = flat.unflatten(1, (-1, units)).mT if tiled else flat.unflatten(1, (units, -1))
    return found.unsqueeze(3)


def _mean(op: Op) -> Op:
    """Return the mean over the window of a max pool; a spread one stands for its first pixels."""
    shared = {field.name: getattr(op, field.name) for field in fields(op)}
    shared = {name: shared[name] for name in ("kernel_size", "stride", "padding", "ceil_mode")}
    return _MEANS[type(op)](**shared)


def _slope(function: Activation) -> float:
    with torch.enable_grad():
        at = torch.zeros((), dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(function(at), at)
    return float(found)


def _path(graph: Graph, spot: Spot, start: str, end: str) -> tuple[str, ...] | Refused:
    """Return the nodes between a layer and the node that is read, this included; the one path there is."""
    if start == end:
        return ()
    inside, counts = set(spot.between) - set(spot.producers), {start: 1}
    for name in (node for node in graph.nodes if node in inside):
        counts[name] = sum(counts.get(source, 0) for source in graph.node(name).inputs)
    if counts.get(end, 0) != 1:
        return Refused(f"reaches node {end!r} on {'several paths' if counts.get(end) else 'no path of its own'}")
    path, here = [end], end
    while True:
        (here,) = {source for source in graph.node(here).inputs if counts.get(source, 0)}
        if here == start:
            return tuple(reversed(path))
        path.append(here)
