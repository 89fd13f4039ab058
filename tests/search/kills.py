"""Searches that are killed at random instants, again and again, until they are through after all.

Each life of a search is a process group of its own, ended by SIGKILL. What the storage holds is looked at between two
lives: nothing of it may be evaluated again in the next one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from archgraph import Driver, Graph, Recipe, Study, Task, search
from archgraph.errors import ArchGraphError
from archgraph.evaluation import Epoch, Evaluator, Request
from archgraph.spaces import Widths
from archgraph.tasks import find
from archgraph.workers.processes import start_context
from optimizers import GeneratorBO, RandomSearch, SplittingDescent, SuccessiveHalving
from tests.search.sameness import same

NAME = "killed"
CONV = Graph.parse(
    "x = Input((1, 8, 8))\nc = Conv2d(6, kernel_size=3, padding=1)(x)\nn = BatchNorm()(c)\nf = SiLU()(n)\n"
    "p = GlobalAvgPool()(f)\ny = Linear(10)(p)\nreturn y"
)
RANDOM = RandomSearch.from_settings(CONV, {"candidates": "8"})
GROWTH = SplittingDescent(CONV, stages=3, growth=0.5)
HALVING = SuccessiveHalving(RANDOM, reduction=2, lookahead=3)
BAYES = GeneratorBO(Widths(CONV, 0.5, 2.0), candidates=8, initial=4, lookahead=2)
DRIVERS: dict[str, Driver] = {"random": RANDOM, "growth": GROWTH, "halving": HALVING, "generator-bo": BAYES}
RECIPE = Recipe(lr=0.02, epochs=4, batch_size=64)


def task() -> Task:
    """Return the first images of the digits: real, and an epoch takes some 10 milliseconds."""
    whole = find("digits")
    part = whole.splits["train"]
    return Task.from_tensors("few digits", part.x[:400], part.y[:400], loss="cross-entropy", outputs=10)


@dataclass(frozen=True)
class Life:
    """One process that runs the search or carries on with it.

    Args:
        url: of the storage.
        driver: name of the driver.
        seed: of the search.
        workers: how many.
        log: file in which the process notes that it begins, and the key of the training of every epoch.
    """

    url: str
    driver: str
    seed: int
    workers: int
    log: str

    def run(self) -> None:
        """Search; in the process of this life."""
        posed, handle = task(), os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        evaluator = Evaluator(posed)

        def note(request: Request, epoch: Epoch, epochs: int) -> None:
            os.write(handle, f"{evaluator.key(request)}\n".encode())

        os.write(handle, b"begins\n")
        search(
            DRIVERS[self.driver],
            task=posed,
            recipe=RECIPE,
            storage=self.url,
            name=NAME,
            seed=self.seed,
            workers=self.workers,
            checkpoints=0.05,
            progress=note,
            device="cpu",
        )

    def noted(self) -> list[str]:
        """Return the lines of the log so far."""
        with contextlib.suppress(FileNotFoundError):
            return Path(self.log).read_text().splitlines()
        return []


Launched = tuple[int, Callable[[float | None], int | None]]
"""The process group, and what waits for the process some seconds and returns its exit code, or None."""


def as_program(life: Life) -> Launched:
    """Launch a life as a program of its own, with all its workers in one group."""
    code = f"from tests.search.kills import Life; {life!r}.run()"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    def wait(seconds: float | None) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        return None

    return process.pid, wait


def as_child(life: Life) -> Launched:
    """Launch a life from the server of processes, which has torch loaded; its workers are orphans when it is killed."""
    process = start_context().Process(target=_alone, args=(life,))
    process.start()
    assert process.pid is not None

    def wait(seconds: float | None) -> int | None:
        process.join(seconds)
        return process.exitcode

    return process.pid, wait


def _alone(life: Life) -> None:
    os.setsid()
    torch.set_num_threads(1)
    life.run()


@dataclass
class Stored:
    """What the storage holds: trainings by key, and scores and measurements by file, with its identity."""

    trainings: set[str] = field(default_factory=set)
    answers: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, url: str) -> Stored:
        """Look into a storage that a killed process may have left at any point."""
        try:
            study = Study(NAME, url, create=False)
            trainings = {trial.facts["key"] for trial in study if trial.ok and trial.network.weights}
        except ArchGraphError:
            trainings = set()
        kept = {path.stem.rpartition("-")[2] for path in folder.glob("*.artifacts/kept/*.json")}
        answers = {path.name: path.stat().st_ino for path in folder.glob("*.artifacts/answers/*.answer")}
        return cls(trainings | kept, answers)


def survive(folder: Path, *, driver: str, workers: int, kills: int, launch: Callable[[Life], Launched]) -> int:
    """Kill searches at random instants until there were so many kills, and check what they leave; return the kills.

    A search that gets through is compared with the one that nobody disturbed, and a next one begins.
    """
    chance, count, seed = random.Random(f"{driver} {workers}"), 0, 0
    while count < kills:
        seed += 1
        place = folder / str(seed)
        place.mkdir()
        url = f"sqlite:///{place}/runs.db"
        begun = time.monotonic()
        undisturbed = search(DRIVERS[driver], task=task(), recipe=RECIPE, seed=seed, name=NAME, device="cpu")
        takes = time.monotonic() - begun
        assert len(undisturbed) > 3
        for number in range(1000):
            before = Stored.at(place, url)
            life = Life(url, driver, seed, workers, str(place / f"log{number}"))
            group, wait = launch(life)
            while not life.noted() and wait(0.005) is None:
                pass
            code = wait(chance.uniform(0.0, takes / 2) if count < kills else None)
            if code is None:
                os.killpg(group, signal.SIGKILL)
                code = wait(None)
                count += 1
            after = Stored.at(place, url)
            assert not before.trainings & set(life.noted()), "a finished training was done again"
            assert before.trainings <= after.trainings, "a finished training was lost"
            assert before.answers.items() <= after.answers.items(), "a score was lost or made again"
            if code == 0:
                break
            assert code == -signal.SIGKILL
        same(Study(NAME, url, create=False), undisturbed)
    return count
