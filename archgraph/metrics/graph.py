"""Sizes and costs of a graph, counted without running it."""

from __future__ import annotations

from archgraph.graph import Absorb, Graph, rule_of


def params(graph: Graph) -> int:
    """Return the number of trainable numbers; weights used by several nodes count once."""
    return sum(
        spec.size for node in graph if node.tie is None for spec in graph.tensors(node.name).values() if spec.trainable
    )


def macs(graph: Graph) -> int:
    """Return multiply-accumulates of one forward pass on one sample, in linear layers and convolutions.

    One MAC is one multiplication with its addition: half of what ``torch.utils.flop_counter`` counts.
    """
    return sum(node.op.macs(*graph.input_shapes(node.name)) for node in graph)


def depth(graph: Graph) -> int:
    """Return the greatest number of mixing layers (linear, convolution) on a path from an input to an output."""
    reached: dict[str, int] = {}
    for node in graph:
        below = max((reached[source] for source in node.inputs), default=0)
        reached[node.name] = below + isinstance(rule_of(graph, node.name), Absorb)
    return max(reached[name] for name in graph.outputs)


def units(graph: Graph) -> int:
    """Return the number of hidden units: output units of mixing layers that are not outputs of the network."""
    total = 0
    for node in graph:
        if isinstance(rule_of(graph, node.name), Absorb) and node.name not in graph.outputs:
            total += graph.shape(node.name).units
    return total


def widths(graph: Graph) -> tuple[int, ...]:
    """Return the output units of every mixing layer, in topological order."""
    return tuple(graph.shape(node.name).units for node in graph if isinstance(rule_of(graph, node.name), Absorb))
