from __future__ import annotations

import pytest
import torch

from archgraph.errors import ShapeError
from archgraph.graph import Fixed, Shape
from archgraph.ops import GLU


def test_the_first_half_is_gated_by_the_second() -> None:
    shape = Shape((2, 6), unit_axis=1)
    tokens = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(0))
    wanted = tokens[..., :3] * torch.sigmoid(tokens[..., 3:])
    assert torch.allclose(GLU().forward((tokens,), (shape,)), wanted)
    assert GLU().infer(shape) == Shape((2, 3), unit_axis=1)
    assert GLU().rule(shape) == Fixed("gates one half of its units with the other")


def test_an_odd_number_of_units() -> None:
    with pytest.raises(ShapeError, match="even number of units"):
        GLU().infer(Shape((5,)))
