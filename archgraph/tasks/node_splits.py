"""Which nodes of a graph are for training, validation and testing: published masks, or a few nodes of every class.

Letters: ``N`` nodes, ``S`` splits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from archgraph.errors import SettingError
from archgraph.rng import derive
from archgraph.tasks.split import SPLITS

TRAINED, VALIDATED = 20, 30
"""Nodes of a class for training and for validation (Shchur et al., *Pitfalls of Graph Neural Network Evaluation*)."""

Rows = dict[str, Tensor]
"""Nodes of each split, ``[count]`` int64."""


def published(masks: Mapping[str, Tensor], split: int) -> Rows:
    """Choose one of several published splits.

    Args:
        masks: ``"train"``, ``"val"`` and ``"test"``: which nodes, ``[N, S]`` bool.
        split: its number, from 0.

    Raises:
        SettingError: when there is no such split.
    """
    count = masks["train"].shape[1]
    check(split, count)
    return {name: masks[name][:, split].nonzero().squeeze(1) for name in SPLITS}


def per_class(
    y: Tensor,  # [N] int64
    *,
    split: int,
    seed: int,
) -> Rows:
    """Choose 20 nodes of every class for training and 30 for validation; all others are for testing.

    The nodes for testing hang on ``split`` alone, so that what is tuned with one seed never trains on the test nodes of
    another; the seed parts the others. A class of few nodes leaves a third of them for testing.

    Args:
        y: classes.
        split: which nodes are for testing.
        seed: which of the others are for validation.

    Raises:
        SettingError: when ``split`` is negative.
    """
    check(split, None)
    outer = torch.Generator().manual_seed(derive(split, "nodes", "test"))
    inner = torch.Generator().manual_seed(derive(seed, "nodes", "val", split))
    parts: dict[str, list[Tensor]] = {name: [] for name in SPLITS}
    for label in y.unique():
        members = (y == label).nonzero().squeeze(1)
        members = members[torch.randperm(len(members), generator=outer)]
        kept = min(TRAINED + VALIDATED, len(members) - len(members) // 3)
        own = members[:kept][torch.randperm(kept, generator=inner)]
        trained = max(1, kept * TRAINED // (TRAINED + VALIDATED))
        for name, rows in zip(SPLITS, (own[:trained], own[trained:], members[kept:]), strict=True):
            parts[name].append(rows)
    return {name: torch.cat(rows).sort().values for name, rows in parts.items()}


def check(split: int, count: int | None) -> None:
    """Raise a ``SettingError`` unless there is such a split; of drawn ones there is any number (None)."""
    if isinstance(split, bool) or split < 0 or (count is not None and split >= count):
        raise SettingError(
            "there is no such split", expected="0 and more" if count is None else f"0 to {count - 1}", got=split
        )
