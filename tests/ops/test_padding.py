from __future__ import annotations

import pytest
import torch
from torch import nn

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Shape
from archgraph.ops import ZeroPad2d


@pytest.mark.parametrize("padding", [2, (1, 2, 3, 0)])
def test_the_border_is_torchs(padding: int | tuple[int, int, int, int]) -> None:
    image = torch.randn(1, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    op, shape = ZeroPad2d(padding), Shape((2, 3, 5))
    found = op.forward((image,), (shape,))
    assert torch.equal(found, nn.ZeroPad2d(padding)(image))
    assert tuple(found.shape[1:]) == op.infer(shape).dims


@pytest.mark.parametrize("padding", [-1, (1, 2), (1, 2, 3, -1), True, 1.5])
def test_settings_that_cannot_be_used(padding: int) -> None:
    with pytest.raises(SettingError, match="padding must be"):
        ZeroPad2d(padding)


def test_four_equal_numbers_are_one() -> None:
    assert repr(ZeroPad2d((2, 2, 2, 2))) == "ZeroPad2d(2)"
    with pytest.raises(ShapeError, match="ZeroPad2d reads an image"):
        ZeroPad2d(1).infer(Shape((5,)))
