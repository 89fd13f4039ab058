"""How a node of a random wiring brings together what it reads, and a wiring what leaves it.

With predecessors ``x_1 .. x_k`` in the order of their labels, all as wide as the last one (by 1x1 convolutions where
they are not), arXiv 2004.01395 has three ways:

- sum: ``sum_i sigmoid(w_i) x_i``, the gates learned one by one; a projected ``x_i`` needs no gate;
- concat: channel after channel, each at its own width;
- attention: ``a = x_1`` stretched to [0, 1] is a mask over ``s``, the sum of the others: ``sigmoid(w) s + a * s``. The
  stretch is that of every channel of a sample over its positions, so that channels can still be resized.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from archgraph.generators.plan import Channels, Plan, Stream
from archgraph.ops import Add, Affine, Concat, Conv2d, Divide, Gate, Max, Min, Multiply, Subtract

MERGES = ("sum", "concat", "attention")
"""All ways, in the order of the paper."""

_EPSILON = 1e-5


def merge(plan: Plan, streams: Sequence[Stream], kind: str, name: str) -> Stream:
    """Bring streams of one height and width together; a single one passes.

    Args:
        plan: where nodes are added.
        streams: what is read, in the order of labels, at least one.
        kind: one of :data:`MERGES`.
        name: start of the nodes' names.
    """
    if len(streams) == 1:
        return streams[0]
    if kind == "concat":
        channels = functools.reduce(operator.add, (one.channels for one in streams))
        return plan(Concat(), *streams, channels=channels, name=f"{name}_concat")
    if kind == "attention":
        return _attention(plan, streams, name)
    return _gated_sum(plan, streams, name)


def average(plan: Plan, streams: Sequence[Stream], name: str) -> Stream:
    """Return the mean of streams of one height and width, as wide as the last; a single one passes."""
    if len(streams) == 1:
        return streams[0]
    total = plan(Add(), *(project(plan, one, streams[-1].channels) for one in streams), name=f"{name}_total")
    return plan(Affine(1.0 / len(streams)), total, name=f"{name}_mean")


def project(plan: Plan, x: Stream, channels: Channels) -> Stream:
    """Return a stream with other channels: a 1x1 convolution with bias, where it has not those already."""
    return x if x.channels == channels else plan(Conv2d(1, kernel_size=1), x, channels=channels)


def _gated_sum(plan: Plan, streams: Sequence[Stream], name: str) -> Stream:
    channels = streams[-1].channels
    parts = [plan(Gate(), one) if one.channels == channels else project(plan, one, channels) for one in streams]
    return plan(Add(), *parts, name=f"{name}_sum") if len(parts) > 1 else parts[0]


def _attention(plan: Plan, streams: Sequence[Stream], name: str) -> Stream:
    channels = streams[-1].channels
    signal = _gated_sum(plan, streams[1:], name)
    mask = project(plan, streams[0], channels)
    low, high = (plan(op((2, 3), keepdim=True), mask) for op in (Min, Max))
    room = plan(Affine(shift=_EPSILON), plan(Subtract(), high, low))
    mask = plan(Divide(), plan(Subtract(), mask, low), room)
    return plan(Add(), plan(Gate(), signal), plan(Multiply(), mask, signal), name=f"{name}_attention")
