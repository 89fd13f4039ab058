"""The smallest driver: samples of a space, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from archgraph import Budget, Graph, Recipe, Task, search
from archgraph.errors import SettingError, UnknownName
from archgraph.metrics import widths
from archgraph.registry import DRIVERS
from archgraph.spaces import Domain, Space, Widths
from optimizers import RandomSearch

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)
RECIPE = Recipe(epochs=2, batch_size=10)


def test_candidates_are_independent_samples() -> None:
    study = search(RandomSearch(Widths(MLP, high=20.0), candidates=6), task=TASK, recipe=RECIPE, seed=2)
    assert study.stopped == "all 6 candidates are trained"
    assert len({trial.graph for trial in study}) > 3
    assert all(2 <= widths(trial.graph)[0] <= 100 for trial in study)
    assert [trial.parent for trial in study] == [None] * 6
    assert len({trial.facts["seed"] for trial in study}) == 6


def test_the_seed_decides() -> None:
    driver = RandomSearch(Widths(MLP), candidates=3)
    one, twin, other = (search(driver, task=TASK, recipe=RECIPE, seed=seed) for seed in (1, 1, 2))
    assert [trial.network for trial in one] == [trial.network for trial in twin]
    assert [trial.graph for trial in one] != [trial.graph for trial in other]
    longer = search(RandomSearch(Widths(MLP), candidates=5), task=TASK, recipe=RECIPE, seed=1)
    assert [trial.network for trial in longer][:3] == [trial.network for trial in one]


def test_the_budget_ends_it() -> None:
    study = search(RandomSearch(Widths(MLP)), task=TASK, recipe=RECIPE, budget=Budget(evaluations=2))
    assert len(study) == 2


def test_any_space_will_do() -> None:
    class Always(Space):
        domains: ClassVar[dict[str, Domain]] = {}

        def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
            return MLP

    study = search(RandomSearch(Always(), candidates=2, replicates=2), task=TASK, recipe=RECIPE)
    assert [trial.graph for trial in study] == [MLP, MLP]
    assert study.trials[0].network != study.trials[1].network  # other weights to start from
    once = search(RandomSearch(Always(), candidates=2), task=TASK, recipe=RECIPE)
    assert len(once) == 1
    assert once.stopped == "the last 500 proposals were refused: 500 were trained before"


def test_settings_from_text() -> None:
    kind = DRIVERS.get("random-search")
    assert kind is RandomSearch
    found = kind.from_settings(MLP, {"low": "0.25", "high": "3", "candidates": "7"})
    assert found == RandomSearch(Widths(MLP, low=0.25, high=3), candidates=7)
    assert kind.from_settings(MLP, {}) == RandomSearch(Widths(MLP))


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        ({"candidate": "3"}, UnknownName, "did you mean 'candidates'"),
        ({"hihg": "3"}, UnknownName, "did you mean 'high'"),
        ({"candidates": "many"}, SettingError, "'candidates'"),
        ({"candidates": "-1"}, SettingError, "candidates cannot be this"),
        ({"space": "wdths"}, UnknownName, "did you mean 'widths'"),
        ({"low": "wide"}, SettingError, "'low'"),
        ({"low": "3", "high": "2"}, SettingError, "width factors"),
    ],
)
def test_wrong_settings(texts: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        RandomSearch.from_settings(MLP, texts)
