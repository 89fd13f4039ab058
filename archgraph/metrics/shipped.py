"""The metrics that archgraph ships, under their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from archgraph.graph import Graph
from archgraph.metrics import graph as sizes
from archgraph.metrics import predictions
from archgraph.metrics.conditions import Conditions
from archgraph.metrics.energy import energy_by_node
from archgraph.metrics.latency import latency
from archgraph.metrics.latency_table import LatencyTable, latency_table
from archgraph.metrics.live import measured_memory
from archgraph.metrics.memory import memory_profile
from archgraph.metrics.metric import Metric
from archgraph.metrics.ranking import roc_auc
from archgraph.registry import METRICS


def _size(about: Callable[[Graph], int], by_node: Callable[[Graph], Mapping[str, int]] | None, unit: str) -> Metric:
    shares = None if by_node is None else lambda graph, conditions: by_node(graph)
    return Metric(lambda graph, conditions: about(graph), unit=unit, by_node=shares, about=about)


def _sum(by_node: Callable[[Graph, Conditions], Mapping[str, float]], unit: str) -> Metric:
    return Metric(lambda graph, at: sum(by_node(graph, at).values()), unit=unit, by_node=by_node, about=by_node)


def _memory(graph: Graph, at: Conditions) -> Mapping[str, float]:
    """Peak memory of activations in a forward pass on a batch, weights not counted."""
    return memory_profile(graph, at.batch_size, dtype=at.dtype).at_peak


def _training_memory(graph: Graph, at: Conditions) -> Mapping[str, float]:
    """Peak memory of activations in the forward pass of training, with all that autograd keeps."""
    return memory_profile(graph, at.batch_size, dtype=at.dtype, training=True).at_peak


def _energy(graph: Graph, at: Conditions) -> Mapping[str, float]:
    """Energy of a forward pass on a batch, by a model of multiply-accumulates and memory traffic."""
    return energy_by_node(graph, at.energy, at.batch_size, dtype=at.dtype)


def _table_latency(graph: Graph, at: Conditions) -> Mapping[str, float]:
    """Time of a forward pass on a batch, looked up op by op in a table."""
    return latency_table(at.latencies).by_node(graph)


def _latency(module: nn.Module, inputs: Sequence[Tensor], at: Conditions) -> Mapping[str, float]:
    """Time of a forward pass on a batch: the median of repeated runs after a warm-up."""
    found = latency(module, inputs, threads=at.threads, warmup=at.warmup, repeats=at.repeats)
    return {"latency": found.median, "latency-spread": found.spread}


def _latency_by_node(graph: Graph, at: Conditions) -> Mapping[str, float]:
    """Measure every op of the graph alone; they add up to about the latency of the whole."""
    table = LatencyTable(at.device, at.dtype, at.batch_size, at.threads)
    return table.covering(graph, warmup=at.warmup, repeats=at.repeats).by_node(graph)


def _measured_memory(module: nn.Module, inputs: Sequence[Tensor], at: Conditions) -> Mapping[str, float]:
    """Peak memory of activations in a forward pass that is really made."""
    return {"measured-memory": measured_memory(module, inputs)}


SHIPPED: dict[str, Metric] = {
    "params": _size(sizes.params, sizes.params_by_node, "numbers"),
    "macs": _size(sizes.macs, sizes.macs_by_node, "multiply-accumulates"),
    "units": _size(sizes.units, sizes.units_by_node, "units"),
    "depth": _size(sizes.depth, None, "layers"),
    "memory": _sum(_memory, "bytes"),
    "training-memory": _sum(_training_memory, "bytes"),
    "measured-memory": Metric(_measured_memory, "module", unit="bytes"),
    "energy": _sum(_energy, "joules"),
    "latency": Metric(_latency, "module", unit="seconds", by_node=_latency_by_node),
    "table-latency": _sum(_table_latency, "seconds"),
}
"""By name; those of a batch are of one forward pass under :class:`~archgraph.metrics.Conditions`."""

_OF_PREDICTIONS: dict[str, Callable[..., Any]] = {
    "accuracy": predictions.accuracy,
    "error": predictions.error,
    "mse": predictions.mean_squared_error,
    "relative-mse": predictions.relative_mean_squared_error,
    "roc-auc": roc_auc,
}
for _name, _of in _OF_PREDICTIONS.items():
    SHIPPED[_name] = Metric(_of, "predictions", predictions.PREDICTION_METRICS[_name].direction)
for _name, _metric in SHIPPED.items():
    METRICS.add(_name, _metric)
