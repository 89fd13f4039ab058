"""Tasks as values: keys, partitions, tasks of a user's own data, and what they refuse."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.registry import TASKS
from archgraph.tasks import Loss, Split, Task, find, partition

RECIPE = """
import torch
from archgraph.tasks import Task
x = torch.arange(60, dtype=torch.float32).reshape(20, 3)
task = Task.from_tensors("mine", x, torch.arange(20) % 2, loss="cross-entropy", seed=7)
"""


def labelled(samples: int = 100) -> tuple[Tensor, Tensor]:
    """Rows that tell their own index, with classes of very different size: 60%, 30%, 10%."""
    x = torch.arange(samples * 2, dtype=torch.float64).reshape(samples, 2)
    y = torch.tensor([0] * 6 + [1] * 3 + [2])[torch.arange(samples) % 10]
    return x, y


def splits(**changes: Any) -> dict[str, Split]:
    x, y = labelled(30)
    return {"train": Split(x[:17], y[:17]), "val": Split(x[17:22], y[17:22]), "test": Split(x[22:], y[22:]), **changes}


def task(loss: str = "cross-entropy", shape: tuple[int, ...] = (2,), outputs: int = 3, **changes: Any) -> Task:
    return Task("small", splits(**changes), Loss(loss), shape, outputs)


def rows_of(part: Split) -> list[int]:
    return (part.x[:, 0] / 2).long().tolist()


# partition


@given(st.data(), st.integers(0, 2**40))
def test_partition_deals_every_index_once_and_in_proportion(data: st.DataObject, seed: int) -> None:
    counts = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 0))
    samples = sum(counts)
    labels = torch.tensor(data.draw(st.lists(st.sampled_from([0, 1, 4]), min_size=samples, max_size=samples)))
    for by in (None, labels):
        parts = partition(samples, counts, seed=seed, labels=by)
        assert [len(part) for part in parts] == counts
        assert sorted(torch.cat(parts).tolist()) == list(range(samples))
    for part in parts:  # those by label
        for label in labels.unique():
            share = float((labels == label).sum()) / samples
            # a prefix of the order is off by at most 1/2 + share * classes / 2 <= 2, a stretch by twice that
            assert abs(float((labels[part] == label).sum()) - share * len(part)) <= 4


def test_partition_is_random_within_classes() -> None:
    labels = labelled()[1]
    first, again, other = (partition(100, (70, 30), seed=seed, labels=labels)[0].tolist() for seed in (1, 1, 2))
    assert first == again
    assert set(first) != set(other)
    assert first != sorted(first)
    often = torch.zeros(100)
    for seed in range(400):
        often[partition(100, (70, 30), seed=seed, labels=labels)[0]] += 1 / 400
    assert (often - 0.7).abs().max() < 0.1  # four standard deviations of 400 draws


@pytest.mark.parametrize("counts", [(3, 4), (9, -1)], ids=["sum", "negative"])
def test_partition_refuses(counts: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="add up"):
        partition(8, counts, seed=0)


# values


def test_is_a_value_known_by_its_key() -> None:
    one, same = task(), task()
    assert one == same and hash(one) == hash(same) and len({one, same}) == 1
    assert one != "small"
    assert repr(one) == "<Task small: 17 train, 5 val, 8 test; input 2; 3 classes; cross-entropy>"
    assert pickle.loads(pickle.dumps(one)) == one
    assert len(one.splits["train"]) == 17
    assert list(one.splits) == ["train", "val", "test"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: Task("other", splits(), Loss("cross-entropy"), (2,), 3),
        lambda: task(outputs=4),
        lambda: task(train=Split(labelled(30)[0][:17] + 1, labelled(30)[1][:17])),
        lambda: task(train=Split(labelled(30)[0][:17], labelled(30)[1][:17].flip(0))),
        lambda: task(train=Split(labelled(30)[0][:17].float(), labelled(30)[1][:17])),
        lambda: task(val=splits()["test"], test=splits()["val"]),
    ],
    ids=["name", "outputs", "x", "y", "dtype", "split"],
)
def test_keys_differ_with_what_they_cover(other: Any) -> None:
    assert other().key != task().key


def test_keys_of_two_losses_differ() -> None:
    x = torch.ones(9, 2)
    data = {name: Split(x, torch.ones(9, 1)) for name in ("train", "val", "test")}
    labels = {name: Split(x, torch.ones(9, dtype=torch.int64)) for name in ("train", "val", "test")}
    assert Task("t", data, Loss("mse"), (2,), 1).key != Task("t", labels, Loss("cross-entropy"), (2,), 2).key


def test_key_does_not_depend_on_memory_layout() -> None:
    turned = splits()["train"]
    strided = Split(turned.x.T.contiguous().T, turned.y)
    assert not strided.x.is_contiguous()
    assert task(train=strided) == task()


def test_key_is_the_same_in_another_process() -> None:
    namespace: dict[str, Any] = {}
    exec(RECIPE, namespace)
    done = subprocess.run(
        [sys.executable, "-c", RECIPE + "print(task.key)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == namespace["task"].key


@pytest.mark.parametrize("before", [False, True], ids=["key-unread", "key-read"])
def test_moves_to_a_device_under_its_key(before: bool) -> None:
    here = task()
    key = here.key if before else None
    there = here.to("cpu")
    assert there.splits["val"].x.device.type == "cpu"
    assert there == here
    assert key is None or there.__dict__["key"] == key


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_moves_to_a_gpu_and_keeps_its_key() -> None:
    there = task().to("cuda")
    assert there.splits["train"].x.is_cuda and there.splits["test"].y.is_cuda
    assert there.key == task().key


# from_tensors


def test_from_tensors_splits_disjointly_and_in_proportion() -> None:
    x, y = labelled()
    made = Task.from_tensors("mine", x, y, loss="cross-entropy", splits=(0.5, 0.2, 0.3), seed=1)
    assert {name: len(part) for name, part in made.splits.items()} == {"train": 50, "val": 20, "test": 30}
    assert sorted(row for part in made.splits.values() for row in rows_of(part)) == list(range(100))
    for part in made.splits.values():
        assert torch.equal(part.y, y[rows_of(part)])  # targets stay with their inputs
        for label, share in enumerate((0.6, 0.3, 0.1)):
            assert abs(int((part.y == label).sum()) - share * len(part)) <= 1
    assert made.outputs == 3 and made.input_shape == (2,) and made.splits["train"].x.dtype == torch.float32


def test_from_tensors_follows_the_seed_alone() -> None:
    x, y = labelled()
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    first, again, other = (Task.from_tensors("mine", x, y, loss="cross-entropy", seed=seed) for seed in (0, 0, 1))
    assert first == again and first.key != other.key
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1] == np.random.get_state()[1].tolist()  # type: ignore[index]


def test_stratify_can_be_switched_off() -> None:
    x, y = labelled(1000)
    counts = {
        stratify: {
            int(
                (
                    Task.from_tensors("m", x, y, loss="cross-entropy", seed=s, stratify=stratify).splits["val"].y == 2
                ).sum()
            )
            for s in range(8)
        }
        for stratify in (True, False)
    }
    assert counts[True] <= {14, 15, 16}
    assert len(counts[False]) > 3  # binomial: the counts scatter


@pytest.mark.parametrize(
    ("given_parts", "fractions", "sizes"),
    [
        (("val", "test"), (0.7, 0.15, 0.15), {"train": 100, "val": 7, "test": 13}),
        (("test",), (0.45, 0.15, 0.4), {"train": 75, "val": 25, "test": 13}),
        (("val",), (0.45, 0.25, 0.3), {"train": 60, "val": 7, "test": 40}),
    ],
    ids=["both", "test", "val"],
)
def test_from_tensors_takes_splits_already_apart(
    given_parts: tuple[str, ...], fractions: tuple[float, ...], sizes: dict[str, int]
) -> None:
    x, y = labelled()
    apart = {"val": (x[:7] - 500, y[:7]), "test": (x[:13] - 900, y[:13])}
    kept = {name: apart[name] for name in given_parts}
    made = Task.from_tensors("mine", x, y, loss="cross-entropy", splits=fractions, **kept)  # type: ignore[arg-type]
    assert {name: len(part) for name, part in made.splits.items()} == sizes
    for name in given_parts:
        assert torch.equal(made.splits[name].x, kept[name][0].float())
    drawn = [row for name, part in made.splits.items() if name not in given_parts for row in rows_of(part)]
    assert sorted(drawn) == list(range(100))


def test_from_tensors_takes_arrays_and_lists_of_values() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5, 2))
    made = Task.from_tensors("values", x, x.sum((1, 2)).tolist(), loss=Loss("mse"))
    assert made.input_shape == (5, 2) and made.outputs == 1
    assert made.splits["train"].x.dtype == made.splits["train"].y.dtype == torch.float32
    train = made.splits["train"]
    torch.testing.assert_close(train.y[:, 0], train.x.sum((1, 2)), rtol=1e-5, atol=1e-5)
    assert Task.from_tensors("values", x, x[:, :3, 0], loss="mse", dtype=torch.float64).outputs == 3


# refusals

BAD: dict[str, tuple[Any, str]] = {
    "lengths": (lambda: Split(torch.zeros(5, 2), torch.zeros(4)), "different lengths"),
    "scalars": (lambda: Split(torch.tensor(1.0), torch.tensor(1)), "different lengths"),
    "missing": (lambda: Task("t", {"train": splits()["train"]}, Loss("mse"), (2,), 1), "wrong splits"),
    "empty": (lambda: task(val=Split(torch.zeros(0, 2), torch.zeros(0).long())), "split 'val' .* is empty"),
    "shape": (lambda: task(shape=(3,)), "wrong shape"),
    "split-shape": (lambda: task(test=Split(torch.zeros(5, 4), torch.zeros(5).long())), "split 'test' .* wrong shape"),
    "integer-x": (lambda: task(train=Split(torch.zeros(5, 2).long(), torch.zeros(5).long())), "wrong type"),
    "nan": (lambda: task(train=Split(torch.tensor([[0.0, 1], [2, torch.nan]]), torch.zeros(2).long())), r"\[1, 1\]"),
    "inf": (lambda: task(test=Split(torch.full((2, 2), torch.inf), torch.zeros(2).long())), "4 NaN or inf"),
    "label-type": (lambda: task(val=Split(torch.zeros(5, 2), torch.zeros(5).int())), "wrong type"),
    "label-float": (lambda: task(val=Split(torch.zeros(5, 2), torch.zeros(5))), "wrong type"),
    "label-high": (lambda: task(outputs=2), "out of range"),
    "label-low": (lambda: task(val=Split(torch.zeros(5, 2), torch.full((5,), -1))), "got:      -1 to -1"),
    "value-type": (lambda: task("mse"), "wrong type"),
    "value-shape": (
        lambda: Task("t", dict.fromkeys(splits(), Split(torch.zeros(5, 2), torch.zeros(5))), Loss("mse"), (2,), 1),
        "wrong shape",
    ),
    "value-nan": (
        lambda: Task.from_tensors("t", torch.zeros(9, 2), torch.full((9,), torch.nan), loss="mse"),
        "values of .* not finite",
    ),
    "overflow": (
        lambda: Task.from_tensors("t", torch.full((9, 2), 1e300, dtype=torch.float64), torch.ones(9), loss="mse"),
        "inputs of .* not finite",
    ),
    "float-labels": (
        lambda: Task.from_tensors("t", torch.zeros(9, 2), torch.zeros(9), loss="cross-entropy"),
        "labels have the wrong type",
    ),
    "ragged": (lambda: Task.from_tensors("t", [[1.0], [1.0, 2.0]], [0, 1], loss="cross-entropy"), "no tensors"),
    "drawn-lengths": (
        lambda: Task.from_tensors("t", torch.zeros(9, 2), torch.zeros(8), loss="mse"),
        "different lengths",
    ),
    "drawn-empty": (lambda: Task.from_tensors("t", torch.zeros(2, 2), torch.zeros(2), loss="mse"), "is empty"),
    "tiny-train": (
        lambda: Task.from_tensors("t", *labelled(3), loss="cross-entropy", splits=(0, 0.5, 0.5)),
        "split 'train' .* is empty",
    ),
    "nothing": (
        lambda: Task.from_tensors("t", torch.zeros(0, 2), torch.zeros(0).long(), loss="cross-entropy"),
        "empty",
    ),
    "classes": (
        lambda: Task.from_tensors("t", *labelled(), loss="cross-entropy", outputs=2),
        "out of range",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_refuses_bad_data(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5)], ids=str
)
def test_refuses_what_are_no_fractions(fractions: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="fractions"):
        Task.from_tensors("t", *labelled(), loss="cross-entropy", splits=fractions)


def test_refuses_to_stratify_values() -> None:
    with pytest.raises(SettingError, match="stratified"):
        Task.from_tensors("t", torch.zeros(9, 2), torch.zeros(9), loss="mse", stratify=True)


# find


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own = {
        "tests-small": lambda *, seed, data_root: Task(f"{seed}-{data_root}", splits(), Loss("cross-entropy"), (2,), 3),
        "tests-wrong": lambda *, seed, data_root: 5,
    }
    monkeypatch.setattr(TASKS, "_own", own)
    yield


def test_find_calls_the_registered_factory(registered: None) -> None:
    assert find("tests-small", seed=3, data_root="folder").name == "3-folder"
    assert find("tests-small").name == "0-None"


def test_find_refuses(registered: None) -> None:
    with pytest.raises(UnknownName, match="did you mean 'tests-small'"):
        find("tests-smal")
    with pytest.raises(DataError, match="gives no task"):
        find("tests-wrong")
