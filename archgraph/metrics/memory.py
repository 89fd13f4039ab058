"""Peak activation memory of a graph, by liveness analysis: which tensors are held while each node runs.

Nodes run one after the other in the order of the graph, as the lowered module does. A tensor is held from the node that
makes it to the last that reads it, outputs of the network to the end. Three things make it exact:

- inputs are held throughout, for the caller of the network holds the batch;
- views (flatten, reshape, a slice) have no memory of their own and hold that of what they show;
- in training, whatever autograd keeps is held to the end: the inputs, outputs, masks, indices and statistics that the
  backward formulas name. Which these are is asked of torch, op by op (:mod:`archgraph.metrics.footprint`).

Weights, their gradients and the optimizer's moments are not activations and do not count; nor does the workspace that
a kernel takes for itself, whether it gives it back (convolutions) or has autograd keep it (the CPU's fused LSTM). An op
of several calls (:class:`~archgraph.ops.Gaussian`, a sum of three) is taken to hold its inputs until the last of them,
where the generated code may let go of them earlier. In training the peak is that of the forward pass: at its end all is
held that the backward pass starts from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch

from archgraph.errors import SettingError
from archgraph.graph import Graph
from archgraph.metrics.footprint import Footprint, Source, float_type, footprint
from archgraph.metrics.graph_batch import degree, size


@dataclass(frozen=True)
class MemoryProfile:
    """Bytes of activations held in a forward pass.

    Args:
        held: by node, the most bytes that are held while it runs, its own output among them.
        at_peak: by node, how many of the bytes that are held at the peak are its own; they add up to :attr:`peak`.
        peak: the greatest of ``held``.
        at: the node at which it is reached, the first of several.
        left: bytes that are held when the pass is over, by its outputs, by the inputs, and in training by autograd.
    """

    held: Mapping[str, int]
    at_peak: Mapping[str, int]
    peak: int
    at: str
    left: int


def peak_memory(graph: Graph, batch_size: int = 1, *, dtype: str = "float32", training: bool = False) -> int:
    """Return the most bytes of activations that are held at once in a forward pass; see :func:`memory_profile`."""
    return memory_profile(graph, batch_size, dtype=dtype, training=training).peak


def memory_profile(
    graph: Graph, batch_size: int = 1, *, dtype: str = "float32", training: bool = False
) -> MemoryProfile:
    """Follow the activations of a graph through a forward pass.

    Args:
        graph: the architecture.
        batch_size: number of samples.
        dtype: floating-point type of weights and activations.
        training: whether autograd keeps what the backward pass needs, in training mode; otherwise eval mode without it.

    Raises:
        SettingError: when the batch size is no positive whole number, or a network cannot run in ``dtype``.
        GraphError: when an op cannot run on tensors without data.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise SettingError("batch_size must be a positive whole number", got=repr(batch_size))
    prints = footprints(graph, batch_size, dtype=dtype, training=training)
    names = list(graph.nodes)
    step = {name: place for place, name in enumerate(names)}
    born = {name: step[name] if graph.node(name).inputs else -1 for name in names}  # inputs are there from the start
    ends = _ends(graph, prints)
    change = [0] * (len(names) + 2)  # of the bytes that are held before a step; the last two entries lie behind the end
    for name in names:
        change[born[name] + 1] += prints[name].made + prints[name].keeps
        change[ends[name] + 1] -= prints[name].made
    before = list(accumulate(change))
    held = {name: before[step[name]] + prints[name].within for name in names}
    at = max(names, key=held.__getitem__)
    at_peak = {
        name: prints[name].made * (born[name] < step[at] <= ends[name]) + prints[name].keeps * (born[name] < step[at])
        for name in names
    }
    at_peak[at] += prints[at].within
    return MemoryProfile(held, at_peak, held[at], at, before[len(names)])


def footprints(
    graph: Graph, batch_size: int = 1, *, dtype: str = "float32", training: bool = False
) -> dict[str, Footprint]:
    """Return what every node holds in memory; arguments and errors as :func:`memory_profile`."""
    kind = float_type(dtype)
    found: dict[str, Footprint] = {}
    for node in graph:
        if not node.inputs:
            found[node.name] = _input(graph, node.name, batch_size, kind)
            continue
        read = ((graph.shape(one), found[one]) for one in node.inputs)
        sources = tuple(Source(shape, one.dtype, one.tracked, one.strides) for shape, one in read)
        found[node.name] = footprint(node.op, sources, batch_size, kind, training)
    return found


def _input(graph: Graph, name: str, batch_size: int, kind: torch.dtype) -> Footprint:
    wanted = str(getattr(graph.op(name), "dtype", "float32"))
    dtype = kind if wanted == "float32" else getattr(torch, wanted)  # "float32" stands for the network's own type
    edges = degree([graph.shape(other) for other in graph.inputs])
    own = math.prod(size(graph.shape(name), batch_size, edges)) * dtype.itemsize
    return Footprint(own, None, 0, (), False, 0, dtype, False)


def _ends(graph: Graph, prints: Mapping[str, Footprint]) -> dict[str, int]:
    """Return the step after which what a node made may go, or the number of steps if it stays.

    What is a view, and made nothing, goes whenever.
    """
    root: dict[str, str] = {}  # the node in whose memory an output lies
    ends: dict[str, int] = {}
    stays: set[str] = set()
    for step, node in enumerate(graph):
        own = prints[node.name]
        root[node.name] = node.name if own.view_of is None else root[node.inputs[own.view_of]]
        ends |= {root[name]: step for name in node.inputs} | {node.name: step}
        stays |= {root[node.inputs[place]] for place in own.keeps_inputs}
        stays |= {root[node.name]} if own.keeps_output else set()
    stays |= {root[name] for name in (*graph.outputs, *graph.inputs)}
    return ends | dict.fromkeys(stays, len(graph))
