from __future__ import annotations

import torch

from archgraph.graph import Shape, Stack
from archgraph.ops import Flatten


def test_units_become_blocks_where_torch_puts_them() -> None:
    image = torch.arange(2).reshape(1, 2, 1, 1).expand(1, 2, 3, 5)  # every entry is the number of its unit
    shape = Shape((2, 3, 5))
    assert Flatten().forward((image,), (shape,)).tolist() == [[0] * 15 + [1] * 15]
    assert Flatten().rule(shape) == Stack(repeat=15)


def test_units_of_tokens_are_tiled() -> None:
    tokens = torch.arange(3).reshape(1, 1, 3).expand(1, 2, 3)
    shape = Shape((2, 3), unit_axis=1)
    assert Flatten().forward((tokens,), (shape,)).tolist() == [[0, 1, 2] * 2]
    assert Flatten().rule(shape) == Stack(tile=2)
    assert Flatten().infer(shape) == Shape((6,))
