"""The seed network fits its task, whatever the shape, and is the network that the docstring tells."""

from __future__ import annotations

import pytest
import torch

from archgraph.errors import DataError
from archgraph.net import Network
from archgraph.tasks import Task, find
from archgraph.tasks.seed import seed_graph


def task_of(*dims: int, classes: int = 7) -> Task:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(23, *dims, generator=generator)
    return Task.from_tensors("own", x, torch.arange(23) % classes, loss="cross-entropy", outputs=classes)


CASES = [
    pytest.param(task_of(2, 5, 3), "GlobalAvgPool", id="small image"),
    pytest.param(task_of(3, 17, 19), "GlobalAvgPool", id="large image"),
    pytest.param(task_of(1, 1, 1), "GlobalAvgPool", id="one pixel"),
    pytest.param(task_of(11), "SiLU", id="vector"),
    pytest.param(find("digits"), "GlobalAvgPool", id="digits"),
    pytest.param(find("toy-rbf"), "Gaussian", id="toy-rbf"),
]


@pytest.mark.parametrize(("task", "op"), CASES)
def test_it_takes_the_inputs_and_gives_the_outputs(task: Task, op: str) -> None:
    graph = seed_graph(task)
    assert op in {type(node.op).__name__ for node in graph}
    module = Network.init(graph).to_torch().eval()
    assert module(task.splits["val"].x).shape == (len(task.splits["val"]), task.outputs)


def test_the_toy_is_the_papers_network() -> None:
    graph = seed_graph(find("toy-rbf"))
    assert str(graph).splitlines() == [
        "input1 = Input((2,))",
        "linear1 = Linear(1, bias=False)(input1)",
        "gaussian1 = Gaussian()(linear1)",
        "linear2 = Linear(1, bias=False)(gaussian1)",
        "return linear2",
    ]


def test_other_inputs_need_a_graph_of_their_own() -> None:
    with pytest.raises(DataError, match=r"no seed network(.|\n)*\(5, 3\)(.|\n)*graph of your own"):
        seed_graph(task_of(5, 3))
