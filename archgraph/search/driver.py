"""What a search method is: it asks for evaluations and is told reports; it never trains."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe, Report, Request
from archgraph.graph import Graph

Steps = Generator[Request, Report, str]
"""A sequential search: yields requests, receives their reports, returns why it stopped."""


@dataclass(frozen=True)
class Setting:
    """What a driver is told when a search begins.

    Args:
        recipe: how candidates are to be trained.
        seed: of everything random in the driver.
    """

    recipe: Recipe
    seed: int = 0


class Session(ABC):
    """One run of a driver: ask, evaluate, tell, until it is done."""

    reason: str = ""
    """Why it is done, as a sentence for people."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether nothing more will be asked."""

    @abstractmethod
    def ask(self) -> Request | None:
        """Return the next request, or None when reports must come first or the session is done."""

    @abstractmethod
    def tell(self, request: Request, report: Report) -> None:
        """Receive the report on a request that was asked; it may have failed.

        Raises:
            SettingError: when the request was not asked or was told before.
        """


class Driver:
    """A search method as a value; subclasses are frozen dataclasses.

    Drivers that do one thing after the other write :meth:`steps`; others override :meth:`begin`.
    """

    def steps(self, setting: Setting) -> Steps:
        """Yield requests one by one, receive their reports, return why the search stopped."""
        raise NotImplementedError

    def begin(self, setting: Setting) -> Session:
        """Start a run; the same setting and reports give the same requests."""
        return Sequential(self.steps(setting))

    @classmethod
    def from_settings(cls, graph: Graph, settings: Mapping[str, str]) -> Self:
        """Build the driver from a seed graph and settings as text, as the command line gives them.

        Raises:
            UnknownName: when there is no such setting.
            SettingError: when a value cannot be used.
        """
        return cls(graph, **read_settings(cls, settings))  # type: ignore[call-arg]

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Return the settings that :meth:`from_settings` takes, by name, with their defaults."""
        return default_settings(cls)


class Sequential(Session):
    """A session made of a generator."""

    def __init__(self, steps: Steps) -> None:
        self._steps, self._asked, self._done = steps, False, False
        self._open: Request | None = None
        self._advance(None)

    @property
    def done(self) -> bool:
        return self._done

    def ask(self) -> Request | None:
        if self._asked:
            return None
        self._asked = True
        return self._open

    def tell(self, request: Request, report: Report) -> None:
        if request is not self._open or not self._asked:
            raise SettingError("this request was not asked, or was told before", hint="tell what ask() returned, once")
        self._advance(report)

    def _advance(self, report: Report | None) -> None:
        try:
            self._open = next(self._steps) if report is None else self._steps.send(report)
            self._asked = False
        except StopIteration as end:
            self._open, self._done, self.reason = None, True, str(end.value or "")


def default_settings(kind: type) -> dict[str, Any]:
    """Return the fields of a dataclass that have a default, with it."""
    return {field.name: field.default for field in fields(kind) if field.init and field.default is not MISSING}


def read_settings(kind: type, settings: Mapping[str, str]) -> dict[str, Any]:
    """Read settings of a dataclass from text: numbers, True, False, None, tuples, else the text itself.

    Raises:
        UnknownName: when there is no such setting, with the nearest suggested.
        SettingError: when a value has another type than the field.
    """
    known, hints = default_settings(kind), get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in known:
            raise UnknownName.among(f"setting of {kind.__name__}", name, known)
        values[name] = _literal(text)
        if not _fits(values[name], hints.get(name, Any)):
            raise SettingError(
                f"setting {name!r} of {kind.__name__} cannot be this",
                expected=f"{_spelled(hints[name])}, for example {known[name]!r}",
                got=repr(values[name]),
            )
    return values


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; whole numbers are floats too, True and False are no numbers."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return any(_fits(value, part) for part in get_args(hint))
    kind = get_origin(hint) or hint
    if not isinstance(kind, type) or kind is object:
        return True
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
