"""Learning a sequence: one study a task, carried on after an interruption, and clear words where it cannot go on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import Budget, Graph, Recipe, Study, Task
from archgraph.continual import Course, Library, learn
from archgraph.errors import DataError, EvaluationFailed, SettingError, UnknownName
from archgraph.export import export
from archgraph.search import load_study
from archgraph.tasks import TaskSequence
from optimizers import Continual

TRUNK = Graph.parse(
    "x = Input((4,))\na = Linear(2)(x)\nn = BatchNorm()(a)\nf = Tanh()(n)\nb = Linear(3)(f)\ng = Tanh()(b)\n"
    "y = Linear(2)(g)\nreturn y"
)
RECIPE = Recipe(epochs=6, batch_size=20, lr=0.05)


def sequence() -> TaskSequence:
    """Three tasks on the same inputs, of 2, 3 and 2 classes."""
    x = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    labels = [(x[:, 0] > 0).long(), x[:, :3].argmax(1), (x[:, 1] * x[:, 2] > 0).long()]
    tasks = [Task.from_tensors(f"t{number}", x, y, loss="cross-entropy") for number, y in enumerate(labels)]
    return TaskSequence("three", tuple(tasks))


def run(**settings: Any) -> Course:
    own = {"target": "accuracy>=0.9", "rounds": 2} | {k: settings.pop(k) for k in list(settings) if k in OWN}
    return learn(Continual(TRUNK, **own), settings.pop("tasks", sequence()), recipe=RECIPE, device="cpu", **settings)


OWN = ("target", "trim", "rounds", "kinds", "cost", "added", "state")


@dataclass(frozen=True)
class NoDriver:
    graph: Graph = TRUNK
    target: str = "accuracy>=0.5"
    library: Library = field(default_factory=Library)


@pytest.fixture(scope="module")
def course() -> Course:
    return run()


def test_nothing_is_forgotten(course: Course) -> None:
    assert course.library is not None and course.unchanged and course.forgetting() == 0.0
    assert course.library.names == ("t0", "t1", "t2") and [len(found) for found in course.tests] == [1, 2, 3]
    x = sequence()[0].splits["test"].x
    for first, last in zip(course.learned, course.networks, strict=True):
        assert torch.equal(first.to_torch().eval()(x), last.to_torch().eval()(x))
    for row in course.tests[1:]:
        assert row[0] == course.tests[0][0]
    assert course.params == course.library.params
    assert course.average() == pytest.approx(sum(one["accuracy"] for one in course.tests[-1]) / 3)
    assert course.macs > 0


def test_the_same_again(course: Course) -> None:
    again = run()
    assert again.networks == course.networks and again.tests == course.tests


def test_norms_are_each_tasks_own(course: Course) -> None:
    means = [network.weights["n.running_mean"][:2] for network in course.networks]
    assert not torch.equal(means[0], means[1]) and not torch.equal(means[1], means[2])


def test_without_sharing_every_task_has_a_network_of_its_own() -> None:
    apart = run(share=False)
    assert apart.library is None and apart.unchanged
    trained = [
        sum(tensor.numel() for label, tensor in one.weights.items() if "running" not in label and "num_" not in label)
        for one in apart.networks
    ]
    assert apart.params == sum(trained)


def test_a_target_that_is_met_at_once_needs_no_growth() -> None:
    easy = run(target="accuracy>=0.0")
    assert [len(study.trials) for study in easy.studies] == [1, 1, 1] and not easy.unmet
    assert easy.library is not None
    assert [sum(map(len, one.plan.made(one.number).values())) for one in easy.library] == [5, 0, 0]


def test_a_target_that_is_missed_is_told_and_the_best_is_taken() -> None:
    hard = run(target="loss<=0.0001", rounds=1)
    assert set(hard.unmet) == {"t0", "t1", "t2"} and "is missed by" in hard.unmet["t1"]
    assert all(len(study.trials) == 2 for study in hard.studies)
    assert hard.networks[0] == hard.studies[0].best.network


def test_trimmed_tasks_stay_what_they_were() -> None:
    small = run(target="accuracy>=0.4", trim=20.0)
    assert small.unchanged and small.library is not None and not small.unmet
    used = [sum(map(len, one.plan.uses.values())) for one in small.library]
    assert used[0] == 5 and min(used[1:]) < 5
    assert {trial.ok for study in small.studies for trial in study.trials} == {True}


# ------------------------------------------------------------------ going on
class Stop(Exception):
    """An interruption."""


@pytest.mark.parametrize("after", [2, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 4))])
def test_an_interrupted_run_carries_on(course: Course, tmp_path: Path, after: int) -> None:
    url, trials = f"journal:///{tmp_path}/runs.db", 0

    def interrupt(study: Study, trial: Any) -> None:
        nonlocal trials
        trials += 1
        if trials == after:
            raise Stop

    with pytest.raises(Stop):
        run(storage=url, name="c", callbacks=[interrupt])
    kept = sum(len(load_study(name, url)) for name in _names(url))
    assert kept == after
    trained: list[int] = []
    again = run(storage=url, name="c", callbacks=[lambda study, trial: trained.append(trial.number)])
    assert again.networks == course.networks and again.tests == course.tests
    whole = sum(len(study.trials) for study in course.studies)
    assert len(trained) == whole - after  # nothing is paid for twice
    assert run(storage=url, name="c", callbacks=[lambda study, trial: trained.append(-1)]).params == course.params
    assert -1 not in trained


def _names(url: str) -> list[str]:
    import optuna

    from archgraph.storage.storage import open_storage

    return [one.study_name for one in optuna.get_all_study_summaries(storage=open_storage(url))]


@pytest.mark.slow
def test_workers_change_nothing(course: Course) -> None:
    assert run(workers=2).networks == course.networks


@pytest.mark.slow
def test_a_task_alone_leaves_as_plain_torch(course: Course, tmp_path: Path) -> None:
    export(course.networks[1], tmp_path, formats=("python", "pt2"))
    assert {"model.py", "model.pt2"} <= set(os.listdir(tmp_path))


def test_a_library_is_learned_further(course: Course) -> None:
    tasks = sequence()
    first = run(tasks=TaskSequence("first", tasks.tasks[:2]))
    assert first.library is not None and first.networks == course.networks[:2]
    more = learn(
        Continual(TRUNK, target="accuracy>=0.9", rounds=2, library=first.library),
        TaskSequence("more", tasks.tasks[2:]),
        recipe=RECIPE,
        device="cpu",
    )
    assert more.library is not None and len(more.library) == 3
    assert more.networks == (course.networks[2],)
    assert [more.library.network(task) for task in range(3)] == list(course.networks)


# ------------------------------------------------------------------ refusals
def test_what_does_not_fit_is_said_before_anything_is_stored(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/runs.db"
    wide = TaskSequence("wide", (Task.from_tensors("w", torch.zeros(20, 5), torch.arange(20) % 2, loss="mse"),))
    with pytest.raises(DataError, match="the trunk does not fit the tasks of sequence 'wide'"):
        run(tasks=wide, storage=url)
    with pytest.raises(UnknownName, match="unknown task sequence 'three'"):
        run(tasks="three", storage=url)
    with pytest.raises(SettingError, match="can never be missed or never be met"):
        run(target="accuracy>=1.5", storage=url)
    with pytest.raises(SettingError, match="a constraint bounds a metric"):
        run(target="good", storage=url)
    with pytest.raises(UnknownName, match="kind of growth 'layer'"):
        run(kinds="unlock+layer", storage=url)
    assert not (tmp_path / "runs.db").exists()


def test_a_target_on_what_is_not_measured() -> None:
    with pytest.raises(SettingError, match="which this task does not measure"):
        run(target="relative-mse<=0.1")


def test_a_task_that_cannot_be_trained_keeps_what_was_stored(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/runs.db"
    with pytest.raises(EvaluationFailed, match="no network of study 'c-1-of-3' could be trained"):
        run(storage=url, name="c", budget=Budget(max_params=3))
    with pytest.raises(DataError, match="this is no driver"):
        learn(NoDriver(), sequence(), recipe=RECIPE)
    assert len(load_study("c-1-of-3", url)) == 1
