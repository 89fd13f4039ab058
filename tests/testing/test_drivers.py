"""The conformance check finds drivers that break a promise; all drivers of this package keep them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import pytest
import torch

from archgraph import Graph, Recipe, Task
from archgraph.evaluation import Measure, Report, Request, Train
from archgraph.registry import DRIVERS
from archgraph.search import Driver, Session, Setting, Steps
from archgraph.spaces import Widths
from archgraph.testing import check_driver
from optimizers import (
    FireflyDescent,
    GeneratorBO,
    GrowBest,
    KernelDensity,
    OptunaSampler,
    Pruned,
    RandomSearch,
    SplittingDescent,
    SuccessiveHalving,
)

MLP = Graph.parse("x = Input((4,))\na = Linear(5)(x)\nf = SiLU()(a)\ny = Linear(3)(f)\nreturn y")
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
TASK = Task.from_tensors("own", X, X[:, :3].argmax(1), loss="cross-entropy", outputs=3)
RECIPE = Recipe(epochs=2, batch_size=10, lr=0.05)


@dataclass(frozen=True)
class Honest(Driver):
    """Trains one graph again and again; the next seed depends on what it was told."""

    graph: Graph
    count: int = 8

    def steps(self, setting: Setting) -> Steps:
        seed = setting.seed
        for number in range(self.count):
            report = yield Train(self.graph, setting.recipe, seed=self.seed(seed, number))
            seed += len(report.failure) + (self.learnt(report) if report.ok else 0)
        return self.why()

    def seed(self, seed: int, number: int) -> int:
        return seed + number

    def learnt(self, report: Report) -> int:
        return int(1000 * report.metrics["val.loss"])

    def why(self) -> str:
        return "all are trained"


class Global(Honest):
    def seed(self, seed: int, number: int) -> int:
        return random.randrange(1000)


@dataclass(frozen=True)
class Remembers(Honest):
    before: list[int] = field(default_factory=list)

    def seed(self, seed: int, number: int) -> int:
        self.before.append(number)
        return seed + len(self.before)


class Impatient(Honest):
    """Asks ahead as much as it may, and lets the seeds depend on what it was told by then."""

    def begin(self, setting: Setting) -> Session:
        return Ahead(self, setting)


class Ahead(Session):
    lookahead = None
    reason = "all are asked"

    def __init__(self, driver: Honest, setting: Setting) -> None:
        self.driver, self.setting, self.asked, self.told = driver, setting, [], 0  # type: ignore[var-annotated]

    @property
    def done(self) -> bool:
        return len(self.asked) == self.driver.count

    def ask(self) -> Request | None:
        self.asked.append(Train(self.driver.graph, self.setting.recipe, seed=100 * self.told + len(self.asked)))
        return self.asked[-1]

    def tell(self, request: Request, report: Report) -> None:
        self.told += 1


class Trusting(Impatient):
    """Takes any report."""

    def begin(self, setting: Setting) -> Session:
        session = Ahead(self, setting)
        session.lookahead = 1  # type: ignore[assignment]
        return session


class Frugal(Honest):
    def learnt(self, report: Report) -> int:
        return 17 if report.ledger.cached else 0


class Silent(Honest):
    def why(self) -> str:
        return ""


class Confident(Honest):
    def steps(self, setting: Setting) -> Steps:
        for number in range(self.count):
            report = yield Train(self.graph, setting.recipe, seed=number)
            assert report.metrics["val.loss"] >= 0.0
        return "all are trained"


class Idle(Honest):
    def steps(self, setting: Setting) -> Steps:
        return "there is nothing to do"
        yield


class Peeps(Honest):
    def steps(self, setting: Setting) -> Steps:
        report = yield Train(self.graph, setting.recipe)
        yield Measure(report.network, "test")
        return "all is known"


class Tolerant(Honest):
    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        return cls(graph)


def test_an_honest_driver_passes_and_the_generators_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    random.seed(5)
    check_driver(Honest(MLP), task=TASK, recipe=RECIPE)
    found = torch.rand(1).item(), random.random()
    torch.manual_seed(5)
    random.seed(5)
    assert found == (torch.rand(1).item(), random.random())


BROKEN: dict[str, tuple[Callable[[], Driver], str]] = {
    "global generators": (lambda: Global(MLP), "does the same again for the same seed"),
    "a driver that remembers": (lambda: Remembers(MLP), "does the same again for the same seed"),
    "as many as there are workers": (lambda: Impatient(MLP), "does the same with 2 workers"),
    "looks at what was cached": (lambda: Frugal(MLP), "carries on where it was killed"),
    "no reason": (lambda: Silent(MLP, 2), "says why it stopped"),
    "no failures": (lambda: Confident(MLP), "where one in 2 trainings fails"),
    "no trainings": (lambda: Idle(MLP), "trains something"),
    "the test split": (lambda: Peeps(MLP), "must not see the test split"),
    "any report": (lambda: Trusting(MLP), "refuses a report on what it has not asked"),
    "any setting": (lambda: Tolerant(MLP), "refuses the setting 'no_setting_is_called_so'"),
}


@pytest.mark.parametrize(("broken", "what"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_contract_is_found(broken: Callable[[], Driver], what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_driver(broken(), task=TASK, recipe=RECIPE)


# ------------------------------------------------------------------ all there are
SPACE = Widths(MLP)
ELSEWHERE = {"continual"}
"""Those that need another task: tests of their own run them."""


def small(name: str) -> Driver:
    """Return a driver with as little to do as it can have."""
    kind = DRIVERS.get(name)
    texts = {"space": "widths"} if "space" in kind.settings() else {}
    few = {"population": "3", "sample": "2", "initial": "3", "descent_steps": "3", "points": "1"}
    texts |= {key: value for key, value in few.items() if key in kind.settings()}
    found: Driver = kind.from_settings(MLP, texts)
    return found


SHIPPED = [name for name in sorted(set(DRIVERS) - ELSEWHERE) if DRIVERS.get(name).__module__.startswith("optimizers.")]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_driver_of_this_package_keeps_its_promises(name: str) -> None:
    check_driver(small(name), task=TASK, recipe=RECIPE)


SETTINGS: dict[str, Driver] = {
    "tpe, two ahead": OptunaSampler(SPACE, sampler="tpe", lookahead=2),
    "three ahead": GeneratorBO(SPACE, initial=2, lookahead=3),
    "halving what learns": SuccessiveHalving(KernelDensity(SPACE)),
    "halving in epochs": SuccessiveHalving(RandomSearch(SPACE), reduction=2, lookahead=2),
    "pruning": Pruned(RandomSearch(SPACE), "median(n_startup_trials=2)"),
    "both kinds": SplittingDescent(MLP, kinds=("split", "new"), halves=False, confidence=0.0),
    "a search with growth": GrowBest(GeneratorBO(SPACE, initial=2), FireflyDescent(MLP, descent_steps=3, points=1)),
    "growth of several": GrowBest(RandomSearch(SPACE), SplittingDescent(MLP, halves=False, confidence=0.0), best=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("driver", SETTINGS.values(), ids=SETTINGS)
def test_so_they_do_with_other_settings(driver: Driver) -> None:
    check_driver(driver, task=TASK, recipe=RECIPE)
