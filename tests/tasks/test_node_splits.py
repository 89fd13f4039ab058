"""Splits of nodes: published masks, and so many of every class with test nodes that no seed changes."""

from __future__ import annotations

import pytest
import torch

from archgraph.errors import SettingError
from archgraph.tasks.node_splits import TRAINED, VALIDATED, per_class, published

Y = torch.tensor([0] * 90 + [1] * 80 + [2] * 9)


def test_so_many_of_every_class_and_the_rest_for_testing() -> None:
    rows = per_class(Y, split=0, seed=0)
    assert {name: torch.bincount(Y[one]).tolist() for name, one in rows.items()} == {
        "train": [TRAINED, TRAINED, 2],  # of nine nodes three are left for testing
        "val": [VALIDATED, VALIDATED, 4],
        "test": [40, 30, 3],
    }
    assert torch.equal(torch.cat(list(rows.values())).sort().values, torch.arange(len(Y)))


def test_seeds_deal_what_is_not_for_testing() -> None:
    one, other, third = per_class(Y, split=0, seed=0), per_class(Y, split=0, seed=1), per_class(Y, split=1, seed=0)
    assert torch.equal(one["test"], other["test"]) and not torch.equal(one["train"], other["train"])
    assert not torch.equal(one["test"], third["test"])
    assert all(torch.equal(rows, per_class(Y, split=0, seed=0)[name]) for name, rows in one.items())


def test_published_masks_by_number() -> None:
    masks = {name: torch.zeros(5, 2, dtype=torch.bool) for name in ("train", "val", "test")}
    masks["train"][[0, 3], 1] = masks["val"][4, 1] = masks["test"][[1], 1] = True
    assert {name: rows.tolist() for name, rows in published(masks, 1).items()} == {
        "train": [0, 3],
        "val": [4],
        "test": [1],
    }
    for split in (2, -1):
        with pytest.raises(SettingError, match="0 to 1"):
            published(masks, split)
    with pytest.raises(SettingError, match="0 and more"):
        per_class(Y, split=-1, seed=0)
