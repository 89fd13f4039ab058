"""What was learned is the same bits after every chapter, in nets with batch norm, and leaves as plain PyTorch."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from archgraph import Graph, Recipe, Task
from archgraph.continual import Course, Library, learn
from archgraph.export import export
from archgraph.metrics import params
from archgraph.tasks import TaskSequence
from optimizers import Continual

NET = Graph.parse(
    """
x = Input((2, 6, 5))
a = Conv2d(3, kernel_size=3, padding=1, bias=False)(x)
n = BatchNorm()(a)
f = ReLU()(n)
b = Conv2d(4, kernel_size=3, padding=1)(f)
m = BatchNorm()(b)
g = ReLU()(m)
c = Conv2d(3, kernel_size=1)(g)
s = Add()(a, c)
p = GlobalAvgPool()(s)
y = Linear(2)(p)
return y
"""
)
OUTPUTS = (2, 3, 5, 2)

PLAIN = """
import sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archgraph", "optimizers"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OutOfReach())
sys.path.insert(0, sys.argv[1])
import torch
from model import load

torch.set_num_threads(1)
x, wanted = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    assert torch.equal(load().eval()(x), wanted)
try:
    import archgraph
except ModuleNotFoundError:
    print("plain", sum(one.numel() for one in load().parameters()))
"""


def sequence() -> TaskSequence:
    x = torch.randn(90, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    means = x.flatten(2).mean(2)
    labels = [(means[:, number % 2] * 6 + number / 2).long() % classes for number, classes in enumerate(OUTPUTS)]
    return TaskSequence(
        "images", tuple(Task.from_tensors(f"t{n}", x, y, loss="cross-entropy") for n, y in enumerate(labels))
    )


@pytest.fixture(scope="module", params=["gradient", pytest.param("firefly", marks=pytest.mark.slow)])
def course(request: pytest.FixtureRequest) -> Course:
    kinds = ("unlock", "new", "split") if request.param == "firefly" else ("unlock", "new")
    driver = Continual(NET, target="accuracy>=0.99", grower=request.param, kinds=kinds, rounds=2, added=3)
    return learn(driver, sequence(), recipe=Recipe(epochs=3, batch_size=23, lr=0.02), device="cpu")


def test_old_outputs_are_the_same_bits_after_every_chapter(course: Course) -> None:
    assert course.library is not None and course.unchanged
    x = sequence()[0].splits["test"].x
    first = [network.to_torch().eval()(x) for network in course.learned]
    for chapters in range(1, len(OUTPUTS) + 1):
        known = Library(course.library.chapters[:chapters])
        for task in range(chapters):
            network = known.network(task)
            assert network == course.learned[task]
            assert torch.equal(network.to_torch().eval()(x), first[task])


def test_norms_are_each_tasks_own(course: Course) -> None:
    for key in ("n.running_mean", "n.weight", "m.running_var"):
        units = [network.weights[key][:3] for network in course.networks]
        assert not any(torch.equal(one, other) for one, other in pairwise(units))


def test_tasks_have_grown_in_the_residual_stream_too(course: Course) -> None:
    assert course.library is not None
    made = {
        home
        for chapter in course.library.chapters[1:]
        for home, slots in chapter.plan.made(chapter.number).items()
        if slots
    }
    assert made & {"a", "b"}
    shared = [use.version for chapter in course.library.chapters for uses in chapter.plan.uses.values() for use in uses]
    assert shared.count(0) > len(course.library.chapters[0].plan.uses["a"]) + 4  # later tasks use what the first made


@pytest.mark.slow
def test_a_task_leaves_as_plain_torch_that_needs_no_archgraph(course: Course, tmp_path: Path) -> None:
    x = torch.randn(7, 2, 6, 5)
    network = course.networks[2]
    export(network, tmp_path, formats=("python",))
    with torch.no_grad():
        torch.save((x, course.learned[2].to_torch().eval()(x)), tmp_path / "wanted.pt")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path), str(tmp_path / "wanted.pt")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["plain", str(params(network.graph))]
