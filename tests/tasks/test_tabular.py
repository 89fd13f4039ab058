"""Tasks answered from tables: what is looked up, what it costs, and what cannot be asked."""

from __future__ import annotations

import os

import pytest

from archgraph import Budget, Recipe, search
from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.metrics import macs, params
from archgraph.search.spaces import find_space
from archgraph.tasks import find
from archgraph.tasks.tabular import Tabular
from optimizers import Evolution

HERE = os.environ.get("ARCHGRAPH_DATA", "")
pytestmark = pytest.mark.skipif(
    not os.path.isdir(os.path.join(HERE, "nas")), reason="needs the folder nas of the data sets in ARCHGRAPH_DATA"
)


def posed(name: str) -> Tabular:
    task = find(name)
    assert isinstance(task, Tabular)
    return task


@pytest.mark.parametrize("name", ["nas-bench-201:data=imagenet16", "nas-bench-macro"])
def test_sizes_in_the_table_are_those_of_the_network(name: str) -> None:
    task = posed(name)
    space = find_space(task.space, task.example, {})
    for seed in range(3):
        graph = space.sample(seed)
        network = task.table.network(graph)
        assert network is not None
        assert task.table.describe(graph) == {"params": params(network), "macs": macs(network)}


@pytest.mark.parametrize("name", ["nas-bench-201", "nas-bench-macro", "nas-bench-graph:data=cora"])
def test_a_search_is_answered_and_billed(name: str) -> None:
    task = posed(name)
    space = find_space(task.space, task.example, {})
    study = search(Evolution(space, population=4, sample=2), task=task, budget=Budget(evaluations=9))
    assert len(study) == 9
    for trial in study:
        assert trial.metrics == task.table.lookup(trial.graph, task.epochs)
        assert trial.values == space.canonical(trial.values)
        assert trial.ledger.samples == task.epochs * task.table.samples.get(task.epochs, 0)
        assert not trial.trained
    with pytest.raises(DataError, match="from a table"):
        _ = study.best.network


def test_known_rows_and_budgets() -> None:
    task = posed("nas-bench-201:data=cifar10,epochs=200,device=pixel3")
    assert task.table.at(200)["val.accuracy"].max() == pytest.approx(0.9437, abs=1e-4)  # as published
    assert "latency" in task.metrics
    with pytest.raises(SettingError, match="no trainings of 5 epochs"):
        space = find_space(task.space, task.example, {})
        search(Evolution(space), task=task, recipe=Recipe(epochs=5), budget=Budget(evaluations=1))
    with pytest.raises(UnknownName, match="cifar10"):
        find("nas-bench-201:data=cifar")
    with pytest.raises(UnknownName, match="memory"):
        search(Evolution(space), task=task, budget=Budget(evaluations=1), objective="memory")
