"""Which weights decay: the first layers, those that are named, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archgraph import Graph, Network
from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe, train
from archgraph.evaluation.decay import decay_groups
from archgraph.net import parameters_of
from archgraph.tasks import Loss, Split, Task

NET = Network.init(
    Graph.parse(
        "x = Input((3,))\nnorm = BatchNorm()(x)\none = Linear(5)(norm)\ntwo = Linear(5)(x)\n"
        "both = Add()(one, two)\nlast = Linear(2)(both)\nreturn last"
    ),
    seed=4,
)


@pytest.mark.parametrize(
    ("decayed", "chosen"),
    [("first", {"one", "two"}), ("last", {"last"}), ("two+norm", {"two", "norm"})],
)
def test_the_layers_that_decay(decayed: str, chosen: set[str]) -> None:
    module = NET.to_torch()
    first, second = decay_groups(module, 0.25, decayed)
    labels = {id(parameter): label for label, parameter in parameters_of(module).items()}
    assert {labels[id(one)].partition(".")[0] for one in first["params"]} == chosen
    assert {id(one) for group in (first, second) for one in group["params"]} == set(labels)
    assert (first["weight_decay"], second["weight_decay"]) == (0.25, 0.0)


def test_no_group_is_empty() -> None:
    module = Network.init(Graph.parse("x = Input((3,))\ny = Linear(2)(x)\nreturn y"), seed=1).to_torch()
    assert len(decay_groups(module, 0.25, "first")) == 1


def test_only_these_shrink_in_training() -> None:
    """Where the loss says nothing, weights of the first layers shrink by ``1 - lr wd`` a step, and others stay."""
    x = torch.zeros(7, 3)
    data = Split(x, torch.zeros(7, 2))
    task = Task("flat", {"train": data, "val": data, "test": data}, Loss("mse"), (3,), 2)
    graph = Graph.parse("x = Input((3,))\na = Linear(5, bias=False)(x)\nb = Linear(2, bias=False)(a)\nreturn b")
    start = Network.init(graph, seed=2)
    recipe = Recipe("sgd", lr=0.5, epochs=3, schedule="constant", weight_decay=0.25, decayed="first")
    done = train(start, task, recipe, seed=0).network
    factor = (1 - 0.5 * 0.25) ** 3
    torch.testing.assert_close(done.weights["a.weight"], factor * start.weights["a.weight"])
    assert torch.equal(done.weights["b.weight"], start.weights["b.weight"])


@pytest.mark.parametrize("optimizer", ["adam", "natural-gradient", "ssp"])
def test_every_optimizer_takes_the_groups(optimizer: str) -> None:
    built = Recipe(optimizer, weight_decay=0.25, decayed="last").build(NET.to_torch())
    assert [group["weight_decay"] for group in built.param_groups] == [0.25, 0.0]


def test_refusals() -> None:
    with pytest.raises(UnknownName, match="lst"):
        decay_groups(NET.to_torch(), 0.25, "last+lst")
    with pytest.raises(SettingError, match="lowered"):
        decay_groups(nn.ModuleDict({"a": nn.Linear(3, 2)}), 0.25, "first")
    with pytest.raises(SettingError, match="decayed must be a text"):
        Recipe(decayed=3)  # type: ignore[arg-type]
