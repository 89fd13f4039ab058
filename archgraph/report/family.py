"""What kind of op a node has, as far as colours go, and the colours."""

from __future__ import annotations

from archgraph.graph import Absorb, Graph, Node, rule_of
from archgraph.ops import Activation, AvgPool2d, MaxPool2d

FAMILIES = {  # family: (legend, fill, line)
    "input": ("input", "#edf0f4", "#64748b"),
    "mixing": ("mixing", "#e4eefb", "#2f6fc7"),
    "norm": ("normalisation", "#f0e8fb", "#8456c4"),
    "activation": ("activation", "#fdf1d8", "#c98208"),
    "pool": ("pooling, reshaping", "#dff3e8", "#23895a"),
    "merge": ("merging", "#fde5e6", "#cc3d49"),
    "other": ("other", "#f4f2ee", "#8a8272"),
}


def family(graph: Graph, node: Node) -> str:
    """Return what kind of op a node has, as far as colours go; by what the op does, so that plug-ins have one too."""
    op, shapes = node.op, graph.input_shapes(node.name)
    least, most = op.arity
    if most == 0:
        return "input"
    if most is None or least > 1:
        return "merge"
    if isinstance(rule_of(graph, node.name), Absorb) or op.macs(*shapes):
        return "mixing"
    if isinstance(op, Activation):
        return "activation"
    if graph.tensors(node.name):
        return "norm"
    if isinstance(op, MaxPool2d | AvgPool2d) or graph.shape(node.name) != shapes[0]:
        return "pool"
    return "other"
