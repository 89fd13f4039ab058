from __future__ import annotations

import pytest
import torch
from torch import nn

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Absorb, Fixed, Op, Shape
from archgraph.ops import Attention, MultiheadAttention

TOKENS = Shape((5, 6), unit_axis=1)


def test_self_attention_is_torchs() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(6, 3, batch_first=True).double().eval()
    nn.init.normal_(theirs.in_proj_bias)
    ours = MultiheadAttention(6, num_heads=3).module(TOKENS).double().eval()
    ours.load_state_dict(theirs.state_dict())  # by torch's names
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    wanted = theirs(x, x, x, need_weights=False)[0]
    assert (ours(x) - wanted).abs().max() < 1e-14


def test_a_causal_token_does_not_see_later_ones() -> None:
    layer = MultiheadAttention(6, num_heads=2, causal=True).module(TOKENS)
    x = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(0))
    y = x.clone()
    y[:, 3:] += 1.0
    assert torch.equal(layer(x)[:, :3], layer(y)[:, :3])
    assert not torch.allclose(layer(x)[:, 3:], layer(y)[:, 3:])


def test_dropout_is_for_training_alone() -> None:
    layer = MultiheadAttention(6, num_heads=2, dropout=0.5).module(TOKENS)
    x = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))


def test_the_core_by_the_definition() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, n, d, generator=draw, dtype=torch.float64) for n, d in ((3, 4), (5, 4), (5, 6)))
    shapes = tuple(Shape(tuple(part.shape[1:]), 1) for part in (query, key, value))
    found = Attention(2).forward((query, key, value), shapes)
    for head in range(2):
        q, k, v = (
            query[..., 2 * head : 2 * head + 2],
            key[..., 2 * head : 2 * head + 2],
            value[..., 3 * head : 3 * head + 3],
        )
        weights = (q @ k.mT / 2**0.5).softmax(-1)
        assert (found[..., 3 * head : 3 * head + 3] - weights @ v).abs().max() < 1e-14


def test_resizing_keeps_the_width_of_heads() -> None:
    op = MultiheadAttention(6, num_heads=2)
    assert op.resized(7, TOKENS) == MultiheadAttention(7, num_heads=2, head_dim=3)
    assert op.resized(6, TOKENS) == op
    assert op.rule(TOKENS) == Absorb()
    assert Attention(2).rule(TOKENS, TOKENS, TOKENS) == Fixed("splits its units into 2 heads")


def test_macs_by_hand() -> None:
    # projections of 5 tokens: 6 x 18 and 6 x 6; scores and mixtures of 5 x 5 pairs over 6 numbers each
    assert MultiheadAttention(6, num_heads=3).macs(TOKENS) == 5 * (6 * 18 + 6 * 6) + 2 * 25 * 6


SHAPES: dict[str, tuple[Op, tuple[Shape, ...], str]] = {
    "image": (MultiheadAttention(6, num_heads=2), (Shape((2, 3, 5)),), "MultiheadAttention reads tokens"),
    "units-first": (MultiheadAttention(6, num_heads=2), (Shape((6, 5)),), "MultiheadAttention reads tokens"),
    "heads": (Attention(4), (TOKENS, TOKENS, TOKENS), "4 heads do not divide units"),
    "width": (Attention(2), (TOKENS, TOKENS.resized(8), TOKENS), "queries and keys differ in width"),
    "length": (Attention(2), (TOKENS, TOKENS, Shape((7, 6), 1)), "not one value a key"),
}


@pytest.mark.parametrize(("op", "shapes", "message"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_are_refused(op: Op, shapes: tuple[Shape, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer(*shapes)


def test_settings_that_cannot_be_used() -> None:
    with pytest.raises(SettingError, match="4 heads do not divide embed_dim"):
        MultiheadAttention(6, num_heads=4)
    with pytest.raises(SettingError, match=r"lies in \[0, 1\)"):
        MultiheadAttention(6, num_heads=3, dropout=1.0)
