"""Names to plug-ins: what archgraph ships and what strangers' packages add are found alike, by entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any

from archgraph.errors import SettingError, UnknownName


@lru_cache(maxsize=64)
def _points(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Return the entry points of a group, which takes milliseconds, as long as Python looks in the same folders."""
    return entry_points(group=group)


class Registry:
    """A table of named objects, filled by :meth:`add` and, when first read, by the entry points of a group.

    Args:
        kind: what the entries are, for messages, such as ``"driver"``.
        group: the entry-point group, such as ``"archgraph.drivers"``.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group
        self._own: dict[str, Any] = {}

    def add(self, name: str, entry: Any) -> Any:
        """Register ``entry`` under ``name`` in this process and return it.

        Raises:
            SettingError: when the name is taken by another object.
        """
        if self._own.setdefault(name, entry) is not entry:
            raise SettingError(f"{self.kind} {name!r} is already registered", hint="choose another name")
        return entry

    def define(self, name: str, entry: type) -> None:
        """Register a class as its definition is read; a second definition of the same class replaces the first.

        Raises:
            SettingError: when the name is taken by a class from elsewhere.
        """
        known = self._own.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (entry.__module__, entry.__qualname__):
            raise SettingError(
                f"{self.kind} {name!r} is already defined in {known.__module__}", hint="choose another class name"
            )
        self._own[name] = entry

    def get(self, name: str) -> Any:
        """Return the entry called ``name``, loading its package if need be.

        Raises:
            UnknownName: when nothing is called so; the nearest name is suggested.
        """
        if name in self._own:
            return self._own[name]
        for point in _points(self.group, tuple(sys.path)):
            if point.name == name:
                return point.load()
        raise UnknownName.among(self.kind, name, self)

    def __iter__(self) -> Iterator[str]:
        names = {point.name for point in _points(self.group, tuple(sys.path))} | set(self._own)
        return iter(sorted(names))

    def __contains__(self, name: object) -> bool:
        return name in set(self)


DRIVERS = Registry("driver", "archgraph.drivers")
WEIGHT_OPTIMIZERS = Registry("weight optimizer", "archgraph.weight_optimizers")
TASKS = Registry("task", "archgraph.tasks")
SEQUENCES = Registry("task sequence", "archgraph.sequences")
OPS = Registry("op", "archgraph.ops")
MOVES = Registry("move", "archgraph.moves")
METRICS = Registry("metric", "archgraph.metrics")
CRITERIA = Registry("criterion", "archgraph.criteria")
SPACES = Registry("space", "archgraph.spaces")
