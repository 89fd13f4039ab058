"""Reading a network from inside: outputs of chosen nodes and the loss's gradients there, from one pass each way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, SettingError
from archgraph.net.lowering import lower, target
from archgraph.net.network import Network


@dataclass(frozen=True, eq=False)
class Captured:
    """What one batch left at the chosen nodes.

    Args:
        loss: the value that was differentiated, a scalar.
        values: node to its output ``[N, ...]``.
        grads: node to ``dL/d(output)``, of the same shape.
    """

    loss: Tensor
    values: dict[str, Tensor]
    grads: dict[str, Tensor]


def capture(
    network: Network,
    inputs: Tensor | tuple[Tensor, ...],
    objective: Callable[[Any], Tensor],
    *,
    values: Iterable[str] = (),
    grads: Iterable[str] = (),
) -> Captured:
    """Run a network in eval mode on a batch and keep what happens at chosen nodes.

    Weights, buffers and the random state are left as they are. Where the loss does not depend on a node its gradient is
    zero.

    Args:
        network: the network.
        inputs: ``[N, ...]`` a batch; a tuple of them for several inputs, in the order of ``graph.inputs``.
        objective: from the network's output (a tuple for several outputs) to the scalar that is differentiated.
        values: nodes whose outputs are wanted.
        grads: nodes at whose outputs the gradient is wanted (their outputs are kept too).

    Raises:
        UnknownName: when a node does not exist.
        DataError: when there are more or fewer batches than inputs.
        SettingError: when the objective does not return a scalar.
    """
    graph = network.graph
    follow = sorted(graph.node(name).name for name in set(grads))
    keep = {graph.node(name).name for name in values} | set(follow)
    batches = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if len(batches) != len(graph.inputs):
        raise DataError("one batch is needed for every input", expected=", ".join(graph.inputs), got=len(batches))
    with torch.enable_grad():
        reached = _run(network, batches, set(follow))
        results = tuple(reached[name] for name in graph.outputs)
        loss = objective(results[0] if len(results) == 1 else results)
        if loss.numel() != 1:
            raise SettingError("the objective must return a scalar", got=f"a tensor of shape {tuple(loss.shape)}")
        places = [reached[name] for name in follow]
        found: tuple[Tensor | None, ...] = (None,) * len(places)
        if places and loss.requires_grad:
            found = torch.autograd.grad(loss, places, allow_unused=True)
    gradients = (torch.zeros_like(place) if grad is None else grad for place, grad in zip(places, found, strict=True))
    return Captured(
        loss.detach(),
        {name: reached[name].detach() for name in graph.nodes if name in keep},
        dict(zip(follow, gradients, strict=True)),
    )


def _run(network: Network, batches: tuple[Tensor, ...], follow: set[str]) -> dict[str, Tensor]:
    """Compute every node with the weights as constants; each followed output is a variable of its own."""
    graph = network.graph
    modules = dict(lower(graph, network.weights).eval().requires_grad_(False).named_children())
    reached: dict[str, Tensor] = dict(zip(graph.inputs, batches, strict=True))
    for node in graph:
        sources = tuple(reached[source] for source in node.inputs)
        if node.name in reached:
            result = reached[node.name]
        elif (module := modules.get(target(node.owner))) is not None:
            result = module(*sources)
        else:
            result = node.op.forward(sources, graph.input_shapes(node.name))
        if node.name in follow:
            # an op may hand its input through, or a caller's tensor: dL/d(output) is not dL/d(input)
            result = result.view_as(result) if result.requires_grad else result.detach().requires_grad_()
        reached[node.name] = result
    return reached
