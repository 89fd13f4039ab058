"""The trunk of a sequence: tasks that it fits, other numbers of outputs, and what does not go."""

from __future__ import annotations

import pytest
import torch

from archgraph import Graph, Task
from archgraph.continual import fitting, head_resized
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.tasks import TaskSequence

TRUNK = Graph.parse("x = Input((4,))\na = Linear(3)(x)\nf = Tanh()(a)\ny = Linear(2)(f)\nreturn y")


def task(inputs: int, classes: int) -> Task:
    x = torch.randn(60, inputs)
    return Task.from_tensors(f"{inputs}-{classes}", x, torch.arange(60) % classes, loss="cross-entropy")


def test_a_sequence_that_fits_is_returned_as_it_is() -> None:
    sequence = TaskSequence("two", (task(4, 2), task(4, 5)))
    assert fitting(sequence, TRUNK) is sequence
    flat = Graph.parse("x = Input((1, 8, 8))\nf = Flatten()(x)\ny = Linear(2)(f)\nreturn y")
    assert [one.key for one in fitting("split-digits", flat, seed=3)] == [
        one.key for one in fitting("split-digits", flat, seed=3)
    ]
    assert fitting("split-digits", flat, seed=3).key != fitting("split-digits", flat, seed=4).key


def test_tasks_of_different_input_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"task '5-2' of sequence 'mixed' has inputs of another shape") as raised:
        TaskSequence("mixed", (task(4, 2), task(5, 2)))
    assert "(4,), as task '4-2' has" in str(raised.value) and "(5,)" in str(raised.value)
    with pytest.raises(DataError, match="the trunk does not fit the tasks of sequence 'wide'") as raised:
        fitting(TaskSequence("wide", (task(5, 2),)), TRUNK)
    assert "Input((5,))" in str(raised.value) and "Input((4,))" in str(raised.value)


def test_what_else_does_not_go() -> None:
    with pytest.raises(UnknownName, match="did you mean 'split-digits'"):
        fitting("split-digit", TRUNK)
    frozen = Graph.parse("x = Input((4,))\na = Linear(4)(x)\ny = Add()(a, x)\nreturn y")
    with pytest.raises((SettingError, DataError)):
        fitting(TaskSequence("more", (task(4, 5),)), frozen)
    assert head_resized(TRUNK, 2) is TRUNK and head_resized(TRUNK, 7).shape("y").dims == (7,)
