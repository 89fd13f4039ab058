"""Layers of PyTorch Geometric as source: which these are, and with what they were made.

Most of their settings are attributes called as the argument of the constructor; those that are not are listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from archgraph.ops.graph_layer import geometric

ROOM = "gnn"
"""What ``torch_geometric.nn`` is called in ``model.py``."""

IMPORT = f"import torch_geometric.nn as {ROOM}"


def is_geometric(kind: type[nn.Module]) -> bool:
    """Whether a layer is one of ``torch_geometric.nn``."""
    return kind.__module__.startswith("torch_geometric.") and getattr(geometric(), kind.__name__, None) is kind


def setting(module: Any, name: str) -> Any:
    """Return with what value of an argument a layer was made; None where it does not say."""
    kind = type(module)
    ways = _OTHERWISE.get(kind.__name__, {}) if kind.__module__.startswith("torch_geometric.") else {}
    return ways[name](module) if name in ways else getattr(module, name, None)


def _loops(layer: Any) -> bool | None:
    """None stands for what ``normalize`` says."""
    return None if layer.add_self_loops == layer.normalize else bool(layer.add_self_loops)


_OTHERWISE: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "GCNConv": {"add_self_loops": _loops},
    "SGConv": {"bias": lambda layer: layer.lin.bias},
    "ChebConv": {"K": lambda layer: len(layer.lins)},
    "SAGEConv": {"bias": lambda layer: layer.lin_l.bias},
    "TransformerConv": {"bias": lambda layer: layer.lin_key.bias},
    "GINConv": {
        "eps": lambda layer: layer.initial_eps,
        "train_eps": lambda layer: isinstance(layer.eps, nn.Parameter),
    },
}
