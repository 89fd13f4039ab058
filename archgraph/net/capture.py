"""Reading a network from inside: outputs of chosen nodes and the loss's gradients there, from one pass each way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archgraph.errors import DataError, SettingError
from archgraph.graph import Absorb
from archgraph.net.lowering import lower, source, target
from archgraph.net.network import Network
from archgraph.net.nodes import Nodes, arguments, counted


@dataclass(frozen=True, eq=False)
class Captured:
    """What one batch left at the chosen nodes.

    Args:
        loss: the value that was differentiated, a scalar.
        values: node to its output ``[N, ...]``.
        grads: node to ``dL/d(output)``, of the same shape.
        reads: node to the part of ``dL/d(output)`` that comes through the ops that mix its units.
        seen: node to ``[N, D]`` what its units see: of a graph convolution the features that reach a node over edges.
    """

    loss: Tensor
    values: dict[str, Tensor]
    grads: dict[str, Tensor]
    reads: dict[str, Tensor] = field(default_factory=dict)
    seen: dict[str, Tensor] = field(default_factory=dict)


def capture(
    network: Network,
    inputs: Tensor | tuple[Tensor, ...] | Nodes,
    objective: Callable[[Any], Tensor],
    *,
    values: Iterable[str] = (),
    grads: Iterable[str] = (),
    reads: Iterable[str] = (),
    seen: Iterable[str] = (),
    train: bool = False,
) -> Captured:
    """Run a network on a batch and keep what happens at chosen nodes.

    Weights, buffers and the random state are left as they are. Where the loss does not depend on a node its gradient is
    zero. What a node hands on unmixed, to an activation or a sum, reaches the loss through later nodes: the gradient
    through the ops that mix its units, such as layers behind it, leaves that out.

    Args:
        network: the network.
        inputs: ``[N, ...]`` a batch; a tuple of them for several inputs, in the order of ``graph.inputs``. Of a network
            on graphs: features of all nodes, edges, and whatever else it takes; or :class:`Nodes`, some of which count.
        objective: from the network's output (a tuple for several outputs; of nodes, those that count) to the scalar
            that is differentiated.
        values: nodes whose outputs are wanted.
        grads: nodes at whose outputs the gradient is wanted (their outputs are kept too).
        reads: nodes at whose outputs the gradient through the ops that mix their units is wanted, and it alone.
        seen: nodes of which is wanted what their units see; they are linear maps of it with the tensors that
            ``op.rows_of_unit`` names.
        train: whether norms take their statistics from the batch; dropout stays off.

    Raises:
        UnknownName: when a node does not exist.
        DataError: when there are more or fewer batches than inputs, or a batch without statistics: one value a unit.
        SettingError: when the objective does not return a scalar, or a node of ``seen`` is no linear map.
    """
    graph = network.graph
    follow = sorted(graph.node(name).name for name in set(grads))
    mixed = sorted(graph.node(name).name for name in set(reads))
    keep = {graph.node(name).name for name in values} | set(follow)
    wanted = {graph.node(name).name for name in seen}
    for name in wanted:
        if not graph.op(name).rows_of_unit(*graph.input_shapes(name))[0]:
            raise SettingError(f"node {name!r} is no linear map of what its units see", got=str(graph.node(name)))
    batches = arguments(inputs)
    if len(batches) != len(graph.inputs):
        raise DataError("one batch is needed for every input", expected=", ".join(graph.inputs), got=len(batches))
    with torch.enable_grad():
        reached, read, views = _run(network, batches, set(follow), set(mixed), train, wanted)
        results = tuple(reached[name] for name in graph.outputs)
        loss = objective(counted(inputs, results[0] if len(results) == 1 else results))
        if loss.numel() != 1:
            raise SettingError("the objective must return a scalar", got=f"a tensor of shape {tuple(loss.shape)}")
        places = [reached[name] for name in follow] + [read[name] for name in mixed]
        found: tuple[Tensor | None, ...] = (None,) * len(places)
        if places and loss.requires_grad:
            found = torch.autograd.grad(loss, places, allow_unused=True)
    gradients = [torch.zeros_like(place) if grad is None else grad for place, grad in zip(places, found, strict=True)]
    return Captured(
        loss.detach(),
        {name: reached[name].detach() for name in graph.nodes if name in keep},
        dict(zip(follow, gradients[: len(follow)], strict=True)),
        dict(zip(mixed, gradients[len(follow) :], strict=True)),
        {name: value.detach() for name, value in views.items()},
    )


def batch_statistics(module: nn.Module, name: str) -> None:
    """Have the norms of a node's module take their statistics from the batch, and refuse a batch that has none.

    Args:
        module: of one node, in eval mode.
        name: the node's.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            part.train()
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.register_forward_pre_hook(partial(_check_statistics, name))


def _check_statistics(name: str, module: nn.Module, sources: tuple[Tensor, ...]) -> None:
    values = sources[0].numel() // sources[0].shape[1]
    if values < 2:
        raise DataError(
            f"node {name!r} has no statistics of a batch in train mode",
            expected="at least two values a unit",
            got=values,
            hint="give more samples a batch, or use eval mode",
        )


def _run(
    network: Network, batches: tuple[Tensor, ...], follow: set[str], mixed: set[str], train: bool, seen: set[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Compute every node with the weights as constants; what is followed, or read by mixing ops, is a variable."""
    graph = network.graph
    modules = dict(lower(graph, network.weights, share=True).eval().requires_grad_(False).named_children())
    if train:
        for name, part in modules.items():
            batch_statistics(part, source(name))
    reached: dict[str, Tensor] = dict(zip(graph.inputs, batches, strict=True))
    read: dict[str, Tensor] = {}
    views: dict[str, Tensor] = {}
    for node in graph:
        inputs = tuple(reached[name] for name in node.inputs)
        if isinstance(graph.rule(node.name), Absorb):
            inputs = tuple(read.get(name, reached[name]) for name in node.inputs)
        if node.name in reached:
            result = reached[node.name]
        elif (module := modules.get(target(node.owner))) is not None:
            result = module(*inputs)
        else:
            result = node.op.forward(inputs, graph.input_shapes(node.name))
        if node.name in seen:
            with torch.no_grad():
                views[node.name] = node.op.seen(modules.get(target(node.owner)), inputs)
        if node.name in follow:
            result = _variable(result)
        if node.name in mixed:
            read[node.name] = _variable(result)
        reached[node.name] = result
    return reached, read, views


def _variable(result: Tensor) -> Tensor:
    """Return a variable of its own: an op may hand its input through, but dL/d(output) is not dL/d(input)."""
    return result.view_as(result) if result.requires_grad else result.detach().requires_grad_()
