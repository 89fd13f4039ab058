"""Drivers from the command line: by name, with settings as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from archgraph.errors import SettingError
from archgraph.evaluation import Recipe
from archgraph.graph import Graph
from archgraph.registry import DRIVERS
from archgraph.search import Driver
from archgraph.search.spaces import SPACE
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular

LIMITS = ("candidates", "stages")
"""Settings that end a driver, where it has them."""


def driver_kind(label: str) -> type[Driver]:
    """Return the driver registered under a name.

    Raises:
        UnknownName: when there is none.
        SettingError: when what is registered is no driver.
    """
    kind = DRIVERS.get(label)
    if not (isinstance(kind, type) and issubclass(kind, Driver)):
        raise SettingError(f"what is registered as driver {label!r} is none", expected="a subclass of Driver", got=kind)
    return kind


def read_driver(
    label: str, kind: type[Driver], graph: Graph, settings: Mapping[str, str], tune: Recipe | None = None
) -> Driver:
    """Build a driver from its settings; the recipe of later trainings is an option of its own.

    Args:
        label: the name, for messages.
        kind: the driver's class.
        graph: where it starts.
        settings: as text, by name.
        tune: the recipe of later trainings.

    Raises:
        UnknownName: when it has no such setting.
        SettingError: when a value cannot be used, or a recipe is given that it does not take.
    """
    if "tune" in settings:
        raise SettingError("tune is no single value", hint="--tune epochs=10 lr=0.005")
    driver: Any = kind.from_settings(graph, settings)
    if tune is None:
        return driver
    if not takes_tune(kind):
        raise SettingError(f"driver {label!r} trains by one recipe alone", hint="leave --tune out")
    return replace(driver, tune=tune)


def spaced(kind: type[Driver], task: Task, settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings with the space that the task's table is of, where the driver takes one and none is given.

    Args:
        kind: the driver's class.
        task: the task.
        settings: as text, by name.
    """
    usual = {SPACE: task.space} if isinstance(task, Tabular) and SPACE in kind.settings() else {}
    return usual | dict(settings)


def takes_tune(kind: type[Driver]) -> bool:
    """Whether a driver takes a recipe of its own for later trainings."""
    return is_dataclass(kind) and "tune" in {field.name for field in fields(kind)}


def ends(kind: type[Driver], settings: Mapping[str, str]) -> bool:
    """Whether settings, as text, end a driver: it has a number of candidates, of stages, or both where it has both."""
    own = [name for name in LIMITS if name in kind.settings()]
    return bool(own) and all(settings.get(name, "None") != "None" for name in own)
