"""Kernels by name, their parts against loops, and the GPyTorch kernel against its formula."""

from __future__ import annotations

import math

import pytest
import torch

from archgraph.errors import UnknownName
from optimizers.graph_bo.gram_kernel import GramKernel
from optimizers.graph_bo.kernels import LENGTHS, combined, intersections, radial, read


def test_reading() -> None:
    assert read("wl-oa*values+descriptors") == (("wl-oa", "values"), ("descriptors",))
    with pytest.raises(UnknownName, match="descriptors"):
        read("wl+descriptor")


def test_sums_and_products() -> None:
    generator = torch.Generator().manual_seed(0)
    wl, values = (torch.rand(size, 5, 7, generator=generator, dtype=torch.float64) for size in (2, 3))
    grams = combined(read("wl + wl*values"), {"wl": wl, "values": values})
    assert grams.shape == (2 + 2 * 3, 5, 7)
    assert torch.equal(grams[:2], wl)
    assert torch.equal(grams[2 + 3 + 1], wl[1] * values[1])


def test_intersections_and_distances() -> None:
    X = torch.tensor([[2.0, 0.0, 1.0], [1.0, 3.0, 0.0]], dtype=torch.float64)
    Y = torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64)
    assert intersections(X, Y).tolist() == [[2.0], [2.0]]
    spread = torch.tensor([2.0, 0.0, 0.5], dtype=torch.float64)
    found = radial(X, Y, spread)
    square = ((2 - 1) / 2.0) ** 2 + 0.0  # the second column does not vary
    for number, length in enumerate(LENGTHS):
        assert float(found[number, 0, 0]) == pytest.approx(math.exp(-square / (2 * 2) / (2 * length**2)), abs=1e-12)
    assert radial(X, Y, torch.zeros(3, dtype=torch.float64)).eq(1.0).all()


def test_the_gram_kernel() -> None:
    generator = torch.Generator().manual_seed(1)
    roots = torch.nn.functional.normalize(torch.randn(3, 6, 4, generator=generator, dtype=torch.float64), dim=2)
    grams = roots @ roots.mT
    kernel = GramKernel(grams, torch.tensor([0.1, -0.4, 0.9], dtype=torch.float64))
    rows, columns = torch.tensor([[4.0], [0.0]]), torch.tensor([[1.0], [5.0], [2.0]])
    weights = torch.tensor([0.1, -0.4, 0.9], dtype=torch.float64).exp()
    weights = weights / weights.sum()
    expected = [[sum(w * K[i, j] for w, K in zip(weights, grams, strict=True)) for j in (1, 5, 2)] for i in (4, 0)]
    assert torch.allclose(kernel(rows, columns).to_dense(), torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(kernel(rows, diag=True), torch.ones(2, dtype=torch.float64), atol=1e-12)
    batch = torch.tensor([[[1.0]], [[3.0]]])
    assert kernel(batch, rows.expand(2, 2, 1)).to_dense().shape == (2, 1, 2)
    kernel(rows, columns).to_dense().sum().backward()
    assert kernel.weights.grad is not None
    assert kernel.weights.grad.abs().sum() > 0.0
