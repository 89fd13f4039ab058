"""A few numbers that describe a graph, as features for surrogates: on random wirings they rival graph kernels."""

from __future__ import annotations

import math

import numpy as np

from archgraph.features.leaf_dag import leaf_dag
from archgraph.graph import Graph
from archgraph.metrics import macs, params

DESCRIPTORS = (
    "log layers",
    "longest path",
    "edges per layer",
    "log width",
    "mean depth",
    "log parameters",
    "log macs",
)
"""Names of the descriptors, in order."""


def descriptors(graph: Graph) -> np.ndarray:  # [d] float64
    """Describe a graph by its layers, see :func:`~archgraph.features.leaf_dag.leaf_dag`.

    Returns:
        In the order of :data:`DESCRIPTORS`: logarithm of the number of layers; edges on the longest path from input to
        output; edges a layer; mean over layers of the logarithm of their units; mean over layers of the edges of the
        longest path to them, as a fraction of the longest of all; logarithms of one plus parameters, and of one plus
        multiply-accumulates on a sample.
    """
    dag = leaf_dag(graph)
    layers = dag.names[1:-1]
    longest = dag.depths[-1]
    return np.array(
        [
            math.log(max(1, len(layers))),
            float(longest),
            dag.edges / max(1, len(layers)),
            float(np.mean([math.log(graph.shape(name).units) for name in layers])) if layers else 0.0,
            float(np.mean(dag.depths[1:-1])) / longest if layers else 0.0,
            math.log1p(params(graph)),
            math.log1p(macs(graph)),
        ]
    )
