from __future__ import annotations

import pytest
import torch
from torch import nn

from archgraph.errors import MoveRefused, ShapeError
from archgraph.graph import Graph, Op, Shape, resize
from archgraph.ops import GRU, LSTM

TOKENS = Shape((5, 3), unit_axis=1)
KINDS = {"lstm": (LSTM, nn.LSTM), "gru": (GRU, nn.GRU)}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "layer"), KINDS.values(), ids=KINDS)
def test_outputs_are_torchs(kind: type[LSTM], layer: type[nn.LSTM], bidirectional: bool) -> None:
    torch.manual_seed(0)
    theirs = layer(3, 4, batch_first=True, bidirectional=bidirectional).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    sequence, state = theirs(x)
    hidden = state[0] if kind is LSTM else state
    for last, wanted in ((False, sequence), (True, torch.cat(list(hidden), dim=1))):
        op = kind(4, bidirectional=bidirectional, last=last)
        ours = op.module(TOKENS).double()
        ours.load_state_dict(theirs.state_dict())
        assert (ours(x) - wanted).abs().max() < 1e-14
        assert tuple(wanted.shape[1:]) == op.infer(TOKENS).dims


def test_hidden_units_are_fixed_and_so_are_those_read() -> None:
    graph = Graph.parse(
        "x = Input((5, 3), unit_axis=1)\na = Linear(7)(x)\nb = LSTM(4, last=True)(a)\nc = Linear(2)(b)\nreturn c\n"
    )
    for name in ("a", "b"):
        with pytest.raises(MoveRefused, match="'b' has hidden units that are fixed in this version"):
            resize(graph, name, {0: (0.5, 0.5)})


@pytest.mark.parametrize("op", [LSTM(4), GRU(4)], ids=repr)
def test_only_tokens_are_read(op: Op) -> None:
    with pytest.raises(ShapeError, match="reads tokens"):
        op.infer(Shape((5, 3)))


def test_macs_by_hand() -> None:
    assert LSTM(4).macs(TOKENS) == 5 * 4 * (4 * 3 + 4 * 4)
    assert GRU(4, bidirectional=True).macs(TOKENS) == 2 * 5 * 3 * (4 * 3 + 4 * 4)
