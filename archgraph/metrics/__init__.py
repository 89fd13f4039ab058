"""Metrics: of a graph (size, cost, depth) and of predictions."""

from archgraph.metrics.graph import depth, macs, params, units, widths
from archgraph.registry import METRICS

for _metric in (depth, macs, params, units):
    METRICS.add(_metric.__name__, _metric)

__all__ = ["depth", "macs", "params", "units", "widths"]
