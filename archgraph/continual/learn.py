"""Learning the tasks of a sequence one after the other, each by a search of its own in one storage.

Every task has a study, ``"<name>-1-of-5"``. Calling :func:`learn` again with the same storage and name carries on:
tasks that are done are read back, the one that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from archgraph.continual.course import Course
from archgraph.continual.library import Library
from archgraph.continual.plan import Plan
from archgraph.continual.trunk import fitting, head_resized
from archgraph.errors import DataError, EvaluationFailed
from archgraph.evaluation import measure
from archgraph.evaluation.device import choose_device
from archgraph.graph import Graph
from archgraph.search import Constraint, Driver, Study, search
from archgraph.search.trial import Trial
from archgraph.tasks import TaskSequence

Done = Callable[[int, Study], None]
"""Called after every task with its number, from 1, and its study."""


class Learner(Protocol):
    """A driver that learns one task with a library: a frozen dataclass with these fields.

    The note of each of its trials is the plan of the network that was trained.
    """

    @property
    def graph(self) -> Graph:
        """The trunk."""
        ...

    @property
    def target(self) -> str:
        """When a task is learned: a bound on a metric."""
        ...

    @property
    def library(self) -> Library:
        """What was learned before."""
        ...


def learn(
    driver: Learner,
    sequence: TaskSequence | str,
    *,
    name: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    share: bool = True,
    data_root: str | Path | None = None,
    done: Done | None = None,
    **settings: Any,
) -> Course:
    """Learn tasks one after the other; nothing that was learned is forgotten.

    Args:
        driver: learns one task; its graph is the trunk, with any number of outputs.
        sequence: the tasks, or the name of a sequence.
        name: of the studies; ``"<driver>-<sequence>-<seed>"`` by default, with ``-apart`` where nothing is shared.
        storage: None for memory, or a URL such as ``sqlite:///runs.db``.
        seed: of everything random.
        share: whether tasks share what they have learned; else every one begins with the trunk, a network of its own.
        data_root: folder with data sets, for sequences given by name.
        done: called after every task.
        **settings: for each task's :func:`archgraph.search.search`: ``recipe``, ``budget``, ``workers``, ``device``.

    Raises:
        ArchGraphError: when the sequence, the driver, the recipe or the storage cannot be used.
        EvaluationFailed: when no network of a task could be trained; what was stored is safe.
    """
    tasks = fitting(sequence, _driver(driver).graph, seed=seed, data_root=data_root)
    name = name or f"{type(driver).__name__.lower()}-{tasks.name}{'' if share else '-apart'}-{seed}"
    labels = study_names(name, len(tasks))
    device = choose_device(settings.get("device", "auto"))
    library, studies, tests, trained = driver.library, [], [], []
    alone: list[Library] = []
    unmet: dict[str, str] = {}
    for number, task in enumerate(tasks, start=1):
        graph = head_resized(driver.graph, task.outputs)
        one: Any = replace(_driver(driver), graph=graph, library=library if share else Library())
        study = search(one, task=task, storage=storage, name=labels[number - 1], seed=seed, **settings)
        trial, met = chosen(study, driver.target)
        if not met:
            unmet[task.name] = study.stopped
        plan = Plan.parse(str(trial.facts.get("note", "")))
        learned = one.library.learned(task.name, trial.network, plan)
        if share:
            library = learned
        else:
            alone.append(learned)
        first = len(library) - number if share else 0  # a library that was given has tasks of its own before these
        networks = (
            [library.network(first + place) for place in range(number)]
            if share
            else [each.network(0) for each in alone]
        )
        tests.append(tuple(measure(net, tasks[place], "test", device=device) for place, net in enumerate(networks)))
        studies.append(study)
        trained.append(trial.network)
        if done is not None:
            done(number, study)
    params = library.params if share else sum(each.params for each in alone)
    return Course(
        tasks,
        tuple(networks),
        tuple(trained),
        tuple(tests),
        params,
        tuple(studies),
        unmet,
        library if share else None,
    )


def study_names(name: str, tasks: int) -> tuple[str, ...]:
    """Return the names of the studies of a run, one a task.

    >>> study_names("c", 2)
    ('c-1-of-2', 'c-2-of-2')
    """
    return tuple(f"{name}-{number}-of-{tasks}" for number in range(1, tasks + 1))


def chosen(study: Study, target: str) -> tuple[Trial, bool]:
    """Return the smallest trial that meets a target, or the best one, and whether it does.

    Raises:
        EvaluationFailed: when no training succeeded.
    """
    aim = Constraint.parse(target)
    trials = [trial for trial in study.trials if trial.ok]
    if not trials:
        why = study.trials[-1].failure if study.trials else study.stopped
        raise EvaluationFailed(f"no network of study {study.name!r} could be trained: {why}")
    meeting = [trial for trial in trials if aim.violation(trial.metrics) == 0.0]
    if meeting:
        return min(meeting, key=lambda trial: (trial.metrics["params"], trial.number)), True
    return study.best, False


def _driver(one: Any) -> Any:
    if not isinstance(one, Driver) or not is_dataclass(one):
        raise DataError("this is no driver", expected="optimizers.Continual(trunk)", got=type(one).__name__)
    return one
