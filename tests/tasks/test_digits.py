"""The digits task: sizes, disjoint and stratified splits, a test split that no seed moves."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from archgraph.tasks.digits import digits, rows
from archgraph.tasks.task import Split

SIZES = {"train": 1100, "val": 200, "test": 497}


def pixels(split: Split) -> torch.Tensor:
    """Undo the scaling: every split shows both the darkest pixel, 0, and the lightest, 16."""
    x = split.x.double()
    return ((x - x.min()) / (x.max() - x.min()) * 16).round().long().reshape(len(x), -1)


def test_sizes_and_types() -> None:
    task = digits()
    assert {name: len(split) for name, split in task.splits.items()} == SIZES
    for split in task.splits.values():
        assert split.x.shape[1:] == (1, 8, 8) and split.x.dtype == torch.float32
        assert split.y.ndim == 1 and split.y.dtype == torch.int64
    assert task.describe() == "digits: 1100 train, 200 val, 497 test; input 1x8x8; 10 classes; cross-entropy"
    assert task.loss.name == "cross-entropy"


def test_splits_part_the_original_images() -> None:
    bunch = load_digits()
    original = Counter((tuple(map(int, image)), int(y)) for image, y in zip(bunch.data, bunch.target, strict=True))
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    for split in digits(seed=2).splits.values():
        found.update((tuple(image), y) for image, y in zip(pixels(split).tolist(), split.y.tolist(), strict=True))
    assert found == original  # every image once, with its label


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_rows_are_disjoint_and_complete(seed: int) -> None:
    parts = rows(torch.as_tensor(load_digits().target), seed=seed)
    assert {name: len(index) for name, index in parts.items()} == SIZES
    assert sorted(torch.cat(list(parts.values())).tolist()) == list(range(1797))


def test_test_split_is_the_same_for_every_seed() -> None:
    one, other = digits(seed=0), digits(seed=1)
    assert torch.equal(pixels(one.splits["test"]), pixels(other.splits["test"]))
    assert torch.equal(one.splits["test"].y, other.splits["test"].y)
    labels = torch.as_tensor(load_digits().target)
    first, second = rows(labels, seed=0), rows(labels, seed=1)
    assert set(first["val"].tolist()) != set(second["val"].tolist())
    for parts in (first, second):  # no seed trains on what another tests
        assert not set(first["test"].tolist()) & set(parts["train"].tolist() + parts["val"].tolist())


@pytest.mark.parametrize("seed", [0, 3])
def test_splits_are_stratified(seed: int) -> None:
    share = torch.bincount(torch.as_tensor(load_digits().target)) / 1797
    for split in digits(seed=seed).splits.values():
        assert (torch.bincount(split.y, minlength=10) - share * len(split)).abs().max() <= 2


def test_training_pixels_are_centred_and_scaled() -> None:
    splits = digits(seed=4).splits
    assert splits["train"].x.double().mean().item() == pytest.approx(0, abs=1e-6)
    assert splits["train"].x.double().std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert abs(splits["val"].x.double().mean().item()) > 1e-5  # its own statistics were not used
    raw = pixels(splits["train"]).double() / 16
    expected = (raw - raw.mean()) / raw.std(correction=0)
    torch.testing.assert_close(splits["train"].x.double().reshape(1100, -1), expected, rtol=1e-6, atol=1e-6)


def test_is_determined_by_the_seed() -> None:
    assert digits(seed=5) == digits(seed=5)
    assert len({digits(seed=seed).key for seed in (0, 1, 2)}) == 3


def test_leaves_global_random_states_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    digits(seed=6)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]


def test_key_is_the_same_in_another_process() -> None:
    code = "from archgraph.tasks.digits import digits; print(digits(seed=1).key)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digits(seed=1).key
