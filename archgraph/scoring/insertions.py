"""The criterion ``"sensli"``: where a new layer would have the longest gradient, all places at once.

SensLI: Sensitivity-Based Layer Insertion for Neural Networks, arXiv 2311.15995. A layer that computes the identity is
put in at every place, which keeps the function, and one gradient is taken of the whole: the merit of a place is the
length of its new layer's gradient, and ``merit^2`` what a step of gradient descent there takes from the loss, to first
order and in units of the step. A layer is worth while where that is ``ratio`` times the mean over the layers that are
there, or more. No training, no second pass: the price of a decision is one pass over the samples, forward and back.

Behind a ReLU the layer is ``ReLU(I T)`` (:class:`archgraph.moves.InsertIdentity`), elsewhere the residual ``T + w
sigma(a T)`` with ``w = 0`` (:class:`archgraph.moves.InsertLayer`), which keeps the function whatever T is. (Where T is
zero the inserted ReLU stands at its kink, which counts as flat, as in torch.) The pure function behind it, for one
edge, is :func:`archgraph.criteria.sensitivity.sensitivity`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from archgraph.checks import check_whole, is_number
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.graph import Absorb, Graph, rule_of
from archgraph.metrics import macs
from archgraph.moves import InsertIdentity, InsertLayer, Move
from archgraph.moves.insert_identity import IDEMPOTENT
from archgraph.net import Network, Samples, arguments, batches, counted, lower, parameters_of, passed
from archgraph.scoring.captures import BATCH
from archgraph.scoring.scored import Scored
from archgraph.scoring.site_score import SiteScore
from archgraph.tasks import Loss

_BOTH_WAYS = 3  # a forward and a backward pass, in forward passes


@dataclass(frozen=True)
class InsertionSettings:
    """Options of the criterion ``"sensli"``.

    Args:
        ratio: least squared gradient of a new layer, as a share of the mean over the layers there are; the paper's tau,
            1 or more there.
        kernel_size: of inserted convolutions, odd, in pixels.
        layer_width: units of an inserted bottleneck; as many as the node behind which it stands by default.
        seed: of the rows of bottlenecks.

    Raises:
        SettingError: when one has a value that it cannot have.
    """

    ratio: float = 1.0
    kernel_size: int = 3
    layer_width: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not (is_number(self.ratio) and 0.0 <= self.ratio < float("inf")):
            raise SettingError("ratio must be a number of at least 0", got=repr(self.ratio))
        for name, least in (("kernel_size", 1), ("layer_width", 1), ("seed", 0)):
            if name != "layer_width" or self.layer_width is not None:
                check_whole(name, getattr(self, name), least)
        if not self.kernel_size % 2:
            raise SettingError(
                "kernel_size must be odd, so that a layer keeps the size of images", got=self.kernel_size
            )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> InsertionSettings:
        """Return the settings that options spell.

        Raises:
            UnknownName: when an option is not known.
            SettingError: when it has a value that it cannot have.
        """
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownName.among("option of criterion 'sensli'", name, known)
        return cls(**options)


def insertion(graph: Graph, name: str, how: InsertionSettings) -> Move:
    """Return the move that inserts a layer behind a node: an identity behind a ReLU, a residual one elsewhere."""
    if type(graph.op(name)).__name__ in IDEMPOTENT:
        return InsertIdentity(name, how.kernel_size)
    return InsertLayer(name, None, how.layer_width, how.kernel_size, seed=how.seed)


def insertions(graph: Graph, how: InsertionSettings) -> Iterator[tuple[str, Move]]:
    """Yield the places where one layer's units reach the next, each with its move, legal or not."""
    for name in graph.nodes:
        if name not in graph.inputs and any(isinstance(rule_of(graph, user), Absorb) for user in graph.users(name)):
            yield name, insertion(graph, name, how)


def sensli(
    network: Network,
    x: Samples,  # [N, ...]
    y: Tensor,  # [N] or [N, ...]
    loss: Loss,
    sites: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> Scored:
    """Score the places for a new layer.

    Args:
        network: the network; it is left as it is.
        x: inputs.
        y: targets.
        loss: the loss, a mean over samples.
        sites: nodes behind which a layer may stand; by default all where one layer's units reach the next.
        options: those of :class:`InsertionSettings`.

    Returns:
        By node: ``index`` ``[1]`` minus ``merit^2``, ``gain`` that, ``directions`` ``[1, P]`` minus the gradient of the
        new layer's numbers, in the order of :func:`fresh_labels`.

    Raises:
        UnknownName: when a node or an option is not known.
        SettingError: when an option has a value that it cannot have.
        DataError: when a gradient is not finite.
    """
    how, graph = InsertionSettings.of(options), network.graph
    for name in sites or ():
        if name not in graph:
            raise UnknownName.among("node", name, graph.nodes)
    listed = [(n, insertion(graph, n, how)) for n in sites] if sites else list(insertions(graph, how))
    refused: dict[str, str] = {}
    deeper, fresh = network, dict[str, tuple[str, ...]]()
    drawn: dict[str, Tensor] = {}
    for name, move in listed:
        reason = move.refusal(graph)
        if reason is not None:
            refused[name] = f"cannot have a layer behind it: {reason}"
            continue
        edit = move.plan(deeper.graph)
        fresh[name], deeper = fresh_labels(edit.before, edit.after), deeper.after(edit)
        alone = network.after(move.plan(graph))  # its nodes have other names there, by which rows are drawn
        for label, there in zip(fresh[name], fresh_labels(graph, alone.graph), strict=True):
            drawn[label] = alone.weights[there]
    deeper = Network(deeper.graph, {**deeper.weights, **drawn})
    if not fresh:
        return Scored({}, refused, 0, 0)
    own = [label for label, one in network.weights.items() if label.endswith("weight") and one.ndim > 1]
    slopes = _gradients(deeper, x, y, loss, [*own, *(label for labels in fresh.values() for label in labels)])
    least = how.ratio * sum(float(slopes[label].square().sum()) for label in own) / max(1, len(own))
    scores: dict[str, SiteScore] = {}
    for name, labels in fresh.items():
        flat = torch.cat([slopes[label].reshape(-1) for label in labels])
        gain = flat.square().sum().reshape(1)
        if not bool(torch.isfinite(gain).all()):
            raise DataError(
                f"the gradient of a layer behind node {name!r} is not finite",
                hint="check the data and the weights: the training has probably diverged",
                place=str(graph.node(name)),
            )
        if float(gain) > 0.0 and float(gain) >= least:
            scores[name] = SiteScore(-gain, -flat.unsqueeze(0), method="insertion", curvature="none", gain=gain)
        else:
            refused[name] = f"would gain too little by a layer: {float(gain):.3g} a step, layers have {least:.3g}"
    return Scored(scores, refused, passed(x), _BOTH_WAYS * macs(deeper.graph) * passed(x))


def fresh_labels(before: Graph, after: Graph) -> tuple[str, ...]:
    """Return the trainable tensors of the nodes that a rewrite has added, ``"node.tensor"``, in order."""
    return tuple(
        f"{name}.{key}"
        for name in after.nodes
        if name not in before
        for key, spec in after.tensors(name).items()
        if spec.trainable
    )


def _gradients(network: Network, x: Samples, y: Tensor, loss: Loss, labels: list[str]) -> dict[str, Tensor]:
    """Return the gradient of the mean loss by some tensors, in eval mode."""
    module = lower(network.graph, network.weights).eval()
    parameters = parameters_of(module)
    wanted = [parameters[label] for label in labels]
    total = [torch.zeros_like(one, requires_grad=False) for one in wanted]
    with torch.enable_grad():
        for inputs, targets in batches(x.to(network.dtype), _as(y, network.dtype), BATCH):
            value = loss(counted(inputs, module(*arguments(inputs))), targets) * (len(inputs) / len(x))
            for sums, found in zip(total, torch.autograd.grad(value, wanted, allow_unused=True), strict=True):
                if found is not None:
                    sums += found
    return dict(zip(labels, total, strict=True))


def _as(targets: Tensor, dtype: torch.dtype) -> Tensor:
    return targets.to(dtype) if targets.is_floating_point() else targets
