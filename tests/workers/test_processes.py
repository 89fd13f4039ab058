"""A pool of local processes: the answers of this process, whatever happens to workers on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from archgraph import Graph, Measure, Recipe, Score, Task, Train, ops
from archgraph.errors import SettingError, StorageError, UnknownName
from archgraph.evaluation import Evaluator, Ledger, Report, Request
from archgraph.evaluation.checkpoints import Checkpoints
from archgraph.registry import OPS
from archgraph.workers.processes import Process, Processes
from archgraph.workers.workers import Job, Workers
from tests.evaluation.troubles import troubled

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
LARGE = Graph.parse(str(MLP).replace("Linear(5)(x)", "Linear(300)(w)").replace("\na =", "\nw = Linear(200)(x)\na ="))
RECIPE = Recipe(epochs=3, batch_size=5)
LONG = RECIPE.but(epochs=100_000)


@pytest.fixture(scope="module")
def task() -> Task:
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    return Task.from_tensors("own", x, x[:, :3].argmax(1), loss="cross-entropy", outputs=3, stratify=False)


@pytest.fixture(scope="module")
def evaluator(task: Task) -> Evaluator:
    return Evaluator(task, device="cpu")


@pytest.fixture(scope="module")
def pool(evaluator: Evaluator) -> Iterator[Processes]:
    """Two workers for all tests that do not look at single ones."""
    with Processes(evaluator, 2) as pool:
        yield pool


def finish(workers: Workers, jobs: list[Job]) -> list[Report]:
    """Collect until all jobs are done; return their reports in the order of the jobs."""
    done: list[Job] = []
    while len(done) < len(jobs):
        found = workers.collect()
        assert found
        done += found
    assert {id(job) for job in done} == {id(job) for job in jobs}
    reports = [job.report for job in jobs]
    return [report for report in reports if report is not None]


def timeless(ledger: Ledger) -> Ledger:
    return replace(ledger, wall_seconds=0.0, cpu_seconds=0.0, peak_bytes=0)


def same(report: Report, other: Report) -> None:
    assert (report.key, report.metrics, report.failure) == (other.key, other.metrics, other.failure)
    assert report.network == other.network
    assert timeless(report.ledger) == timeless(other.ledger)
    assert [(at.epoch, at.metrics) for at in report.curve] == [(at.epoch, at.metrics) for at in other.curve]
    assert report.refused == other.refused
    assert list(report.scores) == list(other.scores)
    for node, score in report.scores.items():
        assert torch.equal(score.index, other.scores[node].index)
        assert torch.equal(score.directions, other.scores[node].directions)
    mine, theirs = report.state or {}, other.state or {}
    assert mine.keys() == theirs.keys()
    for label, entries in mine.items():
        assert entries.keys() == theirs[label].keys()
        assert all(torch.equal(tensor, theirs[label][entry]) for entry, tensor in entries.items())


def pids(pool: Processes) -> list[int]:
    return [worker.process.pid for worker in pool.workers if isinstance(worker, Process)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# ------------------------------------------------------------------ answers
def test_the_answers_are_those_of_this_process(evaluator: Evaluator, pool: Processes) -> None:
    first = evaluator.answer(Train(LARGE, RECIPE))
    assert first.network is not None
    requests: list[Request] = [
        Train(MLP, RECIPE, seed=3),
        Train(first.network, RECIPE, seed=4, state=first.state),
        Score(first.network),
        Measure(first.network, "train"),
        Train(MLP, Recipe(optimizer="sgd", lr=1e30, batch_size=5)),  # diverges
    ]
    reports = finish(pool, [pool.submit(request) for request in requests])
    for report, request in zip(reports, requests, strict=True):
        same(report, evaluator.answer(request))
    assert [report.ok for report in reports] == [True, True, True, True, False]
    assert len(pool.workers) == 2


def test_every_epoch_is_told_with_the_request_that_was_submitted(task: Task) -> None:
    told: list[tuple[Request, int, int]] = []
    evaluator = Evaluator(task, device="cpu", progress=lambda request, at, all: told.append((request, at.epoch, all)))
    requests = [Train(MLP, RECIPE.but(epochs=40), seed=seed) for seed in (1, 2, 3)]
    with Processes(evaluator, 2) as pool:
        finish(pool, [pool.submit(request) for request in requests])
    for request in requests:
        assert [(epoch, all) for one, epoch, all in told if one is request] == [(at, 40) for at in range(1, 41)]


def test_nobody_is_started_without_work_and_nobody_is_left(evaluator: Evaluator) -> None:
    with Processes(evaluator, 3) as pool:
        assert pool.workers == []
        pool.submit(Train(MLP, LONG))
        pool.submit(Train(MLP, LONG, seed=1))
        assert pool.collect(patience=0.2) == []
        started = pids(pool)
        assert len(started) == 2
        assert all(map(alive, started))
    assert not any(map(alive, started))
    assert not [child for child in multiprocessing.active_children() if child.pid in started]


# ------------------------------------------------------------------ what goes wrong
def test_a_worker_that_is_killed_costs_one_try(evaluator: Evaluator) -> None:
    requests = [Train(MLP, RECIPE.but(epochs=150), seed=seed) for seed in (1, 2)]
    with Processes(evaluator, 2) as pool:
        jobs = [pool.submit(request) for request in requests]
        while not all(job.curve for job in jobs):
            pool.collect(patience=0.01)
        killed = pids(pool)[0]
        os.kill(killed, signal.SIGKILL)
        reports = finish(pool, jobs)
        assert sorted(len(job.ends) for job in jobs) == [0, 1]
        assert killed not in pids(pool)
    for report, request in zip(reports, requests, strict=True):
        same(report, evaluator.answer(request))


def test_a_request_that_cannot_be_carried_out_takes_no_finished_report_along(evaluator: Evaluator) -> None:
    with Processes(evaluator, 2) as pool:
        good, bad = pool.submit(Train(MLP, RECIPE)), pool.submit(Train(MLP, Recipe(optimizer="adm")))
        while any(worker.job or not worker.ready for worker in pool.workers) or len(pool.workers) < 2:
            for message in list(pool.listen(None)):
                pool._take(*message)
        assert pool.collect() == [good]
        with pytest.raises(UnknownName):
            pool.collect()
        assert bad.report is None


def test_workers_that_wait_end_by_themselves(evaluator: Evaluator) -> None:
    with Processes(evaluator, 1) as pool:
        finish(pool, [pool.submit(Train(MLP, RECIPE))])
        while not pool.workers[0].ready:
            for message in list(pool.listen(None)):
                pool._take(*message)
        (worker,) = pool.workers
        assert isinstance(worker, Process)
    assert worker.process.exitcode == 0


TROUBLES = {
    "fork": "its worker died, and so did the next: exit code 7",
    "die": "its worker died, and so did the next: killed (SIGKILL), perhaps for lack of memory",
    "leave": "its worker died, and so did the next: exit code 3",
    "memory": "out of memory",
    "raise": "RuntimeError: raised on purpose",
}


@pytest.mark.parametrize(("how", "reason"), TROUBLES.items(), ids=TROUBLES)
def test_trouble_fails_one_candidate_and_no_other(evaluator: Evaluator, pool: Processes, how: str, reason: str) -> None:
    wrong, right = Train(troubled(MLP, "f", how), RECIPE), Train(MLP, RECIPE, seed=9)
    failed, report = finish(pool, [pool.submit(wrong), pool.submit(right)])
    assert failed.failure == reason
    assert failed.key == evaluator.key(wrong)
    assert failed.network is None
    assert failed.metrics["params"] == 4 * 5 + 5 + 5 * 3 + 3
    assert failed.ledger.epochs == 1.0  # the one that was begun is paid for
    same(report, evaluator.answer(right))


def test_trouble_that_is_over_at_the_second_try(evaluator: Evaluator, pool: Processes, tmp_path: Path) -> None:
    request = Train(troubled(MLP, "f", "die", tmp_path / "died"), RECIPE)
    (report,) = finish(pool, [pool.submit(request)])
    same(report, evaluator.answer(request))


def test_an_evaluation_that_takes_too_long_is_stopped(evaluator: Evaluator) -> None:
    requests = [
        Train(troubled(MLP, "f", "hang"), RECIPE),
        Train(MLP, LONG),
        *(Train(MLP, RECIPE, seed=seed) for seed in (1, 2, 3)),
    ]
    with Processes(evaluator, 2, timeout=1.5) as pool:
        hung, long, *others = finish(pool, [pool.submit(request) for request in requests])
        assert len(pool.workers) <= 2
    assert hung.failure == long.failure == "timeout: stopped after 1.5 seconds"
    assert hung.ledger.epochs == 1.0
    assert long.ledger.epochs == len(long.curve) + 1 > 2
    assert long.ledger.wall_seconds >= 1.5
    for report, request in zip(others, requests[2:], strict=True):
        same(report, evaluator.answer(request))


@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoint_when_its_worker_is_killed(
    task: Task, evaluator: Evaluator, tmp_path: Path
) -> None:
    request = Train(MLP, RECIPE.but(epochs=300, ema=0.9), seed=2)
    told: list[int] = []
    checkpoints = Checkpoints(tmp_path / "checkpoints", seconds=0.02)
    careful = Evaluator(
        task, device="cpu", progress=lambda _, epoch, epochs: told.append(epoch.epoch), checkpoints=checkpoints
    )
    with Processes(careful, 1) as pool:
        job = pool.submit(request)
        while len(told) < 20:
            pool.collect(patience=0.01)
        os.kill(pids(pool)[0], signal.SIGKILL)
        seen = len(told)
        (report,) = finish(pool, [job])
    again = told[seen:]
    starts = [epoch for before, epoch in zip([0, *told], told, strict=False) if epoch != before + 1]
    assert starts[0] > 10  # not from the first epoch
    assert again[-1] == 300
    same(report, evaluator.answer(request))


def test_what_is_wrong_with_a_request_is_the_error_of_this_process(
    task: Task, evaluator: Evaluator, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    unwritable = Checkpoints(tmp_path / "file" / "checkpoints", seconds=0.0)
    for asked, kind, message in (
        (Evaluator(task), UnknownName, "did you mean 'adam'"),
        (Evaluator(task, checkpoints=unwritable), StorageError, "cannot write the checkpoint"),
    ):
        with Processes(asked, 1) as pool:
            pool.submit(Train(MLP, Recipe(optimizer="adm") if kind is UnknownName else RECIPE))
            with pytest.raises(kind, match=message):
                pool.collect()


def test_a_class_that_workers_cannot_find(evaluator: Evaluator) -> None:
    class Local(ops.SiLU):
        pass

    OPS._own.pop("Local")
    with MLP.edit() as edit:
        edit.replace("f", Local())
    with Processes(evaluator, 1) as pool, pytest.raises(SettingError, match="cannot be sent to a worker") as raised:
        pool.submit(Train(edit.graph, RECIPE))
        pool.collect()
    assert "at the top of a module" in str(raised.value)


def test_a_class_whose_module_only_this_process_has(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    module: Any = types.ModuleType("nowhere_else")
    monkeypatch.setitem(sys.modules, "nowhere_else", module)
    module.Homeless = Homeless = type("Homeless", (ops.SiLU,), {"__module__": "nowhere_else"})
    OPS._own.pop("Homeless")
    with MLP.edit() as edit:
        edit.replace("f", Homeless())
    with Processes(evaluator, 1) as pool, pytest.raises(SettingError, match="a worker cannot read a request"):
        pool.submit(Train(edit.graph, RECIPE))
        pool.collect()


SCRIPT = """
import archgraph as ag
from optimizers import RandomSearch
graph = ag.Graph.parse("x = Input((2,))\\nw = Linear(3)(x)\\ny = Linear(1)(w)\\nreturn y")
driver = RandomSearch.from_settings(graph, {"candidates": "2"})
ag.search(driver, task="toy-rbf", recipe=ag.Recipe(epochs=1), workers=2)
"""


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "workers end before they are ready" in ran.stderr
    assert 'if __name__ == "__main__":' in ran.stderr
    guarded = 'if __name__ == "__main__":\n    ' + SCRIPT.strip().replace("\n", "\n    ")
    (tmp_path / "script.py").write_text(guarded)
    subprocess.run([sys.executable, tmp_path / "script.py"], check=True)


ORPHANS = """
import sys
from archgraph import Graph, Recipe, Train
from archgraph.evaluation import Evaluator
from archgraph.workers.processes import Processes
from archgraph.tasks import find
graph = Graph.parse("x = Input((2,))\\nw = Linear(3)(x)\\ny = Linear(1)(w)\\nreturn y")
pool = Processes(Evaluator(find("toy-rbf"), device="cpu"), 2)
for seed in (0, 1):
    pool.submit(Train(graph, Recipe(epochs=10**8), seed=seed))
while not all(worker.job and worker.job.curve for worker in pool.workers):
    pool.collect(patience=0.1)
print(*(worker.process.pid for worker in pool.workers), flush=True)
pool.collect()
"""


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        process.kill()
    until = time.monotonic() + 30.0
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
