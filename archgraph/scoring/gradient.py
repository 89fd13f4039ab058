"""The criterion ``"gradient"``: how fast the loss falls when the rows that make a unit follow their gradient.

With ``g_u`` the derivative of the mean loss with respect to all that unit ``u`` of a node has in its tensors (its row
of the weight, its bias), the loss falls by ``|g_u|`` a unit length along ``-g_u / |g_u|``, to first order. So ``index
= -|g_u|`` and ``directions = -g_u / |g_u|``; their product is the gradient itself.

Letters: ``N`` samples, ``U`` units, ``D`` numbers a unit has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.graph import Graph
from archgraph.metrics import macs
from archgraph.net import Network, Samples, arguments, batches, counted, parameters_of, passed
from archgraph.scoring.scored import Scored
from archgraph.scoring.site_score import SiteScore
from archgraph.tasks import Loss

BATCH = 512
"""Samples that go through the network at once."""

MODES = ("eval", "train")


def gradient(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score the units of nodes by the gradients of their rows.

    Args:
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes; all that have trainable rows by default.
        options: ``mode``: ``"eval"`` (the default), or ``"train"`` for batch norm with the statistics of each batch.

    Returns:
        Minus the length of every unit's gradient, and minus its direction (zeros where there is no gradient).

    Raises:
        UnknownName: when a node is not known.
        SettingError: when an option is not, or has a value that it cannot have.
        DataError: when a gradient is not finite.

    >>> from archgraph import ops
    >>> from archgraph.graph import chain
    >>> line = Network(chain(ops.Input((1,)), ops.Linear(1, bias=False)), {"linear1.weight": torch.tensor([[3.0]])})
    >>> ones = torch.ones(2, 1)
    >>> gradient(line, ones, ones, Loss("mse"), None, {}).scores["linear1"].index  # d/dw (w - 1)^2 = 4
    tensor([-4.])
    """
    mode = _mode(options)
    graph = network.graph
    asked = tuple(graph.nodes) if sites is None else sites
    refused = {name: why for name in asked if (why := _obstacle(graph, name)) is not None}
    if sites is None:  # nodes without weights go without saying
        refused = {name: why for name, why in refused.items() if graph.tensors(name)}
    names = [name for name in asked if name not in refused and _rows(graph, name)]
    slopes = _slopes(network, x, y, loss, train=mode == "train") if names else {}
    scores = {}
    for name in names:
        parts = [slopes[f"{name}.{key}"].movedim(axis, 0) for key, axis in _rows(graph, name)]
        rows = torch.cat([part.reshape(len(part), -1) for part in parts], 1)  # [U, D]
        if not bool(rows.isfinite().all()):
            raise DataError(f"the gradients of node {name!r} are not finite", hint="check the data and the weights")
        length = torch.linalg.vector_norm(rows, dim=1)  # [U]
        safe = torch.where(length > 0.0, length, torch.ones_like(length))
        scores[name] = SiteScore(-length, -rows / safe[:, None], method="exact", curvature="none")
    return Scored(scores, refused, passed(x), 3 * macs(graph) * passed(x) if names else 0)


def _mode(options: Mapping[str, Any]) -> str:
    for name in options:
        if name != "mode":
            raise UnknownName.among("option of criterion 'gradient'", name, ("mode",))
    mode = options.get("mode", "eval")
    if mode not in MODES:
        raise SettingError("mode of criterion 'gradient' cannot be this", expected=" or ".join(MODES), got=repr(mode))
    return str(mode)


def _rows(graph: Graph, name: str) -> list[tuple[str, int]]:
    """Return the trainable tensors of a node with rows that make its units, and the axis along which these stand."""
    specs = graph.tensors(name).items()
    return [(key, spec.axes.index("out")) for key, spec in specs if spec.trainable and "out" in spec.axes]


def _obstacle(graph: Graph, name: str) -> str | None:
    """Return why the units of a node cannot be scored, or None."""
    if graph.node(name).tie is not None:
        return f"uses the weights of {graph.node(name).owner!r}"
    return None if _rows(graph, name) else "has no trainable rows that make its units"


def _slopes(network: Network, x: Samples, y: Tensor, loss: Loss, *, train: bool) -> dict[str, Tensor]:
    """Return the gradient of the mean loss by ``"node.tensor"``."""
    module = network.to_torch().train(train)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):  # dropout must not move the global stream
        for inputs, targets in batches(x.to(network.dtype), y, BATCH):
            outputs = counted(inputs, module(*arguments(inputs)))
            (loss(outputs, targets, reduction="sum") / len(x)).backward()
    found = parameters_of(module).items()
    return {name: torch.zeros_like(one) if one.grad is None else one.grad for name, one in found}
