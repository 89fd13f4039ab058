"""What learning without forgetting is compared with: one trunk trained on, and one network for all tasks at once.

Networks that share nothing are ``learn(..., share=False)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archgraph import rng
from archgraph.continual.course import Course
from archgraph.continual.homes import Homes
from archgraph.continual.trunk import fitting, head_resized
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Train, measure
from archgraph.evaluation.device import choose_device
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.search import Driver, Setting, Steps, Study, search
from archgraph.tasks import Task, TaskSequence

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Once(Driver):
    """Train one network once.

    Args:
        network: where to start.
    """

    network: Network

    def steps(self, setting: Setting) -> Steps:
        yield Train(self.network, setting.recipe, seed=rng.derive(setting.seed, "once"))
        return "it is trained"


def fine_tune(
    trunk: Graph,
    sequence: TaskSequence | str,
    *,
    name: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    data_root: str | Path | None = None,
    **settings: Any,
) -> Course:
    """Train one trunk on task after task, each with a head and norms of its own: it forgets.

    Args:
        trunk: the graph, with any number of outputs.
        sequence: the tasks, or the name of a sequence.
        name: of the studies; ``"fine-tune-<sequence>-<seed>"`` by default.
        storage: None for memory, or a URL.
        seed: of everything random.
        data_root: folder with data sets, for sequences given by name.
        **settings: for each task's :func:`archgraph.search.search`.

    Raises:
        ArchGraphError: when the sequence, the trunk, the recipe or the storage cannot be used.
        EvaluationFailed: when a training failed.
    """
    tasks = fitting(sequence, trunk, seed=seed, data_root=data_root)
    device = choose_device(settings.get("device", "auto"))
    name = name or f"fine-tune-{tasks.name}-{seed}"
    graphs = [head_resized(trunk, task.outputs) for task in tasks]
    last: Network | None = None
    shared: dict[str, Tensor] = {}
    own: list[dict[str, Tensor]] = []
    studies, tests, learned = [], [], []
    for number, (task, graph) in enumerate(zip(tasks, graphs, strict=True), start=1):
        start = Network.init(graph, rng.derive(seed, "fine-tune", number))
        if last is not None:  # all but the head goes on from where it is
            heads = _heads(graph)
            known = last.weights
            start = Network(graph, {at: one if at in heads else known[at] for at, one in start.weights.items()})
        study = search(Once(start), task=task, storage=storage, name=f"{name}-{number}", seed=seed, **settings)
        last = _trained(study)
        private = _private(graph)
        own.append({label: tensor for label, tensor in last.weights.items() if label in private})
        shared = {label: tensor for label, tensor in last.weights.items() if label not in private}
        networks = [Network(one, shared | mine) for one, mine in zip(graphs, own, strict=False)]
        tests.append(
            tuple(measure(net, each, "test", device=device) for net, each in zip(networks, tasks, strict=False))
        )
        studies.append(study)
        learned.append(last)
    params = _params(graphs[-1], shared) + sum(_params(graph, mine) for graph, mine in zip(graphs, own, strict=True))
    return Course(tasks, tuple(networks), tuple(learned), tuple(tests), params, tuple(studies), {})


def joint(
    trunk: Graph,
    sequence: TaskSequence | str,
    *,
    name: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    data_root: str | Path | None = None,
    **settings: Any,
) -> Course:
    """Train one network on the samples of all tasks at once, whose classes it tells apart all together.

    It is the usual upper bound, as no task is learned after another; but each network that is measured has only its
    task's rows of the head, as the task of a sample is known.

    Args:
        trunk: the graph, with any number of outputs.
        sequence: the tasks, or the name of a sequence.
        name: of the study; ``"joint-<sequence>-<seed>"`` by default.
        storage: None for memory, or a URL.
        seed: of everything random.
        data_root: folder with data sets, for sequences given by name.
        **settings: for :func:`archgraph.search.search`.

    Raises:
        ArchGraphError: when the sequence, the trunk, the recipe or the storage cannot be used.
        EvaluationFailed: when the training failed.
    """
    tasks = fitting(sequence, trunk, seed=seed, data_root=data_root)
    device = choose_device(settings.get("device", "auto"))
    whole: Task = tasks.joint()
    graph = head_resized(trunk, whole.outputs)
    start = Network.init(graph, rng.derive(seed, "joint"))
    name = name or f"joint-{tasks.name}-{seed}"
    study = search(Once(start), task=whole, storage=storage, name=name, seed=seed, **settings)
    network = _trained(study)
    networks, first = [], 0
    for task in tasks:
        networks.append(_outputs(network, head_resized(trunk, task.outputs), first))
        first += task.outputs
    tests = tuple(measure(net, task, "test", device=device) for net, task in zip(networks, tasks, strict=True))
    params = _params(graph, network.weights)
    return Course(tasks, tuple(networks), tuple(networks), (tests,), params, (study,), {})


def _trained(study: Study) -> Network:
    trial = study.trials[-1] if study.trials else None
    if trial is None or not trial.ok:
        raise EvaluationFailed(f"study {study.name!r} has no network: {trial.failure if trial else study.stopped}")
    return trial.network


def _heads(graph: Graph) -> set[str]:
    """Return the tensors that make the outputs, by ``"node.tensor"``."""
    homes = Homes(graph)
    made = [node.name for node in graph if node.tie is None and homes.is_head(node.name)]
    return {f"{name}.{key}" for name in made for key in graph.tensors(name)}


def _private(graph: Graph) -> set[str]:
    """Return the tensors that every task has for itself."""
    homes = Homes(graph)
    nodes = [node.name for node in graph if node.tie is None and homes.is_private(node.name)]
    return {f"{name}.{key}" for name in nodes for key in graph.tensors(name)}


def _outputs(network: Network, graph: Graph, first: int) -> Network:
    """Return a network with as many of the outputs as a graph has, from the first on."""
    heads, weights = _heads(network.graph), dict(network.weights)
    for label in heads:
        node, _, key = label.partition(".")
        spec = graph.tensors(node)[key]
        if "out" in spec.axes:
            axis = spec.axes.index("out")
            rows = torch.arange(first, first + spec.shape[axis])
            weights[label] = weights[label].index_select(axis, rows)
    return Network(graph, weights)


def _params(graph: Graph, weights: Weights) -> int:
    """Return how many of some tensors' numbers are trained."""
    trained = (
        tensor
        for label, tensor in weights.items()
        if graph.tensors(label.partition(".")[0])[label.partition(".")[2]].trainable
    )
    return sum(tensor.numel() for tensor in trained)
