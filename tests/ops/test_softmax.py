from __future__ import annotations

import pytest
import torch

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Fixed, Invariant, Shape
from archgraph.ops import LogSoftmax, Softmax

TOKENS = Shape((3, 7), unit_axis=1)


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_over_units_it_fixes_them(kind: type[Softmax]) -> None:
    assert kind(2).rule(TOKENS) == kind(-1).rule(TOKENS) == Fixed("normalises over its units")
    assert kind(1).rule(TOKENS) == Invariant()
    with pytest.raises(ShapeError, match="dim 3 is no axis"):
        kind(3).infer(TOKENS)
    with pytest.raises(SettingError, match="dim must be an integer"):
        kind(None)


def test_values() -> None:
    tokens = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    powers = tokens.exp()
    wanted = powers / powers.sum(1, keepdim=True)
    assert (Softmax(1).forward((tokens,), (TOKENS,)) - wanted).abs().max() < 1e-14
    assert (LogSoftmax(1).forward((tokens,), (TOKENS,)) - wanted.log()).abs().max() < 1e-14
