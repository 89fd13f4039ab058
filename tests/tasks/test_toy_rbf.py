"""The RBF toy: the teacher recomputed neuron by neuron, its distribution, its points, its seeds."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from archgraph.errors import DataError, SettingError
from archgraph.tasks.toy_rbf import HARD, respond, teacher, toy_rbf


def test_sizes_and_types() -> None:
    task = toy_rbf()
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 200, "val": 100, "test": 1000}
    assert task.describe() == "toy-rbf: 200 train, 100 val, 1000 test; input 2; 1 output; mse"
    for split in task.splits.values():
        assert split.x.dtype == split.y.dtype == torch.float32
        assert split.x.shape[1:] == (2,) and split.y.shape[1:] == (1,)


@pytest.mark.parametrize(("seed", "neurons", "scale"), [(0, 15, 1.0), (1, 4, HARD), (2, 1, 1.0)], ids=str)
def test_values_are_those_of_the_teacher(seed: int, neurons: int, scale: float) -> None:
    parameters = teacher(seed, neurons=neurons, scale=scale).tolist()
    assert len(parameters) == neurons
    for split in toy_rbf(seed=seed, neurons=neurons, scale=scale, train=23, val=7, test=11).splits.values():
        for (x, one), (y,) in zip(split.x.tolist(), split.y.tolist(), strict=True):
            expected = sum(u * math.exp(-((a * x + b) ** 2) / 2) for u, a, b in parameters)
            assert one == 1.0
            assert y == pytest.approx(expected, abs=1e-5)  # x was rounded to float32


def test_respond_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    x = torch.randn(7, 2, dtype=torch.float64, generator=generator)
    expected = [
        [sum(u * math.exp(-((a * x0 + b * x1) ** 2) / 2) for u, a, b in parameters.tolist())] for x0, x1 in x.tolist()
    ]
    torch.testing.assert_close(respond(parameters, x), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14)


def test_teacher_is_standard_normal_times_scale() -> None:
    parameters = teacher(3, neurons=20000)
    assert parameters.mean(0).abs().max() < 0.04  # five standard errors
    assert (parameters.var(0) - 1).abs().max() < 0.05
    assert (torch.corrcoef(parameters.T) - torch.eye(3)).abs().max() < 0.04
    torch.testing.assert_close(teacher(3, neurons=20000, scale=HARD), parameters * 3**0.5)


def test_points_are_uniform_and_differ_between_splits() -> None:
    splits = toy_rbf(seed=4, train=5000, val=5001, test=5002).splits
    for split in splits.values():
        points = split.x[:, 0].sort().values.double()
        assert points.min() >= -5 and points.max() <= 5
        even = torch.linspace(-5, 5, len(points), dtype=torch.float64)
        assert (points - even).abs().max() < 10 * 1.95 / 5000**0.5  # Kolmogorov-Smirnov at 0.1 %
    drawn = [set(split.x[:, 0].double().tolist()) for split in splits.values()]
    shared = [len(a & b) for a, b in ((drawn[0], drawn[1]), (drawn[0], drawn[2]), (drawn[1], drawn[2]))]
    assert max(shared) <= 10  # float32 rounding makes a few equal by chance: about 3 are expected


def test_no_point_is_in_two_splits() -> None:
    drawn = [x for split in toy_rbf(seed=0).splits.values() for x in split.x[:, 0].tolist()]
    assert len(set(drawn)) == 1300


def test_more_test_points_leave_training_as_it_is() -> None:
    one, other = toy_rbf(seed=1), toy_rbf(seed=1, test=3, val=2)
    assert torch.equal(one.splits["train"].x, other.splits["train"].x)
    assert torch.equal(one.splits["train"].y, other.splits["train"].y)


def test_is_determined_by_the_seed() -> None:
    assert toy_rbf(seed=5) == toy_rbf(seed=5)
    assert len({toy_rbf(seed=seed).key for seed in (0, 1, 2)} | {toy_rbf(scale=HARD).key}) == 4


def test_leaves_global_random_states_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    toy_rbf(seed=6)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]


def test_key_is_the_same_in_another_process() -> None:
    code = "from archgraph.tasks.toy_rbf import toy_rbf; print(toy_rbf(seed=1).key)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == toy_rbf(seed=1).key


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"neurons": 0}, SettingError),
        ({"scale": 0.0}, SettingError),
        ({"scale": math.nan}, SettingError),
        ({"val": -1}, SettingError),
        ({"val": 0}, DataError),
    ],
    ids=str,
)
def test_refuses(options: dict[str, float], error: type[Exception]) -> None:
    with pytest.raises(error):
        toy_rbf(**options)  # type: ignore[arg-type]
