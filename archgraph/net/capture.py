"""Reading a network from inside: outputs of chosen nodes and the loss's gradients there, in one forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from archgraph.net.lowering import NODE, lower
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


class _Recorder(fx.Interpreter):
    """Runs a lowered module node by node and keeps what is wanted; weights are treated as constants."""

    def __init__(self, module: fx.GraphModule, keep: frozenset[str], follow: frozenset[str]) -> None:
        super().__init__(module)
        self.keep, self.follow, self.values = keep, follow, dict[str, Tensor]()

    def run_node(self, n: fx.Node) -> Any:
        result, name = super().run_node(n), n.meta.get(NODE)
        if name in self.follow and not result.requires_grad:
            result = result.detach().requires_grad_()
        if name in self.keep or name in self.follow:
            self.values[str(name)] = result
        return result


def capture(
    network: Network,
    inputs: Tensor,
    objective: Callable[[Any], Tensor],
    *,
    values: Iterable[str] = (),
    grads: Iterable[str] = (),
) -> Captured:
    """Run a network in eval mode on a batch and keep what happens at chosen nodes.

    Weights, buffers and the random state are left as they are.

    Args:
        network: the network.
        inputs: ``[N, ...]`` a batch.
        objective: from the network's output to the scalar that is differentiated.
        values: nodes whose outputs are wanted.
        grads: nodes at whose outputs the gradient is wanted (their outputs are kept too).
    """
    module = lower(network.graph, network.weights).eval().requires_grad_(False)
    keep, follow = frozenset(values), frozenset(grads)
    recorder = _Recorder(module, keep, follow)
    with torch.enable_grad():
        loss = objective(recorder.run(inputs))
        order = sorted(follow)
        places = [recorder.values[name] for name in order]
        found = torch.autograd.grad(loss, places, allow_unused=True) if places else ()
    zero = (torch.zeros_like(place) if grad is None else grad for place, grad in zip(places, found, strict=True))
    return Captured(
        loss.detach(),
        {name: value.detach() for name, value in recorder.values.items()},
        dict(zip(order, zero, strict=True)),
    )
