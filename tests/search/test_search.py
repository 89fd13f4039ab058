"""The loop: recording, budgets, refusals, failures, and carrying on after a kill as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import (
    Budget,
    Driver,
    Graph,
    Measure,
    Network,
    Recipe,
    Report,
    Score,
    Study,
    Task,
    Train,
    load_study,
    search,
)
from archgraph.errors import ArchGraphError, DataError, SettingError, StorageError, UnknownName
from archgraph.evaluation import Request
from archgraph.search import Setting, Steps, Trial
from archgraph.search.loop import REFUSED_IN_A_ROW
from archgraph.tasks import find
from archgraph.tasks.seed import seed_graph
from optimizers import RandomSearch, RandomSplitting, SignedSplittingDescent, SplittingDescent
from tests.search.sameness import same

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
WIDE = Graph.parse(str(MLP).replace("Linear(5)", "Linear(50)"))
FORWARD, TRAIN, VAL = 4 * 5 + 5 * 3, 42, 9
RECIPE = Recipe(lr=0.05, epochs=3, batch_size=10)


@pytest.fixture(scope="module")
def task() -> Task:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    return Task.from_tensors("own", x, x[:, :3].argmax(1), loss="cross-entropy", outputs=3, stratify=False)


@dataclass(frozen=True)
class Asks(Driver):
    """Asks for what it is given, and keeps what it is told."""

    requests: tuple[Any, ...]  # requests, or what makes one of the reports so far
    told: list[Report] = field(default_factory=list, compare=False)

    def steps(self, setting: Setting) -> Steps:
        for request in self.requests:
            asked: Request = request(self.told) if callable(request) else request
            self.told.append((yield asked))
        return f"all {len(self.requests)} are answered"


@dataclass(frozen=True)
class Forever(Driver):
    """Trains a graph again and again, with another seed each time; measures it too."""

    graph: Graph = MLP
    recipe: Recipe = RECIPE

    def steps(self, setting: Setting) -> Steps:
        number = 0
        while True:
            report = yield Train(self.graph, self.recipe, seed=number)
            if report.network is not None:
                yield Measure(report.network)
            number += 1


def test_what_is_recorded_and_told(task: Task) -> None:
    driver = Asks((Train(MLP, RECIPE), lambda told: Score(told[0].network), lambda told: Measure(told[0].network)))
    seen: list[tuple[Study, Trial]] = []
    study = search(driver, task=task, recipe=RECIPE, callbacks=[lambda *news: seen.append(news)])
    assert study.stopped == "all 3 are answered"
    (trial,) = study.trials
    assert seen == [(study, trial)]
    train, score, measure = driver.told
    assert trial.network == train.network
    assert trial.metrics == train.metrics
    assert set(score.scores) == {"a"}
    assert measure.metrics["val.loss"] == train.metrics["val.loss"]
    assert study.objective == "val.error"
    assert (study.name, study.facts["task"], study.facts["seed"]) == ("asks-own-0", "own", 0)


def test_a_task_by_name_and_its_split_by_seed() -> None:
    graph = Graph.parse("x = Input((1, 8, 8))\nf = Flatten()(x)\ny = Linear(10)(f)\nreturn y")
    studies = [
        search(Asks((Train(graph, Recipe(epochs=1)),)), task="digits", seed=seed, recipe=Recipe(epochs=1))
        for seed in (0, 1)
    ]
    assert studies[0].facts["task_key"] != studies[1].facts["task_key"]
    assert [study.name for study in studies] == ["asks-digits-0", "asks-digits-1"]


def test_objectives(task: Task) -> None:
    driver = Asks((Train(MLP, RECIPE),))
    for name, full in (("loss", "val.loss"), ("train.loss", "train.loss"), ("params", "params"), (None, "val.error")):
        study = search(driver, task=task, recipe=RECIPE, objective=name)
        assert study.objective == full
        assert study.best.metric(full) == study.optuna.best_value
    line = Task.from_tensors("line", torch.randn(20, 4), torch.randn(20, 3), loss="mse")
    assert search(driver, task=line, recipe=RECIPE).objective == "val.loss"


# ------------------------------------------------------------------ what cannot be searched
WRONG: dict[str, tuple[dict[str, Any], type[ArchGraphError], str]] = {
    "unknown task": ({"task": "digit"}, UnknownName, "did you mean 'digits'"),
    "unknown optimizer": ({"recipe": Recipe(optimizer="adm")}, UnknownName, "did you mean 'adam'"),
    "unknown option": ({"recipe": Recipe(options={"speed": 1})}, SettingError, "no option 'speed'"),
    "unknown objective": ({"objective": "val.erorr"}, UnknownName, "did you mean 'val.error'"),
    "the test split as objective": ({"objective": "test.error"}, UnknownName, "unknown objective 'test.error'"),
    "unknown device": ({"device": "gpu"}, DataError, "unknown device 'gpu'"),
    "no such workers": ({"workers": -1}, SettingError, "no such workers"),
}


@pytest.mark.parametrize(("given", "kind", "message"), WRONG.values(), ids=WRONG)
def test_errors_before_anything_is_stored(
    task: Task, tmp_path: Path, given: dict[str, Any], kind: type[ArchGraphError], message: str
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with pytest.raises(kind, match=message):
        search(Asks(()), **{"task": task, "storage": url, **given})
    assert not list(tmp_path.iterdir())


def test_a_storage_or_a_folder_that_cannot_be_written(task: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    driver = Asks((Train(MLP, RECIPE),))
    with pytest.raises(StorageError):
        search(driver, task=task, storage=f"sqlite:///{tmp_path}/file/runs.db")
    with pytest.raises(StorageError, match="cannot store results"):
        search(driver, task=task, storage=f"sqlite:///{tmp_path}/runs.db", artifacts=tmp_path / "file" / "artifacts")
    assert driver.told == []  # nothing was trained to be lost


def test_the_test_split_is_refused_to_drivers(task: Task) -> None:
    with pytest.raises(SettingError, match="drivers must not see the test split"):
        search(Asks((Measure(Network.init(MLP), "test"),)), task=task)


def test_a_driver_that_hangs_is_an_error(task: Task) -> None:
    from archgraph.search import Session

    class Hangs(Session):
        done = False

        def ask(self) -> None:
            return None

        def tell(self, request: Request, report: Report) -> None: ...

    class Stuck(Driver):
        def begin(self, setting: Setting) -> Session:
            return Hangs()

    with pytest.raises(SettingError, match="asks for nothing although it is not done"):
        search(Stuck(), task=task)


# ------------------------------------------------------------------ budgets
TRAINING = 3 * FORWARD * 3 * TRAIN + FORWARD * (3 * VAL + TRAIN + VAL)  # what one candidate of `Forever` costs
BUDGETS: dict[str, tuple[Budget, int, str]] = {
    "evaluations": (Budget(evaluations=3), 3, "3 of 3 evaluations"),
    "epochs": (Budget(epochs=7), 3, "9 of 7 epochs"),
    "epochs reached exactly": (Budget(epochs=6), 2, "6 of 6 epochs"),
    "multiplications": (Budget(train_macs=TRAINING + 1), 1, "train_macs"),  # measuring counts too
    "multiplications of more": (Budget(train_macs=TRAINING + FORWARD * VAL + 1), 2, "train_macs"),
    "seconds": (Budget(seconds=1e-9), 1, "seconds"),
    "the first of several": (Budget(evaluations=10, epochs=4, train_macs=1e15), 2, "6 of 4 epochs"),
}


@pytest.mark.parametrize(("budget", "trials", "reason"), BUDGETS.values(), ids=BUDGETS)
def test_each_limit_stops_the_search_and_says_so(task: Task, budget: Budget, trials: int, reason: str) -> None:
    study = search(Forever(), task=task, recipe=RECIPE, budget=budget)
    assert len(study) == trials
    assert study.stopped.startswith("the budget is spent: ")
    assert study.stopped.endswith(reason)


def test_every_candidate_pays_for_scores_and_measures(task: Task) -> None:
    driver = Asks(
        (
            Train(MLP, RECIPE),
            lambda told: Score(told[0].network),
            lambda told: Measure(told[0].network, "train"),
            Train(MLP, RECIPE, seed=1),
        )
    )
    study = search(driver, task=task, recipe=RECIPE)
    first, second = study.trials
    assert first.spent is not None
    assert second.spent is not None
    assert first.spent.macs == first.ledger.macs == TRAINING
    bill = sum(report.ledger.macs for report in driver.told)
    assert second.spent.macs == bill > first.ledger.macs + second.ledger.macs
    assert [row["macs"] for row in study.history()] == [TRAINING, bill]


def test_candidates_that_are_too_large_fail_and_the_search_goes_on(task: Task) -> None:
    driver = Asks((Train(WIDE, RECIPE), Train(MLP, RECIPE), Train(Network.init(WIDE), RECIPE)))
    study = search(driver, task=task, recipe=RECIPE, budget=Budget(max_params=100))
    size = 4 * 50 + 50 + 50 * 3 + 3
    assert [trial.failure for trial in study] == [
        reason := f"not trained: max_params is 100 but the candidate has {size}",
        "",
        reason,
    ]
    assert [report.failure for report in driver.told] == [trial.failure for trial in study]
    assert study.trials[0].metrics["params"] == size
    assert study.trials[0].graph == WIDE
    assert study.trials[0].ledger.macs == 0
    assert study.best.number == 1
    study = search(driver, task=task, recipe=RECIPE, budget=Budget(max_macs=100))
    assert [trial.ok for trial in study] == [False, True, False]


def test_a_search_of_refused_candidates_ends(task: Task) -> None:
    study = search(Forever(WIDE), task=task, recipe=RECIPE, budget=Budget(max_params=100, epochs=10))
    assert len(study) == REFUSED_IN_A_ROW
    assert study.stopped.startswith(f"the last {REFUSED_IN_A_ROW} candidates could not be trained at all: not trained")


DIVERGES = Recipe(optimizer="sgd", lr=1e30, epochs=4, batch_size=10)


def test_candidates_that_diverge_cost_their_share_and_the_search_goes_on(task: Task) -> None:
    driver = Asks((Train(MLP, DIVERGES), Train(MLP, RECIPE), Train(MLP, DIVERGES, seed=1)))
    study = search(driver, task=task, recipe=RECIPE)
    assert [trial.ok for trial in study] == [False, True, False]
    assert study.trials[0].failure.startswith("training diverged")
    assert not driver.told[0].ok
    spent = search(Forever(recipe=DIVERGES), task=task, recipe=RECIPE, budget=Budget(train_macs=1e5))
    assert spent.stopped.endswith("train_macs")  # and does not go on for ever
    assert not any(trial.ok for trial in spent)


def test_growth_stops_with_the_reason_when_a_training_diverges(task: Task) -> None:
    study = search(SplittingDescent(MLP, stages=2), task=task, recipe=DIVERGES)
    assert study.stopped.startswith("stage 0 could not be evaluated: training diverged")
    study = search(SplittingDescent(MLP, stages=1, tune=DIVERGES), task=task, recipe=RECIPE)
    assert study.stopped.startswith("stage 1 could not be evaluated: training diverged")
    assert [trial.ok for trial in study] == [True, False]
    assert study.trials[1].parent == 0


def test_growth_stops_with_the_reason_when_it_is_too_large(task: Task) -> None:
    study = search(SplittingDescent(MLP), task=task, recipe=RECIPE, budget=Budget(max_params=43))
    assert study.stopped.startswith("stage 1 could not be evaluated: not trained: max_params is 43")


# ------------------------------------------------------------------ carrying on
class Killed(Exception):
    """Stands for the end of the process."""


def killed_after(number: int) -> Callable[[Study, Trial], None]:
    def callback(study: Study, trial: Trial) -> None:
        if trial.number == number:
            raise Killed

    return callback


ADAM, SGD = RECIPE, Recipe(optimizer="sgd", lr=0.1, epochs=3, batch_size=10, options={"momentum": 0.9})
BEST = Recipe(optimizer="adamw", lr=0.05, epochs=3, batch_size=10, keep="best", options={"amsgrad": True})
NORMED = Graph.parse(str(MLP).replace("f = SiLU()(a)", "n = BatchNorm()(a)\nd = Dropout(0.2)(n)\nf = SiLU()(d)"))
RUNS: dict[str, tuple[Driver, Recipe]] = {
    "splitting, adam": (SplittingDescent(MLP, stages=3, halves=False, confidence=0.0), ADAM),
    "splitting, sgd with momentum": (SplittingDescent(NORMED, stages=3, include_bias=True), SGD),
    "splitting, adamw, best": (SplittingDescent(NORMED, stages=3), BEST),
    "splits against new units, with statistics of batches, and scratch": (
        SplittingDescent(NORMED, stages=1, kinds="split+new", mode="train", rate="keep", scratch=True, confidence=0.0),
        SGD,
    ),
    "signed splitting, by parameters": (
        SignedSplittingDescent(MLP, stages=3, cost="params", growth=0.5, halves=False, confidence=0.0),
        ADAM,
    ),
    "net2wider": (SplittingDescent(NORMED, stages=3, control="net2wider", rate="warm"), ADAM),
    "random splitting": (RandomSplitting(MLP, stages=3, confidence=0.0), ADAM),
    "random search": (RandomSearch.from_settings(MLP, {"candidates": "4"}), ADAM),
    "failures": (Asks((Train(MLP, DIVERGES), Train(MLP, RECIPE), Train(WIDE, DIVERGES), Train(WIDE, RECIPE))), ADAM),
}


@pytest.mark.parametrize(
    ("driver", "recipe"),
    [
        pytest.param(*run, id=name, marks=() if name in ("splitting, adamw, best", "failures") else pytest.mark.slow)
        for name, run in RUNS.items()
    ],
)
def test_a_killed_search_carries_on_as_if_nothing_had_happened(
    driver: Driver, recipe: Recipe, task: Task, tmp_path: Path
) -> None:
    whole = search(driver, task=task, recipe=recipe, seed=3)
    assert len(whole) == 4
    for number in (0, 2):
        url = f"sqlite:///{tmp_path}/{number}.db"
        with pytest.raises(Killed):
            search(driver, task=task, recipe=recipe, seed=3, storage=url, name="n", callbacks=[killed_after(number)])
        assert len(load_study("n", url)) == number + 1
        assert load_study("n", url).stopped == ""
        news: list[int] = []
        trained: set[str] = set()
        resumed = search(
            driver,
            task=task,
            recipe=recipe,
            seed=3,
            storage=url,
            name="n",
            callbacks=[lambda study, trial, news=news: news.append(trial.number)],
            progress=lambda request, epoch, epochs, trained=trained: trained.add(request.key),
        )
        same(resumed, whole)
        same(load_study("n", url), whole)
        assert news == list(range(number + 1, 4))
        assert len(trained) <= 3 - number  # nothing was trained twice


def test_a_process_that_dies_loses_nothing(task: Task, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    code = f"""
import os, torch
import archgraph as ag
from optimizers import SplittingDescent
torch.set_num_threads(1)
x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
task = ag.Task.from_tensors("own", x, x[:, :3].argmax(1), loss="cross-entropy", outputs=3, stratify=False)
graph = ag.Graph.parse({str(MLP)!r})
recipe = ag.Recipe(lr=0.05, epochs=3, batch_size=10)
def die(request, epoch, epochs):
    if epoch.epoch == 2 and not isinstance(request.subject, ag.Graph):
        os._exit(7)  # in the middle of the second training
ag.search(SplittingDescent(graph, stages=2), task=task, recipe=recipe, storage={url!r}, name="n", progress=die)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
    assert len(load_study("n", url)) == 1
    driver = SplittingDescent(MLP, stages=2)
    resumed = search(driver, task=task, recipe=RECIPE, storage=url, name="n")
    same(resumed, search(driver, task=task, recipe=RECIPE))


def test_a_finished_search_is_replayed(task: Task, tmp_path: Path) -> None:
    url, driver = f"sqlite:///{tmp_path}/runs.db", SplittingDescent(MLP, stages=2)
    first = search(driver, task=task, recipe=RECIPE, storage=url)
    again = search(driver, task=task, recipe=RECIPE, storage=url)
    same(first, again)
    assert len(load_study("splittingdescent-own-0", url)) == 3


def test_a_greater_budget_carries_a_search_further(task: Task, tmp_path: Path) -> None:
    url, driver = f"sqlite:///{tmp_path}/runs.db", SplittingDescent(MLP, stages=3)
    small = search(driver, task=task, recipe=RECIPE, storage=url, budget=Budget(evaluations=2))
    assert (len(small), small.stopped) == (2, "the budget is spent: 2 of 2 evaluations")
    large = search(driver, task=task, recipe=RECIPE, storage=url, budget=Budget(evaluations=3))
    assert (len(large), large.stopped) == (3, "the budget is spent: 3 of 3 evaluations")
    same(search(driver, task=task, recipe=RECIPE, storage=url), search(driver, task=task, recipe=RECIPE))


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "recipe": ({"recipe": RECIPE.but(lr=0.1)}, "begun with another recipe"),
    "seed": ({"seed": 1}, "begun with another seed"),
    "objective": ({"objective": "val.loss"}, "has another objective"),
    "driver": ({"driver": RandomSplitting(MLP, stages=1)}, "begun with another driver"),
}


@pytest.mark.parametrize(("changed", "message"), CHANGED.values(), ids=CHANGED)
def test_a_study_is_carried_on_as_it_was_begun(
    task: Task, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    usual = {"driver": SplittingDescent(MLP, stages=1), "task": task, "recipe": RECIPE, "storage": url, "name": "n"}
    search(**usual)
    facts = load_study("n", url).facts
    with pytest.raises(SettingError, match=message):
        search(**{**usual, **changed})
    assert load_study("n", url).facts == facts
    assert len(load_study("n", url)) == 2


def test_another_seed_is_told_before_the_data_that_depend_on_it(tmp_path: Path) -> None:
    driver = SplittingDescent(seed_graph(find("digits")), stages=0)
    stored: dict[str, Any] = {"recipe": Recipe(epochs=0), "storage": f"sqlite:///{tmp_path}/runs.db", "name": "n"}
    search(driver, task="digits", **stored)
    with pytest.raises(SettingError, match="begun with another seed"):
        search(driver, task="digits", seed=3, **stored)


def test_another_task_is_refused(task: Task, tmp_path: Path) -> None:
    url, driver = f"sqlite:///{tmp_path}/runs.db", Asks((Train(MLP, RECIPE),))
    search(driver, task=task, recipe=RECIPE, storage=url, name="n")
    other = Task.from_tensors("own", torch.randn(60, 4), torch.arange(60) % 3, loss="cross-entropy", outputs=3)
    with pytest.raises(SettingError, match="begun with another task"):
        search(driver, task=other, recipe=RECIPE, storage=url, name="n")


def test_equal_trainings_are_one_trial(task: Task) -> None:
    study = search(Asks((Train(MLP, RECIPE), Train(MLP, RECIPE), Train(MLP, RECIPE, seed=1))), task=task, recipe=RECIPE)
    assert len(study) == 2


def test_the_same_search_twice_is_the_same(task: Task) -> None:
    driver = SplittingDescent(MLP, stages=2)
    torch.manual_seed(1)
    one = search(driver, task=task, recipe=RECIPE, seed=5)
    torch.manual_seed(2)
    other = search(driver, task=task, recipe=RECIPE, seed=5)
    same(one, other)
    third = search(driver, task=task, recipe=RECIPE, seed=6)
    assert third.trials[0].network != one.trials[0].network


def test_other_settings_of_the_driver_are_refused_but_not_higher_limits(task: Task, tmp_path: Path) -> None:
    from optimizers import SplittingDescent

    url = f"sqlite:///{tmp_path}/runs.db"
    shared = {"task": task, "recipe": RECIPE, "storage": url, "name": "n"}
    search(SplittingDescent(MLP, stages=0), **shared)
    with pytest.raises(SettingError, match="another settings"):
        search(SplittingDescent(MLP, stages=0, growth=0.9), **shared)
    assert search(SplittingDescent(MLP, stages=1), **shared).trials
