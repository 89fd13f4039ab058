"""Interrupted after any training, with any number of workers: a search over a space ends as the one left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import Budget, Recipe, Study, Task, search
from archgraph.errors import SettingError
from archgraph.search import Trial
from optimizers import (
    NSGA2,
    Evolution,
    GeneratorBO,
    KernelDensity,
    LocalSearch,
    OptunaSampler,
    RandomSearch,
    Sobol,
    SuccessiveHalving,
)
from optimizers.proposing import Proposer
from tests.optimizers.proposing.small import SPACE
from tests.search.sameness import same

RECIPE = Recipe(lr=0.05, epochs=2, batch_size=20)
AHEAD: dict[str, Any] = {"lookahead": 3}
RIVALS: list[Proposer] = [
    RandomSearch(SPACE, **AHEAD),
    Sobol(SPACE, **AHEAD),
    Evolution(SPACE, population=4, sample=2, **AHEAD),
    LocalSearch(SPACE, **AHEAD),
    NSGA2(SPACE, population=4, **AHEAD),
    OptunaSampler(SPACE, **AHEAD),
    KernelDensity(SPACE, **AHEAD),
    GeneratorBO(SPACE, initial=4, explore=0.0, **AHEAD),
]
QUICK = (Evolution, GeneratorBO)
"""Tried at every run of the fast tests; the others take the same way."""
NUMBER = 8


def named(driver: Any) -> str:
    return type(driver).__name__


class Interrupted(Exception):
    """What a user's Ctrl-C does, or the power cut."""


@pytest.fixture(scope="module")
def task() -> Task:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    return Task.from_tensors("own", x, x[:, :3].argmax(1), loss="cross-entropy", outputs=3, stratify=False)


def run(driver: Any, task: Task, number: int = NUMBER, **options: Any) -> Study:
    return search(driver, task=task, recipe=RECIPE, budget=Budget(evaluations=number), name="one", seed=1, **options)


@pytest.mark.parametrize(
    "driver",
    [pytest.param(one, marks=() if isinstance(one, QUICK) else pytest.mark.slow) for one in RIVALS],
    ids=named,
)
def test_carrying_on_after_an_interruption(driver: Proposer, task: Task, tmp_path: Path) -> None:
    def interrupt(study: Study, trial: Trial) -> None:
        if trial.number == 5:
            raise Interrupted

    alone = run(driver, task)
    assert len({SPACE.key(trial.values) for trial in alone}) >= NUMBER - 2
    assert alone.stopped.startswith("the budget is spent")
    assert ("what mattered, by length" in alone.stopped) == isinstance(driver, GeneratorBO)
    url = f"sqlite:///{tmp_path}/runs.db"
    with pytest.raises(Interrupted):
        run(driver, task, storage=url, callbacks=[interrupt])
    same(run(driver, task, storage=url), alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    "driver",
    [*RIVALS, SuccessiveHalving(RIVALS[-1], reduction=2, lookahead=2)],
    ids=named,
)
def test_the_number_of_workers_leaves_no_trace(driver: Any, task: Task) -> None:
    same(run(driver, task, workers=2), run(driver, task))


@pytest.mark.parametrize("driver", [Evolution(SPACE), GeneratorBO(SPACE, initial=4)], ids=named)
def test_a_study_is_not_carried_on_with_other_settings(driver: Proposer, task: Task, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    run(driver, task, 2, storage=url)
    with pytest.raises(SettingError, match="lookahead=1"):
        run(type(driver)(SPACE, lookahead=2), task, storage=url)
