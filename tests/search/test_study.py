"""Studies: what goes in comes out, also in another process; damage, strangers, ties, and what Optuna sees."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from archgraph import Network, Recipe, Study, Train, load_study
from archgraph.errors import DataError, SettingError, StorageError, UnknownName
from archgraph.evaluation import Epoch, Ledger, Origin
from archgraph.search.goal import Goal
from archgraph.storage import open_storage
from tests.search.reports import GRAPH, LEDGER, failed, filled, report


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_a_trial_is_what_was_reported(kind: str, tmp_path: Path) -> None:
    given, url = report(3, val_loss=0.1 + 0.2), f"{kind}:///{tmp_path}/runs"
    study = filled(None if kind == "memory" else url, given)
    if kind != "memory":
        study = load_study("demo", url)
    (trial,) = study.trials
    found = trial.report()
    assert (trial.number, trial.ok, trial.failure) == (0, True, "")
    assert trial.graph == GRAPH
    assert trial.network == given.network == found.network
    assert trial.metrics == given.metrics == found.metrics
    assert trial.ledger == LEDGER == found.ledger
    assert [(at.epoch, at.metrics) for at in trial.curve] == [(at.epoch, at.metrics) for at in given.curve]
    assert (found.key, found.failure) == (given.key, "")
    assert given.state is not None
    assert found.state is not None
    assert found.state.keys() == given.state.keys()
    for label, entries in given.state.items():
        assert found.state[label].keys() == entries.keys()
        for name, value in entries.items():
            other = found.state[label][name]
            assert (other.dtype, other.shape) == (value.dtype, value.shape)
            assert torch.equal(other, value)
    assert trial.facts["seed"] == 7
    assert trial.facts["recipe"] == repr(Recipe(lr=0.5))


def test_every_network_loads_in_another_process(url: str) -> None:
    study = filled(url, report(1), failed(2), report(3))
    code = f"""
from archgraph import load_study
for trial in load_study("demo", {url!r}).trials:
    print(trial.network.key if trial.ok else trial.failure)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [Network.init(GRAPH, 1).key, "training diverged", Network.init(GRAPH, 3).key]
    assert [trial.number for trial in study] == [0, 1, 2]


def test_a_failed_trial_has_a_reason_and_no_network() -> None:
    study = filled(None, failed(1, "training diverged: the loss is nan in epoch 2"))
    (trial,) = study.trials
    assert not trial.ok
    assert trial.graph == GRAPH
    assert trial.report().failure == trial.failure == "training diverged: the loss is nan in epoch 2"
    assert trial.report().network is None
    with pytest.raises(DataError, match="trial 0 has no network: training diverged"):
        _ = trial.network
    with pytest.raises(DataError, match="no successful trial") as caught:
        _ = study.best
    assert "trial 0: training diverged" in str(caught.value)
    assert study.history() == [{"trial": 0, "epochs": 2.0, "macs": 510, "seconds": 0.1}]
    assert repr(trial) == "<Trial 0: training diverged: the loss is nan in epoch 2>"


@pytest.mark.parametrize(
    "said", [{}, {"objectives": ["min:val.error", "min:params"]}], ids=["nothing", "less than its goal"]
)
def test_a_study_whose_maker_was_killed_before_it_had_told_its_goal(url: str, said: dict[str, list[str]]) -> None:
    """Whoever reads it tells it nothing; its maker, carrying on, does."""
    made = optuna.create_study(study_name="demo", storage=open_storage(url), directions=["minimize"] * 2)
    for fact, value in said.items():
        made.set_user_attr(fact, value)
    assert len(load_study("demo", url)) == 0 and load_study("demo", url).facts == said
    goal = Goal.of("error, params", "params<=100")
    study = Study("demo", url, objective=goal.objectives, constraints=goal.constraints)
    assert study.goal == load_study("demo", url).goal == goal
    with pytest.raises(SettingError, match="has another constraint"):
        Study("demo", url, objective=goal.objectives, constraints="params<=90")


def test_an_empty_study() -> None:
    study = Study("demo")
    assert (len(study), study.trials, study.stopped, study.history(), study.pareto("loss")) == (0, [], "", [], [])
    with pytest.raises(DataError, match="no successful trial"):
        _ = study.best


def test_lineage() -> None:
    study = Study("demo")
    parent, child, orphan = report(1), report(2), report(3)
    assert parent.network is not None
    study.record(Train(GRAPH), parent)
    origin = Origin(parent.network.key, ("Split('a', (1,))", "Split('y', (0,))"), 2, -0.25, math.nan, "step 0.1")
    study.record(Train(parent.network, origin=origin), child)
    study.record(Train(GRAPH, origin=Origin("somebody else")), orphan)
    first, second, third = study.trials
    assert (first.parent, first.moves, first.stage, first.predicted, first.measured) == (None, (), 0, None, None)
    assert (second.parent, second.moves, second.stage) == (0, origin.moves, 2)
    assert second.predicted == -0.25
    assert second.measured is not None
    assert math.isnan(second.measured)
    assert third.parent is None


# ------------------------------------------------------------------ names and strangers
def test_studies_of_one_storage_are_apart(url: str) -> None:
    one, other = Study("one", url), Study("other", url, objective="val.error")
    one.record(Train(GRAPH), report(1))
    other.record(Train(GRAPH), report(2))
    one.record(Train(GRAPH), report(3))
    one.note("stopped", "done")
    assert [trial.report().key for trial in load_study("one", url)] == ["key1", "key3"]
    assert [trial.report().key for trial in load_study("other", url)] == ["key2"]
    assert [trial.number for trial in load_study("one", url)] == [0, 1]
    assert (load_study("one", url).objective, load_study("other", url).objective) == ("val.loss", "val.error")
    assert (load_study("one", url).stopped, load_study("other", url).stopped) == ("done", "")


def test_an_unknown_study(url: str) -> None:
    filled(url)
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        load_study("dem", url)
    with pytest.raises(StorageError):
        load_study("demo", url.replace("runs.db", "no/runs.db"))


def test_another_objective_is_refused(url: str) -> None:
    filled(url)
    with pytest.raises(SettingError, match="has another objective"):
        Study("demo", url, objective="val.error")
    assert Study("demo", url).objective == "val.loss"


def test_a_study_of_a_stranger_is_refused(database: str) -> None:
    strange = optuna.create_study(study_name="strange", storage=database)
    strange.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(DataError, match="not made by archgraph"):
        load_study("strange", database)
    study = filled(database, report(1))
    optuna.load_study(study_name="demo", storage=database).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(DataError, match="trial 1 of study 'demo' was not made by archgraph"):
        _ = study.trials


def test_trials_of_another_process_appear(url: str) -> None:
    study = filled(url, report(1))
    load_study("demo", url).record(Train(GRAPH), report(2))
    assert [trial.report().key for trial in study] == ["key1", "key2"]
    first = study.trials[0]
    assert study.trials[0] is first  # and with it what it has read


# ------------------------------------------------------------------ what Optuna sees
def test_optuna_opens_the_same_storage(database: str) -> None:
    filled(database, report(1, val_loss=0.5), failed(2), report(3, val_loss=0.25))
    other = optuna.load_study(study_name="demo", storage=database)
    assert [trial.state.name for trial in other.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert [trial.value for trial in other.trials] == [0.5, None, 0.25]
    assert other.best_trial.number == 2
    assert other.trials[0].intermediate_values == {1: 2.0, 2: 0.5}
    assert other.direction.name == "MINIMIZE"


def test_curves_have_only_what_was_measured() -> None:
    study = filled(None, report(1), objective="params")
    assert study.optuna.trials[0].intermediate_values == {}
    assert study.optuna.trials[0].value == 29


def test_accuracy_is_maximised(database: str) -> None:
    study = filled(database, report(1, val_accuracy=0.5), report(2, val_accuracy=0.75), objective="val.accuracy")
    assert study.best.number == 1
    assert optuna.load_study(study_name="demo", storage=database).best_trial.number == 1
    assert [row["best"] for row in study.history()] == [0.5, 0.75]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_stored_safely(value: float, url: str) -> None:
    given = report(1, val_error=value, extra=-value)
    given = replace(given, curve=(Epoch(1, {"val.loss": value}), Epoch(2, {"val.loss": 2.0})))
    filled(url, given)
    (trial,) = load_study("demo", url).trials
    assert repr(trial.metrics) == repr(given.metrics)
    assert repr([at.metrics for at in trial.curve]) == repr([at.metrics for at in given.curve])
    json.dumps(dict(trial.facts), allow_nan=False)  # as those read it who know no NaN


def test_a_trial_without_a_number_for_the_objective_is_never_the_best(database: str) -> None:
    study = filled(database, report(1, val_loss=math.nan), report(2, val_loss=3.0), report(3, val_loss=math.inf))
    assert [trial.ok for trial in study] == [True, True, True]
    assert study.best.number == 1
    assert [trial.number for trial in study.pareto("loss", "params")] == [1]
    assert [row.get("best") for row in study.history()] == [None, 3.0, 3.0]
    assert [trial.state.name for trial in optuna.load_study(study_name="demo", storage=database).trials] == [
        "FAIL",
        "COMPLETE",
        "COMPLETE",
    ]


def test_optuna_keeps_its_verbosity_and_its_peace(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        study = filled(url, report(1), failed(2))
        study.note("stopped", "done")
        assert load_study("demo", url).best.number == 0
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(level)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


# ------------------------------------------------------------------ best, front, history
TIES: dict[str, tuple[list[dict[str, float]], int]] = {
    "the lowest": ([{"val_error": 0.5}, {"val_error": 0.25}, {"val_error": 0.75}], 1),
    "the lower loss among equals": (
        [
            {"val_error": 0.25, "val_loss": 2.0},
            {"val_error": 0.25, "val_loss": 1.5},
            {"val_error": 0.5, "val_loss": 0.1},
        ],
        1,
    ),
    "fewer parameters among equals": ([{"params": 30}, {"params": 28}, {"params": 29}], 1),
    "the first among equals": ([{}, {}, {}], 0),
}


@pytest.mark.parametrize(("metrics", "best"), TIES.values(), ids=TIES)
def test_best(metrics: list[dict[str, float]], best: int) -> None:
    study = filled(None, *(report(i, **one) for i, one in enumerate(metrics)), objective="val.error")
    assert study.best.number == best


def test_pareto_front() -> None:
    points = [(0.5, 10), (0.25, 30), (0.5, 20), (0.25, 40), (0.1, 50), (0.25, 30), (0.9, 5)]
    study = filled(
        None, *(report(i, val_error=error, params=size) for i, (error, size) in enumerate(points)), failed(9)
    )
    assert [trial.number for trial in study.pareto("error", "params")] == [4, 1, 5, 0, 6]
    assert [trial.number for trial in study.pareto("params")] == [6]
    accurate = filled(None, *(report(i, val_accuracy=1 - e, params=n) for i, (e, n) in enumerate(points)))
    assert [trial.number for trial in accurate.pareto("accuracy", "params")] == [4, 1, 5, 0, 6]
    with pytest.raises(UnknownName, match=r"did you mean 'val\.error'"):
        study.pareto("val.errors")
    assert [trial.number for trial in study.pareto()] == [0, 1, 2, 3, 4, 5, 6]  # all have the same validation loss


def test_history_adds_up_trainings() -> None:
    study = filled(None, report(1, val_loss=2.0), failed(2), report(3, val_loss=3.0), report(4, val_loss=1.0))
    rows = study.history()
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    assert [row["epochs"] for row in rows] == [2.0, 4.0, 6.0, 8.0]
    assert [row["macs"] for row in rows] == [510, 1020, 1530, 2040]
    assert [row["best"] for row in rows] == [2.0, 2.0, 2.0, 1.0]


def test_history_has_what_was_spent_besides() -> None:
    study = Study("demo")
    study.record(Train(GRAPH), report(1), LEDGER + Ledger(score_macs=1000, cached=True))
    study.record(Train(GRAPH), report(2), LEDGER + LEDGER + Ledger(score_macs=3000))
    assert [row["macs"] for row in study.history()] == [1510, 4020]
    assert study.trials[0].spent == LEDGER + Ledger(score_macs=1000)
    assert study.trials[0].ledger == LEDGER


def test_metrics_by_short_names() -> None:
    (trial,) = filled(None, report(1, val_error=0.125, train_loss=3.0))
    assert trial.metric("val.error") == trial.metric("error") == 0.125
    assert trial.metric("params") == 29
    assert trial.metric("train.loss") == 3.0
    with pytest.raises(UnknownName, match="did you mean 'params'"):
        trial.metric("param")


def test_reprs(url: str) -> None:
    study = filled(url, report(1))
    assert repr(study) == f"<Study 'demo' in {url}: 1 trials>"
    assert repr(Study("other")) == "<Study 'other' in memory: 0 trials>"
    assert repr(study.best) == "<Trial 0: params 29, val.loss 1, val.error 0.5, val.accuracy 0.5>"
