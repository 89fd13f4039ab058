"""Measuring a network without training it: sizes, memory, energy, latency, and what its predictions are worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError
from archgraph.evaluation.fit import check_fit
from archgraph.evaluation.request import Measure
from archgraph.evaluation.trainer import measure as measure_predictions
from archgraph.graph import Graph
from archgraph.metrics import Conditions, find_metric
from archgraph.metrics.footprint import FLOATS, float_type
from archgraph.metrics.graph_batch import degree, example
from archgraph.net import Network
from archgraph.tasks import Task, find

DEFAULT = ("params", "macs", "depth", "memory")


def measure(
    subject: Graph | Network,
    metrics: str | Iterable[str] = DEFAULT,
    *,
    task: str | Task | None = None,
    split: str = "val",
    seed: int = 0,
    conditions: Conditions | None = None,
    **changes: Any,
) -> dict[str, float]:
    r"""Return metrics of a network, or of a graph, by name.

    Args:
        subject: the network; of a graph, weights are drawn where it has to run.
        metrics: names, as ``archgraph list metrics`` has them, and ``"loss"``.
        task: a task, or its name, for metrics of predictions.
        split: the split for these.
        seed: of weights drawn for a graph, and of a task given by name.
        conditions: of one forward pass on a batch.
        **changes: conditions one by one: ``batch_size``, ``dtype`` (the network's own by default), ``device``,
            ``threads``, ``warmup``, ``repeats``, ``energy``, ``latencies``.

    Returns:
        A number for each name, in their order; ``"latency"`` brings ``"latency-spread"``, the distance of quartiles.

    Raises:
        UnknownName: when a metric, task or split is not known.
        SettingError: when a name is none, a condition makes no sense, or predictions are to be measured without a task.
        DataError: when the network does not fit the task, or an op is missing in a table.

    >>> graph = Graph.parse("x = Input((3,))\ny = Linear(5)(x)\nreturn y")
    >>> measure(graph, ("params", "memory"), batch_size=2)
    {'params': 20.0, 'memory': 64.0}
    """
    at = _conditions(subject, conditions, changes)
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if not isinstance(name, str):
            raise SettingError("metrics are given by name", expected=", ".join(DEFAULT), got=repr(name))
    subjects = {name: "predictions" if name == "loss" else find_metric(name).of for name in names}
    network = Network.init(subject, seed) if isinstance(subject, Graph) else subject
    found = measured(network, [name for name in names if subjects[name] != "predictions"], at)
    if "predictions" in subjects.values():
        found |= _predicted(network, task, split, seed, at)
    result: dict[str, float] = {}
    for name in names:
        if name not in found:
            raise DataError(f"the task has no metric {name!r}", expected=", ".join(sorted(found)))
        result |= {key: value for key, value in found.items() if key == name or key.startswith(f"{name}-spread")}
    return result


def measured(network: Network, names: Iterable[str], conditions: Conditions) -> dict[str, float]:
    """Return metrics of a graph and of a network on a device, none of predictions; a metric may bring several numbers.

    Args:
        network: the network.
        names: of metrics.
        conditions: of one forward pass on a batch.

    Raises:
        UnknownName: when a metric is not known.
        SettingError: when a metric is of predictions, or cannot be found under these conditions.
    """
    found: dict[str, float] = {}
    for name in names:
        metric = find_metric(name)
        if metric.of == "graph":
            found[name] = float(metric.value(network.graph, conditions))
        elif metric.of == "module":
            placed = network.to(float_type(conditions.dtype)).to(conditions.device)
            inputs = batch(network.graph, conditions)
            found |= metric.value(placed.to_torch(), inputs, conditions)
        else:
            raise _of_predictions(name)
    return found


def check_metrics(names: Iterable[str], conditions: Conditions) -> None:
    """Raise unless metrics can be found under conditions, as far as that can be told without a network.

    Raises:
        UnknownName: when a metric, or a table that it needs, is not known.
        SettingError: when a metric is of predictions, or the conditions make no sense for it.
        DataError: when a table that it needs is none.
        StorageError: when that cannot be read.
    """
    float_type(conditions.dtype)
    for name in names:
        metric = find_metric(name)
        if metric.of == "predictions":
            raise _of_predictions(name)
        if metric.of == "graph":
            metric.value(_EMPTY, conditions)


_EMPTY = Graph.parse("x = Input((1,))\nreturn x")


def measured_for(request: Measure, device: torch.device | str) -> dict[str, float]:
    """Return the further metrics that a request asks for, on the evaluator's device; errors as :func:`measured`."""
    return measured(request.network, request.metrics, replace(request.conditions, device=str(device)))


def runs_of(request: Measure) -> int:
    """Return how many samples go through the network for the further metrics, at most; the ledger counts them."""
    return runs(request.metrics, request.conditions)


def runs(names: Iterable[str], conditions: Conditions) -> int:
    """Return how many samples go through a network to find metrics under conditions, at most."""
    timed = [name for name in names if find_metric(name).of == "module"]
    return len(timed) * (conditions.warmup + conditions.repeats) * conditions.batch_size


def breakdown(
    subject: Graph | Network, metric: str, *, conditions: Conditions | None = None, **changes: Any
) -> dict[str, float]:
    r"""Return what every node has of a metric; the numbers add up to it.

    Of ``"memory"`` a node has its tensors that are held at the peak. ``"latency"`` is measured op by op, so it adds up
    to about that of the whole.

    Args:
        subject: a graph, or a network.
        metric: its name.
        conditions: of one forward pass on a batch.
        **changes: conditions one by one, as in :func:`measure`.

    Raises:
        UnknownName: when the metric is not known.
        SettingError: when it is no sum over nodes.

    >>> breakdown(Graph.parse("x = Input((3,))\ny = Linear(5)(x)\nreturn y"), "macs")
    {'x': 0, 'y': 15}
    """
    at = _conditions(subject, conditions, changes)
    return find_metric(metric).shares(subject if isinstance(subject, Graph) else subject.graph, at)


def batch(graph: Graph, conditions: Conditions) -> tuple[Tensor, ...]:
    """Return a batch for every input of a graph: normal numbers from a fixed seed, or zeros for whole numbers.

    A network that reads edges gets a graph of so many nodes.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = []
    edges = degree([graph.shape(name) for name in graph.inputs])
    for name in graph.inputs:
        if not (shape := graph.shape(name)).mixes:
            drawn = example(shape, conditions.batch_size, edges, float_type(conditions.dtype))
            inputs.append(drawn.to(conditions.device))
            continue
        size, wanted = (conditions.batch_size, *graph.shape(name).dims), getattr(graph.op(name), "dtype", "float32")
        if wanted == "float32":  # stands for the network's own type
            inputs.append(torch.randn(size, generator=generator).to(conditions.device, float_type(conditions.dtype)))
        else:
            inputs.append(torch.zeros(size, dtype=getattr(torch, wanted), device=conditions.device))
    return tuple(inputs)


def _of_predictions(name: str) -> SettingError:
    return SettingError(f"metric {name!r} is of predictions", expected="a metric of the graph or the network")


def _predicted(network: Network, task: str | Task | None, split: str, seed: int, at: Conditions) -> Mapping[str, float]:
    if task is None:
        raise SettingError("metrics of predictions need a task", expected='such as task="digits"')
    task = find(task, seed=seed) if isinstance(task, str) else task
    check_fit(network.graph, task)
    return dict(measure_predictions(network, task, split, device=at.device))


def _conditions(subject: Graph | Network, conditions: Conditions | None, changes: Mapping[str, Any]) -> Conditions:
    known = [field.name for field in fields(Conditions)]
    for name in changes:
        if name not in known:
            raise SettingError(f"no condition {name!r}", expected=", ".join(known))
    own = {}
    if conditions is None and isinstance(subject, Network):
        own = {name: kind for name, kind in (("dtype", str(subject.dtype).removeprefix("torch.")),) if kind in FLOATS}
    return replace(conditions or Conditions(), **{**own, **changes})
