"""Growth methods by name, and a clock on what a method spends apart from training."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import archgraph as ag
from archgraph.errors import UnknownName
from archgraph.evaluation import Report, Request
from archgraph.registry import DRIVERS
from archgraph.search import Driver, Session, Setting
from archgraph.search.driver import read_settings


@dataclass(frozen=True)
class Method:
    """A driver with the settings that make the method.

    Args:
        driver: its name among the drivers.
        settings: its own; a benchmark's common ones come second.
    """

    driver: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def build(self, graph: ag.Graph, **common: Any) -> Driver:
        """Return the driver, with those of the common settings that it has."""
        kind = DRIVERS.get(self.driver)
        taken = {name: value for name, value in common.items() if name in kind.settings()}
        return kind(graph, **{**taken, **self.settings})


ANY = {"confidence": 0.0}
"""Splits of any negative index: the scores of the small data of these benchmarks are noisy."""

METHODS: dict[str, Method] = {
    "firefly": Method("firefly", {"kinds": ("split", "new")}),
    "firefly-new": Method("firefly", {"kinds": ("new",)}),
    "firefly-split": Method("firefly", {"kinds": ("split",)}),
    "tiny": Method("tiny"),
    "gradmax": Method("gradmax"),
    "north": Method("north"),
    "natural-expansion": Method("natural-expansion"),
    "zero-fan-out": Method("zero-fan-out"),
    "sensli": Method("sensli", {"ratio": 0.0}),
    "splitting": Method("splitting", ANY),
    "splitting+new": Method("splitting", {"kinds": ("split", "new"), **ANY}),
    "signed-splitting": Method("signed-splitting", ANY),
    "random-direction": Method("random-splitting", ANY),
    "random-unit": Method("splitting", {"control": "random-unit", **ANY}),
    "net2wider": Method("net2wider"),
    "new-unit": Method("splitting", {"control": "new-unit"}),
}
"""Methods by name; those whose driver is not installed are left out by :func:`methods`."""


def methods(more: Sequence[Sequence[str]] = ()) -> dict[str, Method]:
    """Return the methods whose drivers are there, and others that are spelled out.

    Args:
        more: words each, ``("tiny", "firefly", "criterion=tiny")``: a name, a driver, its settings.

    Raises:
        UnknownName: when there is no such driver or setting.
        SettingError: when a value cannot be used.
    """
    found = {name: method for name, method in METHODS.items() if method.driver in DRIVERS}
    for name, driver, *pairs in more:
        spelled = dict(pair.split("=", 1) for pair in pairs)
        found[name] = Method(driver, read_settings(DRIVERS.get(driver), spelled))
    return found


def wanted(only: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Return the names of what to run: those of ``only``, or all that are known.

    Raises:
        UnknownName: when one is not known.
    """
    names = list(known)
    for name in only or ():
        if name not in names:
            raise UnknownName.among("method", name, names)
    return list(only or names)


def told() -> str:
    """Return the head of a table: the command of a benchmark, and the versions of what it ran with."""
    command = f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}"
    return f"{command}\narchgraph {ag.__version__}, torch {torch.__version__}, one thread, a machine with other work"


@dataclass
class Clock:
    """Processor seconds of a driver's own work: choosing, rewriting, whatever it computes between requests."""

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done meanwhile."""
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - begun

    def of(self, study: ag.Study) -> tuple[float, float]:
        """Return the processor seconds that a study spent on growth, scores and measurements included, and on training.

        Args:
            study: of a search by a driver that :class:`Clocked` put on this clock.
        """
        trained = sum(trial.ledger.cpu_seconds for trial in study.trials)
        return self.seconds + study.facts["bill"]["cpu_seconds"] - trained, trained


@dataclass(frozen=True)
class Clocked(Driver):
    """A driver on a clock."""

    driver: Driver
    clock: Clock = field(default_factory=Clock, compare=False)

    def begin(self, setting: Setting) -> Session:
        with self.clock.running():
            return _ClockedSession(self.driver.begin(setting), self.clock)


class _ClockedSession(Session):
    def __init__(self, session: Session, clock: Clock) -> None:
        self._session, self._clock = session, clock
        self.lookahead = session.lookahead

    @property
    def reason(self) -> str:  # the attribute of all sessions, read from the other one
        return self._session.reason

    @property
    def done(self) -> bool:
        return self._session.done

    def ask(self) -> Request | None:
        with self._clock.running():
            return self._session.ask()

    def tell(self, request: Request, report: Report) -> None:
        with self._clock.running():
            self._session.tell(request, report)


def stages(study: ag.Study, count: int) -> list[ag.Trial]:
    """Return the trial that a study went on with after each of ``count`` stages, 0 the seed.

    Where it ended early the last one stands for all that follow.
    """
    best: dict[int, ag.Trial] = {}
    for trial in study.trials:
        if trial.ok:
            known = best.get(trial.stage)
            if known is None or trial.metrics["train.loss"] < known.metrics["train.loss"]:
                best[trial.stage] = trial
    return [best[min(stage, max(best))] for stage in range(count + 1)]
