"""Small graph networks in float64, and the Fisher information by brute force."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch.jit.script, when PyTorch Geometric is imported
    from torch_geometric import nn as pyg

NODES, FEATURES, CLASSES = 9, 4, 3
ROWS = torch.tensor([0, 2, 3, 7])
"""Nodes with a label; nodes 7 and 8 are isolated, and 0 and 2 see the same."""

EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 5, 6, 2, 0, 3, 1], [1, 0, 2, 1, 4, 3, 6, 5, 0, 2, 1, 3]])


def features(seed: int = 0) -> Tensor:  # [N, D]
    return torch.randn(NODES, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(seed: int = 1) -> Tensor:  # [N]
    return torch.randint(CLASSES, (NODES,), generator=torch.Generator().manual_seed(seed))


class Layers(nn.Module):
    """Layers one after the other, with an entrywise function in between; graph layers get the edges."""

    def __init__(self, *layers: nn.Module, between: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.layers, self.between = nn.ModuleList(layers), between
        self.double()

    def forward(self, x: Tensor, *edges: Any) -> Tensor:
        for place, layer in enumerate(self.layers):
            x = layer(x, *edges) if isinstance(layer, pyg.MessagePassing) else layer(x)
            if place < len(self.layers) - 1:
                x = self.between(x)
        return x


def gcn(*widths: int, bias: bool = True, between: Callable[[Tensor], Tensor] = torch.relu, **settings: Any) -> Layers:
    torch.manual_seed(3)
    layers = [pyg.GCNConv(before, after, bias=bias, **settings) for before, after in itertools.pairwise(widths)]
    for layer in layers:
        if bias:
            nn.init.normal_(layer.bias, std=0.3)
    return Layers(*layers, between=between)


def linear(values: Tensor) -> Tensor:
    return values.view_as(values)


def brute_force(
    compute: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    hessian: Callable[[Tensor], Tensor],
    shares: dict[int, float],
) -> Tensor:  # [D, D]
    """Return ``sum_i s_i J_i^T H_i J_i``, a backward pass for every output of every sample."""
    outputs = compute()
    total = 0.0
    for row, share in shares.items():
        slopes = []
        for one in outputs[row].reshape(-1):
            found = torch.autograd.grad(one, parameters, retain_graph=True, allow_unused=True)
            slopes.append(
                torch.cat([torch.zeros_like(p).reshape(-1) if g is None else g.reshape(-1)
                           for p, g in zip(parameters, found, strict=True)])
            )  # fmt: skip
        J = torch.stack(slopes)  # [T, D]
        total = total + share * J.mT @ hessian(outputs[row].detach()) @ J
    return total


def softmax_hessian(logits: Tensor) -> Tensor:  # [T] -> [T, T]
    p = logits.softmax(0)
    return torch.diag(p) - torch.outer(p, p)


def mse_hessian(values: Tensor) -> Tensor:  # [T] -> [T, T]
    return torch.eye(values.numel(), dtype=values.dtype) * 2.0 / values.numel()


def block(state: dict[str, Tensor]) -> Tensor:
    """Return the block that a state's factors stand for, in the order of a weight ``[U, D]``, its bias a column."""
    if "input_rows" in state:
        rows = state["input_rows"]
        A = rows.mT @ rows + float(state["input_tail"]) * torch.eye(rows.shape[1], dtype=rows.dtype)
    else:
        A = state["input_factor"]
    return torch.kron(state["output_factor"], A)


def error(found: Tensor, wanted: Tensor) -> float:
    return float(((found - wanted).norm() / wanted.norm()).detach())
