from __future__ import annotations

import pytest
import torch

from archgraph.errors import SettingError
from archgraph.graph import Shape
from archgraph.ops import Dropout


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0, float("nan")])
def test_a_probability_lies_below_one(p: float) -> None:
    with pytest.raises(SettingError, match=r"lies in \[0, 1\)"):
        Dropout(p)


def test_it_drops_in_train_mode_only_and_keeps_the_mean() -> None:
    module = Dropout(0.25).module(Shape((3,)))
    ones = torch.ones(20_000)
    assert torch.equal(module.eval()(ones), ones)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = module.train()(ones)
    assert sorted(set(dropped.tolist())) == pytest.approx([0.0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
