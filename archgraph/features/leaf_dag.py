"""A graph with nothing but its layers: what lies between them (norms, activations, sums, gates) becomes edges.

Surrogates compare networks by it: Weisfeiler-Lehman kernels count its labelled neighbourhoods, descriptors its paths.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

from archgraph import ops
from archgraph.graph import Fixed, Graph, Op, Shape

GLUE: tuple[type[Op], ...] = (
    ops.Activation,
    *(ops.PReLU, ops.Softmax, ops.LogSoftmax, ops.Abs, ops.Exp, ops.Pow),
    *(ops.BatchNorm, ops.GroupNorm, ops.LayerNorm, ops.RMSNorm),
    *(ops.InstanceNorm1d, ops.InstanceNorm2d, ops.InstanceNorm3d),
    *(ops.Dropout, ops.AlphaDropout, ops.Dropout1d, ops.Dropout2d, ops.Dropout3d),
    *(ops.Add, ops.Subtract, ops.Multiply, ops.Divide, ops.Maximum, ops.Minimum, ops.Concat),
    *(ops.Gate, ops.Affine, ops.Scale, ops.AddTensor, ops.MultiplyTensor, ops.PositionalEmbedding),
    *(ops.Flatten, ops.Reshape, ops.Squeeze, ops.Unsqueeze, ops.Permute, ops.Transpose, ops.Slice, ops.Narrow),
    *(ops.AdaptiveAvgPool1d, ops.AdaptiveAvgPool2d, ops.AdaptiveAvgPool3d, ops.GlobalAvgPool, ops.GlobalMaxPool),
    *(ops.AdaptiveMaxPool1d, ops.AdaptiveMaxPool2d, ops.AdaptiveMaxPool3d),
    *(ops.Mean, ops.Sum, ops.Max, ops.Min),
)
"""Ops between layers."""


@dataclass(frozen=True)
class LeafDag:
    """A directed acyclic graph of labelled layers in topological order; the first is the input, the last the output.

    Args:
        names: of the nodes in the graph; ``"in"`` and ``"out"`` at the ends.
        labels: what each is: the op without its width, and where it has positions, how many. ``"in"`` and ``"out"``.
        reads: of each, those it reads, in ascending order.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    reads: tuple[tuple[int, ...], ...]

    @property
    def edges(self) -> int:
        """Number of edges."""
        return sum(map(len, self.reads))

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Of each, the edges of the longest path from the input."""
        found: list[int] = []
        for reads in self.reads:
            found.append(1 + max(found[source] for source in reads) if reads else 0)
        return tuple(found)


def leaf_dag(graph: Graph) -> LeafDag:
    """Return the layers of a graph and how they read one another.

    Layers are all ops that are no :data:`GLUE`. A graph without any, such as a cell of sums and identities, keeps all
    of its nodes. All inputs of the network count as one.
    """
    inner = [name for name, node in graph.nodes.items() if node.inputs]
    leaves = [name for name in inner if not isinstance(graph.op(name), GLUE)] or inner
    numbers = {name: place for place, name in enumerate(leaves, start=1)}
    heard: dict[str, frozenset[int]] = {}  # by node, the layers whose output reaches it or is its own
    reads: list[tuple[int, ...]] = [()]
    for name, node in graph.nodes.items():
        reached = frozenset().union(*(heard[source] for source in node.inputs)) if node.inputs else frozenset({0})
        if name in numbers:
            reads.append(tuple(sorted(reached)))
            reached = frozenset({numbers[name]})
        heard[name] = reached
    reads.append(tuple(sorted(frozenset().union(*(heard[name] for name in graph.outputs)))))
    labels = ["in", *(label(graph, name) for name in leaves), "out"]
    return LeafDag(("in", *leaves, "out"), tuple(labels), tuple(reads))


def label(graph: Graph, name: str) -> str:
    """Return what a node is, but for its width: the op's settings and the sizes of its other axes.

    >>> from archgraph import chain, ops
    >>> label(chain(ops.Input((1, 8, 8)), ops.Conv2d(4, kernel_size=3, stride=2, padding=1)), "conv2d1")
    'Conv2d(kernel_size=3, stride=2, padding=1) 4x4'
    """
    op, inputs, shape = graph.op(name), graph.input_shapes(name), graph.shape(name)
    sides = "x".join(map(str, shape.others))
    return f"{_settings(op, inputs, shape)} {sides}".rstrip()


def _settings(op: Op, inputs: tuple[Shape, ...], shape: Shape) -> str:
    shown = []
    wider = op if isinstance(op.rule(*inputs), Fixed) else op.resized(shape.units + 1, *inputs)
    for field in fields(op):
        value = getattr(op, field.name)
        if getattr(wider, field.name) != value or value == field.default:
            continue
        depthwise = field.name == "groups" and value == inputs[0].units
        shown.append("depthwise" if depthwise else f"{field.name}={value!r}")
    return f"{type(op).__name__}({', '.join(shown)})" if shown else type(op).__name__
