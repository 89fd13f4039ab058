from __future__ import annotations

import pytest
import torch

from archgraph.errors import ShapeError
from archgraph.graph import Shape, TensorSpec
from archgraph.ops import ClassToken, PositionalEmbedding, Scale

TOKENS = Shape((3, 5), unit_axis=1)


def test_a_factor_a_unit_wherever_the_units_are() -> None:
    for shape in (Shape((5,)), Shape((5, 2, 3)), Shape((2, 5, 3), unit_axis=1), TOKENS):
        layer = Scale(init=0.5).module(shape)
        x = torch.ones(7, *shape.dims)
        assert torch.equal(layer(x), x * 0.5)
        with torch.no_grad():
            layer.weight.copy_(torch.arange(5.0))
        found = layer(x).movedim(shape.unit_axis + 1, -1)
        assert torch.equal(found, torch.arange(5.0).expand_as(found))


def test_positions_are_added() -> None:
    op = PositionalEmbedding(std=0.5)
    assert op.tensors(TOKENS) == {"weight": TensorSpec((3, 5), (None, "out"))}
    assert op.tensors(Shape((5, 2, 3)))["weight"].axes == ("out", None, None)
    layer = op.module(TOKENS)
    assert torch.equal(layer(torch.zeros(2, 3, 5))[1], layer.weight)
    assert PositionalEmbedding(std=0.0).module(TOKENS).weight.abs().max() == 0


def test_the_class_token_comes_first() -> None:
    layer = ClassToken().module(TOKENS)
    x = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    found = layer(x)
    assert found.shape == (2, *ClassToken().infer(TOKENS).dims)
    assert torch.equal(found[:, 0], layer.weight.expand(2, 5))
    assert torch.equal(found[:, 1:], x)
    with pytest.raises(ShapeError, match="ClassToken reads tokens"):
        ClassToken().infer(Shape((5, 3)))
