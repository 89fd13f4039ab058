"""A network whose width is still open: ops with channels as multiples of one number, the base width.

Counting the parameters at a width takes microseconds, as equal layers are counted once; building it takes one pass.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archgraph.errors import GraphError
from archgraph.graph import Graph, Node, Op, Shape


@dataclass(frozen=True)
class Channels:
    """A number of channels that follows the base width.

    Args:
        ratios: factors of the base width; each gives at least one channel, and the channels add up.
        fixed: channels that do not depend on it.

    >>> Channels((1.0, 0.5)).at(5), Channels(fixed=3).at(5), (Channels((2.0,)) + Channels((2.0,))).at(5)
    (8, 3, 20)
    """

    ratios: tuple[float, ...] = ()
    fixed: int = 0

    def at(self, width: int) -> int:
        """Return the number of channels at a base width; halves are rounded up."""
        return self.fixed + sum(max(1, math.floor(ratio * width + 0.5)) for ratio in self.ratios)

    def __add__(self, other: Channels) -> Channels:
        return Channels((*self.ratios, *other.ratios), self.fixed + other.fixed)


@dataclass(frozen=True)
class Stream:
    """What flows out of a step.

    Args:
        name: of the step.
        channels: its units.
        sides: height and width in pixels; empty behind global pooling.
    """

    name: str
    channels: Channels
    sides: tuple[int, ...]


@dataclass(frozen=True)
class _Kind:
    """What the tensors of a step follow from, alike for steps that are alike."""

    op: Op
    inputs: tuple[tuple[Channels, tuple[int, ...]], ...]
    channels: Channels

    def shapes(self, width: int) -> list[Shape]:
        return [Shape((channels.at(width), *sides)) for channels, sides in self.inputs]

    def at(self, width: int) -> Op:
        return self.op.resized(self.channels.at(width), *self.shapes(width))

    def params(self, width: int) -> int:
        specs = self.at(width).tensors(*self.shapes(width))
        return sum(spec.size for spec in specs.values() if spec.trainable)


@dataclass(frozen=True)
class _Step:
    kind: _Kind
    inputs: tuple[str, ...]


class Plan:
    """Collects the steps of a network; ``plan(op, *streams, channels=...)`` adds one.

    An op is given at any width: it is :meth:`~archgraph.graph.Op.resized` later. (A depthwise convolution must have at
    least two groups to be known for one.)
    """

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._counts: Counter[_Kind] = Counter()
        self._sides: dict[_Kind, tuple[int, ...]] = {}
        self._numbers: Counter[str] = Counter()
        self._shared: dict[tuple[Op, tuple[str, ...]], Stream] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def __call__(
        self, op: Op, *inputs: Stream, channels: Channels | None = None, name: str | None = None, share: bool = False
    ) -> Stream:
        """Add a step and return what flows out.

        Args:
            op: what it computes.
            inputs: what it reads.
            channels: its units; by default those of the first input.
            name: of the node; by default made from the op's name.
            share: whether an earlier step with the same op and inputs, also added with ``share``, may stand for it.

        Raises:
            GraphError: when the name is taken, or the op cannot take its inputs.
        """
        key = (op, tuple(one.name for one in inputs))
        if share and key in self._shared:
            return self._shared[key]
        if name is None:
            stem = type(op).__name__.lower()
            self._numbers[stem] += 1
            name = f"{stem}{self._numbers[stem]}"
        if name in self._steps:
            raise GraphError(f"two nodes are called {name!r}")
        kind = _Kind(
            op,
            tuple((one.channels, one.sides) for one in inputs),
            inputs[0].channels if channels is None else channels,
        )
        if kind not in self._sides:
            self._sides[kind] = kind.at(1).infer(*kind.shapes(1)).dims[1:]
        output = Stream(name, kind.channels, self._sides[kind])
        self._steps[name] = _Step(kind, tuple(one.name for one in inputs))
        self._counts[kind] += 1
        if share:
            self._shared[key] = output
        return output

    def params(self, width: int) -> int:
        """Return the trainable numbers at a base width: what :func:`archgraph.metrics.params` counts in the graph."""
        return sum(count * kind.params(width) for kind, count in self._counts.items())

    def graph(self, width: int, outputs: Sequence[Stream]) -> Graph:
        """Return the network at a base width."""
        ops = {kind: kind.at(width) for kind in self._counts}
        nodes = [Node(name, ops[step.kind], step.inputs) for name, step in self._steps.items()]
        return Graph(nodes, [one.name for one in outputs])


__all__ = ["Channels", "Plan", "Stream"]
