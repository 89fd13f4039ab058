"""Encoded columns and the dimensions an optimiser walks along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch

from archgraph import Graph
from archgraph.spaces import Choice, Domain, Float, Int, Ordered, Space
from optimizers.bayesian import Cube, sobol
from optimizers.bayesian.cube import names


@dataclass(frozen=True)
class Mixed(Space):
    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        return {
            "rate": Float(0.1, 0.9),
            "op": Choice(("conv", "pool", "skip")),
            "depth": Int(2, 6),
            "only": Ordered((7,)),
            "bias": Choice((False, True)),
        }

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        raise NotImplementedError


SPACE = Mixed()
CUBE = Cube(SPACE.columns)


def test_options_become_one_dimension() -> None:
    assert names(CUBE) == ["rate", "op", "depth", "only", "bias"]
    assert CUBE.categorical == {1: [0.0, 1.0, 2.0], 4: [0.0, 1.0]}
    assert CUBE.discrete == {2: [0.0, 0.25, 0.5, 0.75, 1.0]}
    assert CUBE.fixed == {3: 0.5}
    assert CUBE.bounds.tolist() == [[0.0, 0.0, 0.0, 0.5, 0.0], [1.0, 2.0, 1.0, 0.5, 1.0]]


@pytest.mark.parametrize("seed", range(7))
def test_points_come_back(seed: int) -> None:
    X = torch.from_numpy(SPACE.encode(SPACE.draw(seed)))
    Z = CUBE.compress(X)
    assert Z.shape == (5,)
    assert torch.equal(CUBE.expand(Z), X)


def test_gradients_pass_numbers() -> None:
    Z = torch.tensor([[0.3, 1.0, 0.5, 0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    X = CUBE.expand(Z)
    assert X.tolist() == [[0.3, 0.0, 1.0, 0.0, 0.5, 0.5, 1.0, 0.0]]
    X.sum().backward()
    assert Z.grad is not None
    assert Z.grad.tolist() == [[1.0, 0.0, 1.0, 1.0, 0.0]]


def test_every_value_is_as_likely() -> None:
    points = sobol(CUBE, 512, seed=3)
    drawn = [SPACE.decode(row.numpy()) for row in points]
    for name, share in (("op", 1 / 3), ("depth", 1 / 5), ("bias", 1 / 2)):
        for value in SPACE.domains[name].values():
            assert sum(one[name] == value for one in drawn) / 512 == pytest.approx(share, abs=0.01)
    for one, row in zip(drawn, points, strict=True):
        assert torch.allclose(torch.from_numpy(SPACE.encode(one)), row)
    assert torch.equal(points, sobol(CUBE, 512, seed=3))
    assert not torch.equal(points, sobol(CUBE, 512, seed=4))
