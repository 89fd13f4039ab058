"""Whether the edges of a graph can be normalised: a convolution divides by roots of degrees, the sums of weights.

Weights below 0 are well as long as no sum of them is; the root of such a one is no number, nor is anything after it.

Letters: ``N`` nodes, ``E`` edges.
"""

from __future__ import annotations

from torch import Tensor

from archgraph.errors import DataError
from archgraph.graph import Graph
from archgraph.ops import ChebConv, EdgeWeights
from archgraph.tasks import NodeGraph


def check_degrees(graph: Graph, whole: NodeGraph) -> None:
    """Raise unless every layer that normalises weighted edges can do it.

    Args:
        graph: of the network.
        whole: the graph that it reads.

    Raises:
        DataError: with the first node whose weights sum to less than nothing, and the layer.
    """
    weight = whole.edge_weight
    if weight is None or bool((weight >= 0.0).all()):
        return
    for node in graph:
        op = node.op
        weighted = any(isinstance(graph.op(name), EdgeWeights) for name in node.inputs)
        if not weighted or not (op.normalization if isinstance(op, ChebConv) else getattr(op, "normalize", True)):
            continue
        loops = (2.0 if getattr(op, "improved", False) else 1.0) if getattr(op, "add_self_loops", False) else 0.0
        low = _degrees(whole, weight, side=0 if isinstance(op, ChebConv) else 1, loops=loops) < 0.0
        if bool(low.any()):
            first = int(low.nonzero()[0])
            raise DataError(
                f"weights of the edges of node {first} sum to less than 0, and cannot be normalised",
                expected="weights of 0 or more, or sums of them",
                got=f"{int(low.sum())} such nodes",
                place=str(node),
                hint="a layer that does not normalise, such as GCNConv(16, normalize=False)",
            )


def _degrees(whole: NodeGraph, weight: Tensor, *, side: int, loops: float) -> Tensor:  # [N]
    """Return the sum of the weights of every node, with that of a loop where it has none."""
    edges, degree = whole.edge_index, weight.new_full((len(whole),), loops)
    own = edges[0] == edges[1]
    if loops:
        degree[edges[0, own]] = 0.0
    elif side == 0:  # the Laplacian leaves loops out
        edges, weight = edges[:, ~own], weight[~own]
    return degree.index_add_(0, edges[side], weight)
