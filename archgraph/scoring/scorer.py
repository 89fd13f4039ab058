"""Scores of sites by a criterion: what can be asked of a network and some samples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from archgraph import registry, rng
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.graph import Graph
from archgraph.net import Network, Nodes, Samples
from archgraph.scoring.firefly import firefly
from archgraph.scoring.gradient import gradient
from archgraph.scoring.insertions import sensli
from archgraph.scoring.proposals import NAMES, proposing
from archgraph.scoring.samples import samples
from archgraph.scoring.scored import Scored
from archgraph.scoring.signed_splitting import signed_splitting
from archgraph.scoring.splitting import splitting
from archgraph.tasks import Loss, Task, find

LOG = logging.getLogger("archgraph")

Criterion = Callable[[Network, Samples, Tensor, Loss, tuple[str, ...] | None, Mapping[str, Any]], Scored]

CRITERIA: dict[str, Criterion] = {
    "splitting": splitting,
    "signed-splitting": signed_splitting,
    "gradient": gradient,
    "firefly": firefly,
    "sensli": sensli,
    **{name: proposing(name) for name in NAMES},
}
"""Criteria by name: each takes network, inputs, targets, loss, nodes and options. Others are found by entry points."""


def score(
    network: Network,
    criterion: str = "splitting",
    *,
    data: tuple[Samples, Tensor] | None = None,
    loss: str | Loss | None = None,
    task: str | Task | None = None,
    sites: tuple[str, ...] | None = None,
    seed: int = 0,
    **options: Any,
) -> dict[str, Tensor]:
    """Return one number for every unit of every node that a criterion can score.

    Args:
        network: the network; it is left as it is.
        criterion: ``"splitting"``: the splitting index, the lowest eigenvalue of the unit's splitting matrix; below
            zero the loss falls when the unit is split. ``"signed-splitting"``: what the best split gains when copies
            may have negative weights. ``"firefly"``: by how much everything that the network may grow by changes the
            loss, by candidate instead of node (``"split conv2d1"``, ``"new conv2d1"``).
        data: inputs ``[N, ...]`` and targets ``[N]`` or ``[N, ...]``; of a network that reads edges :class:`Nodes
            <archgraph.net.Nodes>` and the targets of those that count.
        loss: name of the loss, with ``data``: ``"cross-entropy"``, ``"mse"`` or ``"binary-cross-entropy"``.
        task: a task, or its name, instead of ``data`` and ``loss``: its training split.
        sites: nodes to score; all that can be by default.
        seed: of the task, when it is given by name.
        **options: settings of the criterion, see :class:`~archgraph.scoring.Settings`.

    Returns:
        ``{"conv2d1": tensor[U], ...}``.

    Raises:
        SettingError: when neither ``data`` and ``loss`` nor ``task`` are given.
        UnknownName: when a criterion, loss, task or node is not known.
        DataError: when no node can be scored (with the reason for each), or the data do not fit.
    """
    if task is not None and data is None:
        task = find(task, seed=seed) if isinstance(task, str) else task
        data, loss = samples(network.graph, task, network.dtype), task.loss
    if data is None or loss is None:
        raise SettingError("nothing to score on", expected="data=(x, y) and loss=..., or task=...")
    x, y = data
    loss = Loss.named(loss)
    _check_data(network, x, y)
    if loss.classifies:
        _check_labels(y, network.graph.shape(network.graph.outputs[0]).dims[0])
    found = score_sites(network, x, y, loss, criterion=criterion, sites=sites, options=options)
    if not found.scores:
        reasons = "\n".join(f"node {name!r} {reason}" for name, reason in found.refused.items())
        raise DataError("no node of this network can be scored", place=reasons or None)
    for name, reason in found.refused.items():
        if sites is not None or not reason.startswith("cannot be resized"):  # outputs are left out without a word
            LOG.warning("node %r is not scored: it %s", name, reason)
    for doubt in found.doubts:
        LOG.warning("%s", doubt)
    return {name: one.index for name, one in found.scores.items()}


def score_sites(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    *,
    criterion: str = "splitting",
    sites: tuple[str, ...] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Scored:
    """Score the units of many nodes, with one forward and backward pass a batch where memory allows.

    Args:
        network: the network.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        criterion: name of the criterion.
        sites: nodes; all with units of their own by default, those that cannot be split are reported as refused.
        options: settings of the criterion.

    Raises:
        UnknownName: when the criterion or a node is not known.
        SettingError: when an option is not known, or has a value that it cannot have.
        DataError: when the captured tensors are not finite.
    """
    if criterion not in CRITERIA and criterion not in registry.CRITERIA:
        raise UnknownName.among("criterion", criterion, [*CRITERIA, *registry.CRITERIA])
    found: Criterion = CRITERIA[criterion] if criterion in CRITERIA else registry.CRITERIA.get(criterion)
    if not torch.is_inference_mode_enabled():
        return found(network, x, y, loss, sites, options or {})
    with torch.inference_mode(False):  # there gradients would be none, and every score zero
        x, y = x.clone() if x.is_inference() else x, y.clone() if y.is_inference() else y
        return found(network, x, y, loss, sites, options or {})


def subset(x: Samples, y: Tensor, samples: int | None, seed: int) -> tuple[Samples, Tensor]:
    """Return that many samples, drawn by a seed; all of them in their order by default."""
    if samples is None or samples >= len(x):
        return x, y
    generator = torch.Generator().manual_seed(rng.derive(seed, "score"))
    rows = torch.randperm(len(x), generator=generator)[:samples].to(x.device)
    return x[rows], y[rows]


def _check_data(network: Network, x: Samples, y: Tensor) -> None:
    graph = network.graph
    if isinstance(x, Nodes) and len(graph.outputs) == 1:
        _check_nodes(graph, x, y)
        return
    if isinstance(x, Nodes) or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise DataError(
            "only networks with one input and one output can be scored",
            got=f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs",
            hint="a network that reads edges takes Nodes",
        )
    wanted = graph.shape(graph.inputs[0]).dims
    if tuple(x.shape[1:]) != wanted or not len(x) or len(x) != len(y):
        raise DataError(
            "the data do not fit the network",
            expected=f"inputs {['N', *wanted]} and N targets, N at least 1",
            got=f"inputs {list(x.shape)} and targets {list(y.shape)}",
            place=str(graph.node(graph.inputs[0])),
        )


def _check_nodes(graph: Graph, x: Nodes, y: Tensor) -> None:
    kinds = [type(graph.op(name)).__name__ for name in graph.inputs]
    if len(x.given) != len(kinds) or not len(x) or len(x) != len(y):
        raise DataError(
            "the nodes do not fit the network",
            expected=f"tensors for {', '.join(kinds)}, and as many targets as nodes that count, one at least",
            got=f"{len(x.given)} tensors, {len(x)} nodes and targets {list(y.shape)}",
        )


def _check_labels(y: Tensor, classes: int) -> None:
    if y.is_floating_point() or y.is_complex():
        raise DataError("class labels have the wrong type", expected=torch.int64, got=y.dtype, hint="y.long()")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise DataError("class labels are out of range", expected=f"0 to {classes - 1}", got=f"{low} to {high}")
