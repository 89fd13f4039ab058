"""The places of a module whose parameters share one block of curvature, and how they are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter

Kind = str
"""``"linear"``, ``"convolution"``, ``"propagating"``, ``"norm"`` or ``"shift"`` (a bias alone)."""

PROPAGATING = {"GCNConv": "lin"}
"""Graph layers that hand what their linear layer makes through a fixed propagation, and the name of that layer.

Others are covered by the linear layers inside them, which in SAGE, GIN, GraphConv, TAG, Cheb and SG come after the
aggregation anyway and in GAT and transformer layers before attention, which is no fixed propagation.
"""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


@dataclass(frozen=True, eq=False)
class Site:
    """A module, called once or more in a forward pass, whose parameters make one block.

    Args:
        name: dotted, within the module that is trained.
        kind: how its block is computed.
        module: whose calls are recorded.
        weight: the parameter that is read with the inputs; of a shift the bias.
        bias: the one that is added, where it belongs to the block.
        called_directly: whether a graph layer around it may call its ``forward`` past all hooks.
        kept: what was computed of the layer's edges, as long as they stay the same.
    """

    name: str
    kind: Kind
    module: nn.Module
    weight: Parameter
    bias: Parameter | None = None
    called_directly: bool = False
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of the block."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)


def sites_of(root: nn.Module, trained: dict[Parameter, str]) -> Iterator[Site]:
    """Yield the sites of a module; a parameter is in one of them at most.

    Args:
        root: what is trained.
        trained: the parameters that have blocks, and their mode: with ``"lin"`` a propagating layer is covered by the
            linear layer inside and a shift.
    """
    taken: set[Parameter] = set()
    parts = {part for module in root.modules() if is_graph_layer(module) for part in module.modules()}
    for name, module in root.named_modules():
        site = _site(name, module, trained)
        if site is not None and site.kind == "linear" and module in parts:
            site = replace(site, called_directly=True)
        if site is not None and not taken.intersection(site.parameters):
            taken.update(site.parameters)
            yield site
    for name, module in root.named_modules():
        bias = module._parameters.get("bias")
        if is_graph_layer(module) and bias in trained and bias is not None and bias not in taken and bias.ndim == 1:
            taken.add(bias)
            yield Site(name, "shift", module, bias)


def _site(name: str, module: nn.Module, trained: dict[Parameter, str]) -> Site | None:
    inner = PROPAGATING.get(type(module).__name__) if is_graph_layer(module) else None
    if inner is not None and (weight := _own(getattr(module, inner), "weight", trained)) is not None:
        if trained[weight] != "lin" and replayable(module):
            return Site(name, "propagating", module, weight, _own(module, "bias", trained))
        return None
    weight = _own(module, "weight", trained)
    if weight is None:
        return None
    bias = _own(module, "bias", trained)
    if isinstance(module, nn.Linear) or _is_graph_linear(module):
        return Site(name, "linear", module, weight, bias)
    if isinstance(module, _CONVOLUTIONS) and module.groups == 1:
        return Site(name, "convolution", module, weight, bias)
    if isinstance(module, _NORMS) and bias is not None:
        return Site(name, "norm", module, weight, bias)
    return None


def is_graph_layer(module: nn.Module) -> bool:
    """Whether a module is a message-passing layer of PyTorch Geometric, which is not loaded to find out."""
    return any(base.__name__ == "MessagePassing" for base in type(module).__mro__)


def _is_graph_linear(module: nn.Module) -> bool:
    return any(base.__module__ == "torch_geometric.nn.dense.linear" and base.__name__ == "Linear"
               for base in type(module).__mro__)  # fmt: skip


def replayable(module: Any) -> bool:
    """Whether what a graph layer does after its linear layer is one fixed sum over edges."""
    return getattr(module, "aggr", "add") in ("add", "sum") and not getattr(module, "decomposed_layers", 1) > 1


def _own(module: nn.Module, name: str, trained: dict[Parameter, str]) -> Parameter | None:
    """Return a parameter of a module, unless it is computed from others (as with weight norm) or not trained."""
    found = module._parameters.get(name)
    return found if isinstance(found, Parameter) and found in trained else None


def width(site: Site) -> tuple[int, int]:
    """Return how many outputs and inputs a linear, convolving or propagating site has, its bias counted as an input."""
    shape: torch.Size = site.weight.shape
    return shape[0], shape[1:].numel() + (site.bias is not None)
