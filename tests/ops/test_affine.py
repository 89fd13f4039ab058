from __future__ import annotations

import math

import pytest
import torch

from archgraph.errors import SettingError
from archgraph.graph import Graph, Shape
from archgraph.ops import Affine


@pytest.mark.parametrize("value", [math.inf, math.nan, "2", True])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(SettingError, match="shift must be a finite number"):
        Affine(shift=value)


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(SettingError, match="scale must not be 0"):
        Affine(0)


def test_values_and_text() -> None:
    shapes = (Shape((2,)),)
    assert Affine(2, shift=-1).forward((torch.tensor([[3.0, 5.0]]),), shapes).tolist() == [[5.0, 9.0]]
    assert Affine(2) == Affine(2.0)
    assert repr(Affine(shift=1)) == "Affine(shift=1.0)"


def test_doing_nothing_lowers_to_nothing() -> None:
    from archgraph import Network

    graph = Graph.parse("x = Input((3,))\ny = Affine()(x)\nreturn y")
    module = Network.init(graph).to_torch()
    assert module(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[1.0, 2.0, 3.0]]
