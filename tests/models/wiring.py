"""Unusual wirings in plain PyTorch: shared modules, several inputs, several outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Shared(nn.Module):
    """One layer used three times, and one layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(5, 7), nn.Linear(7, 7), nn.Linear(7, 3)
        self.alias = self.again

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for _ in range(2):
            x = torch.tanh(self.again(x))
        return self.last(self.alias(x))


class Siamese(nn.Module):
    """Two inputs through one encoder, a third beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.extra = nn.Linear(4, 6)
        self.head = nn.Linear(11, 3)

    def forward(self, left: Tensor, right: Tensor, facts: Tensor) -> Tensor:
        apart = (self.encoder(left) - self.encoder(right)) ** 2
        return self.head(torch.cat((apart, F.relu(self.extra(facts))), dim=-1))


class Heads(nn.Module):
    """Several outputs from one trunk, gated halves and scaled residuals on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.gated = nn.Linear(5, 8), nn.Linear(8, 12)
        self.gamma = nn.Parameter(torch.full((6,), 0.3))
        self.branch, self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 3), nn.Linear(6, 2)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        value, gate = self.gated(F.relu(self.trunk(x))).chunk(2, dim=1)
        x = value * gate.sigmoid()
        x = x + self.gamma * self.branch(x)
        return {"one": self.one(x) / 2, "two": 1 - self.two(x)}
