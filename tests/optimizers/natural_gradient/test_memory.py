"""Memory grows with the number of nodes as the graph does: no matrix of all pairs of nodes is ever made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from optimizers.natural_gradient import NaturalGradient
from tests.optimizers.natural_gradient.nets import gcn


def size(tensor: Tensor) -> int:
    """Numbers that a tensor holds, of a sparse one its places too."""
    if tensor.layout == torch.strided:
        return tensor.numel()
    if tensor.layout == torch.sparse_coo:
        return tensor._values().numel() + tensor._indices().numel()
    return sum(part.numel() for part in (tensor.values(), tensor.crow_indices(), tensor.col_indices()))


class Counting(TorchDispatchMode):
    """Counts the numbers that operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.whole = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                self.largest, self.whole = max(self.largest, size(one)), self.whole + size(one)
        return found


def held(optimizer: NaturalGradient) -> Iterator[Tensor]:
    """All tensors that an optimizer keeps: its state, and what it knows of the graph."""
    waiting: list[Any] = [optimizer.state, [site.kept for site in optimizer._attached.blocks], optimizer._attached.told]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif hasattr(one, "__dict__") and type(one).__module__.startswith("optimizers"):
            waiting += vars(one).values()


def used(nodes: int, mode: str, unlabelled: float) -> tuple[int, int, int]:
    """The largest tensor of three steps on a ring of nodes, the sum of all, and what is kept of them."""
    places = torch.arange(nodes)
    edges = torch.cat([torch.stack((places, (places + k) % nodes)) for k in (1, 2, -1, -2)], dim=1)
    x = torch.randn(nodes, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, model = places[::3], gcn(13, 7, 3)
    optimizer = NaturalGradient(model, mode=mode, interval=2, unlabelled=unlabelled)
    with Counting() as counted:
        for _ in range(3):
            outputs = model(x, edges)
            optimizer.zero_grad()
            optimizer.curvature(outputs, rows=rows)
            functional.cross_entropy(outputs[rows], rows % 3).backward()
            optimizer.step()
    return counted.largest, counted.whole, sum(size(one) for one in held(optimizer))


@pytest.mark.parametrize("unlabelled", [0.0, 0.5])
@pytest.mark.parametrize("mode", ["auto", "conv", "lin"])
def test_twice_the_nodes_are_twice_the_memory(mode: str, unlabelled: float):
    counts = [60, 120, 240, 480]
    found = [used(nodes, mode, unlabelled) for nodes in counts]
    for less, more in itertools.pairwise(found):
        assert all(b <= 2.05 * a for a, b in zip(less, more, strict=True))
    largest, _, kept = found[-1]
    assert largest < 480**2 / 4 and kept > 0


def test_a_matrix_of_all_pairs_would_be_seen():
    with Counting() as counted:
        x = torch.ones(480, 2)
        x @ x.mT
    assert counted.largest >= 480**2
