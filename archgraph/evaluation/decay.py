"""Which weights of a network decay: all, those of the first layers, or those of layers that are named.

A graph convolution network is usually trained with weight decay on its first layer alone, which has by far the most
weights: Kipf, Welling, arXiv 1609.02907, section 5.2.
"""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from archgraph.errors import SettingError, UnknownName
from archgraph.net import parameters_of

FIRST = "first"


def decay_groups(module: nn.Module, weight_decay: float, decayed: str) -> list[dict[str, Any]]:
    """Return the parameters of a module as two groups: those that decay, and all others, where there are any.

    Args:
        module: what ``Network.to_torch`` made.
        weight_decay: of the first group; the second has 0.
        decayed: ``"first"``: all of the layers that have weight matrices and no such layer between them and an input of
            the network; else nodes by name, with ``+`` between them.

    Raises:
        SettingError: when the first layers are asked for and the module does not say what reads what.
        UnknownName: when no node with weights has that name.
    """
    named = parameters_of(module)
    if decayed == FIRST:
        chosen = {id(one) for layer in _first_layers(module) for one in layer.parameters()}
    else:
        owners = {label: label.partition(".")[0] for label in named}
        for name in (names := decayed.split("+")):
            if name not in owners.values():
                raise UnknownName.among("node with weights", name, set(owners.values()))
        chosen = {id(one) for label, one in named.items() if owners[label] in names}
    groups = [
        {"params": [one for one in named.values() if id(one) in chosen], "weight_decay": weight_decay},
        {"params": [one for one in named.values() if id(one) not in chosen], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _first_layers(module: nn.Module) -> list[nn.Module]:
    if not isinstance(module, fx.GraphModule):
        raise SettingError("which layers are the first is known of lowered networks alone", got=type(module).__name__)
    behind: set[fx.Node] = set()  # a layer with weight matrices
    found = []
    for node in module.graph.nodes:
        layer = module.get_submodule(node.target) if node.op == "call_module" else None
        weighs = layer is not None and any(one.ndim > 1 for one in layer.parameters())
        if layer is not None and weighs and behind.isdisjoint(node.all_input_nodes):
            found.append(layer)
        if weighs or not behind.isdisjoint(node.all_input_nodes):
            behind.add(node)
    return found
