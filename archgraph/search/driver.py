"""What a search method is: it asks for evaluations and is told reports; it never trains."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from archgraph.errors import SettingError, UnknownName
from archgraph.evaluation import Recipe, Report, Request, describe
from archgraph.graph import Graph
from archgraph.search.budget import Budget
from archgraph.search.goal import Goal
from archgraph.search.objective import Objective

Steps = Generator[Any, Any, str]
"""A search as a generator: yields a request and receives its report, or a list of requests, which may be evaluated at
the same time, and receives the list of their reports in the same order; returns why it stopped."""


@dataclass(frozen=True)
class Setting:
    """What a driver is told when a search begins.

    Args:
        recipe: how candidates are to be trained.
        seed: of everything random in the driver.
        goal: what the study is after: objectives with their directions, by full names, and constraints.
        describe: gives the metrics of a graph that are known before it is trained.
        budget: what the search may spend. The search itself ends it there; it is here for drivers that divide it.
    """

    recipe: Recipe
    seed: int = 0
    goal: Goal = field(default_factory=lambda: Goal.of("val.loss"))
    describe: Callable[[Graph], Mapping[str, float]] = describe
    budget: Budget = field(default_factory=Budget)

    @property
    def objective(self) -> Objective:
        """What the study chooses its best trial by, the first of several objectives."""
        return self.goal.objectives[0]


class Session(ABC):
    """One run of a driver: ask, evaluate, tell, until it is done.

    Reports are told in the order in which their requests were asked, however many workers there are and whichever is
    done first.
    """

    reason: str = ""
    """Why it is done, as a sentence for people."""

    lookahead: int | None = 1
    """How many requests may be asked before the first of them is told, which is how many may be evaluated at once.

    The search asks until so many are open or :meth:`ask` returns None, then tells the one that was asked first, and so
    on: the session sees the same calls in the same order with any number of workers. None is for sessions to which that
    order does not matter, as they return None from :meth:`ask` whenever they need a report first: of these the search
    asks as much as there are workers for.
    """

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether nothing more will be asked."""

    @property
    def findings(self) -> str:
        """What was learnt besides the best trial, for people: the end of ``study.stopped``, whatever stopped it."""
        return ""

    @abstractmethod
    def ask(self) -> Request | None:
        """Return the next request, or None when reports must come first or the session is done."""

    @abstractmethod
    def tell(self, request: Request, report: Report) -> None:
        """Receive the report on a request that was asked; it may have failed.

        Raises:
            SettingError: when the request was not asked or was told before.
        """

    def hear(self, request: Request, report: Report) -> None:  # noqa: B027
        """Receive what a request has come to so far, where another driver trains it in stages: one report a stage.

        The last is told, too, or an earlier one that was needed before. Whoever learns from trainings at several
        fidelities takes note of all; by default nothing is done.
        """


class Driver:
    """A search method as a value; subclasses are frozen dataclasses.

    Drivers write :meth:`steps`; one whose requests do not depend on reports returns :class:`Independent` from
    :meth:`begin`, and one that is no generator a session of its own.
    """

    def steps(self, setting: Setting) -> Steps:
        """Yield requests, one by one or lists of them, receive their reports, return why the search stopped."""
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
    """A session made of a generator that needs the reports on what it has yielded before it goes on."""

    lookahead = None

    def __init__(self, steps: Steps) -> None:
        self._steps, self._done, self._several = steps, False, False
        self._batch: list[Request] = []
        self._reports: list[Report | None] = []
        self._asked = 0
        self._advance(None)

    @property
    def done(self) -> bool:
        return self._done

    def ask(self) -> Request | None:
        if self._asked == len(self._batch):
            return None
        self._asked += 1
        return self._batch[self._asked - 1]

    def tell(self, request: Request, report: Report) -> None:
        places = [place for place, one in enumerate(self._batch[: self._asked]) if one is request]
        place = next((place for place in places if self._reports[place] is None), None)
        if place is None:
            raise _never_asked()
        self._reports[place] = report
        if all(self._reports):
            self._advance(self._reports if self._several else report)

    def _advance(self, told: Any) -> None:
        """Let the generator go on until it yields requests again."""
        self._batch, self._reports, self._asked = [], [], 0
        try:
            while not self._batch:
                found = next(self._steps) if told is None else self._steps.send(told)
                self._several = isinstance(found, list | tuple)
                self._batch, told = list(found) if self._several else [found], []
        except StopIteration as end:
            self._done, self.reason = True, str(end.value or "")
        self._reports = [None] * len(self._batch)


class Independent(Session):
    """A session made of a generator that yields requests without looking at their reports; any number at once."""

    lookahead = None

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._open: list[Request] = []
        self._next: Request | None = None
        self._exhausted = False
        self._advance()

    @property
    def done(self) -> bool:
        return self._exhausted and not self._open

    def ask(self) -> Request | None:
        asked = self._next
        if asked is not None:
            self._open.append(asked)
            self._advance()
        return asked

    def tell(self, request: Request, report: Report) -> None:
        place = next((place for place, one in enumerate(self._open) if one is request), None)
        if place is None:
            raise _never_asked()
        del self._open[place]

    def _advance(self) -> None:
        try:
            self._next = next(self._steps)
        except StopIteration as end:
            self._next, self._exhausted, self.reason = None, True, str(end.value or "")


def _never_asked() -> SettingError:
    return SettingError("this request was not asked, or was told before", hint="tell what ask() returned, once")


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
        values[name] = read_value(text, hints.get(name, Any), f"setting {name!r} of {kind.__name__}", known[name])
    return values


def read_value(text: str, hint: Any, what: str, example: object) -> Any:
    """Read a value from text: a number, True, False, None, a tuple, else the text itself.

    Args:
        text: as the command line gives it.
        hint: the type that it must have.
        what: it is, for the error.
        example: of such a value, for the error.

    Raises:
        SettingError: when it has another type.
    """
    value = _literal(text)
    if not _fits(value, hint):
        expected = f"{_spelled(hint)}, for example {example!r}"
        raise SettingError(f"{what} cannot be this", expected=expected, got=repr(value))
    return value


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
