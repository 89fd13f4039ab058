"""Define-by-run: a space is a function that asks for parameters and returns a graph."""

from __future__ import annotations

import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, overload

from archgraph.errors import ArchGraphError, GraphError, SpaceError, Unsatisfied
from archgraph.graph import Graph
from archgraph.spaces import counting
from archgraph.spaces.conditions import Condition, conditions
from archgraph.spaces.discovery import Discovery, discover
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.parameters import Asked, Parameters, two_domains
from archgraph.spaces.space import Choose, Space, shown

Build = Callable[[Parameters], Graph]
Merge = Callable[[dict[str, Value]], dict[str, Value]]
T = TypeVar("T")

TRIES = 64
"""Draws in a row without a new parameter after which discovery ends."""
KEPT = 256
"""Points whose graphs are kept at hand."""


class Defined(Space):
    """The space of a build function; see :func:`space`.

    Args:
        function: builds the graph.
        name: for messages and tables.
        merge: gives the values that stand for all that make the same graph.
        random: whether the function uses ``p.seed``.
        skip_invalid: whether values at which the graph would not be valid are no points, rather than an error.
        tries: draws in a row without a new parameter after which discovery ends.
        points: how many there are, where that is known.
        usual: values with which people would begin, where that is known; what it leaves out is in the middle.
    """

    def __init__(
        self,
        function: Build,
        *,
        name: str | None = None,
        merge: Merge | None = None,
        random: bool = False,
        skip_invalid: bool = False,
        tries: int = TRIES,
        points: int | None = None,
        usual: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            raise SpaceError("a space is made of a function that builds a graph", got=repr(function))
        self.function, self.random = function, random
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self._merge, self._skip_invalid, self._tries, self._known = merge, skip_invalid, tries, points
        self._usual = None if usual is None else dict(usual)
        self._graphs: OrderedDict[str, Graph] = OrderedDict()
        self._points: OrderedDict[str, dict[str, Value]] = OrderedDict()
        self.__doc__ = function.__doc__
        self.__module__ = getattr(function, "__module__", type(self).__module__)

    # ------------------------------------------------------------------ what was found out
    @cached_property
    def discovery(self) -> Discovery:
        """What the build function asks for, found by running it."""
        return discover(self._run, self._tries)

    @property
    def domains(self) -> Mapping[str, Domain]:
        return self.discovery.domains

    @cached_property
    def conditions(self) -> Mapping[str, Condition | None]:
        """When the parameters matter that do not always, by name; None where no single parameter tells."""
        return conditions(self.discovery)

    @cached_property
    def count(self) -> counting.Count:
        """Number of points, and how it was found."""
        if self._known is not None:
            return counting.Count(self._known, 0.0, "declared")
        known = {name: one for name, one in self.conditions.items() if one is not None}
        simple = len(known) == len(self.conditions) and self._merge is None
        simple = simple and not self.discovery.required and not self._skip_invalid
        if not counting.countable(self.domains.values()):
            return counting.Count(float("inf"), 0.0, "conditions")
        if simple:
            return counting.add_up(self.domains, known)
        return counting.walk(self) or counting.estimate(self)

    @property
    def size(self) -> float:
        return self.count.points

    @property
    def usual(self) -> Mapping[str, Value] | None:
        if (usual := self._usual) is None:
            return None
        whole = self.resolve(lambda name, domain: usual.get(name, domain.decode(domain.middle)))
        return self.canonical({**whole, **usual})

    # ------------------------------------------------------------------ running the function
    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        key = _key(point, seed if self.random else None)
        if key not in self._graphs:
            _keep(self._graphs, key, self._run(Asked(lambda name, _: point[name], seed if self.random else None)))
        return self._graphs[key]

    def canonical(self, values: Mapping[str, Any]) -> dict[str, Value]:
        key = _key(values)
        if key not in self._points:
            _keep(self._points, key, super().canonical(values))
        return dict(self._points[key])

    def resolve(self, choose: Choose) -> dict[str, Value]:
        domains = self.domains

        def known(name: str, domain: Domain) -> Value:
            if name not in domains:
                raise SpaceError(
                    f"parameter {name!r} was not found when the space was explored",
                    expected=", ".join(domains) or "no parameters",
                    got=f"{domain} at {shown(asked.values)}",
                    hint=f"explore longer, as in space(build, tries={16 * self._tries})",
                )
            if domains[name] != domain:
                raise two_domains(name, domains[name], domain, asked.values)
            return choose(name, domain)

        asked = Asked(known)
        graph = self._run(asked)
        if not self.random:
            _keep(self._graphs, _key(asked.values, None), graph)
        return asked.values

    def merge(self, values: dict[str, Value]) -> dict[str, Value]:
        return values if self._merge is None else self._merge(dict(values))

    def _run(self, asked: Asked) -> Graph:
        """Run the build function.

        Raises:
            SpaceError: when it fails or returns no graph, with the values.
            Unsatisfied: when a requirement is broken.
        """
        if asked.seed is None and self.random:
            asked.seed = 0
        try:
            graph = self.function(Parameters(asked))
        except SpaceError:
            raise
        except GraphError as error:
            if self._skip_invalid:
                raise Unsatisfied(f"the graph is not valid: {error.what}", got=shown(asked.values)) from error
            raise self._failed(error, asked) from error
        except Exception as error:
            raise self._failed(error, asked) from error
        if not isinstance(graph, Graph):
            raise SpaceError(
                f"the build function of space {self.name!r} returned no graph",
                expected="a Graph",
                got=f"{graph!r} at {shown(asked.values)}",
                hint="end it with `return build.graph(last)`",
            )
        return graph

    def _failed(self, error: Exception, asked: Asked) -> SpaceError:
        where = f"space {self.name!r} has no graph at {shown(asked.values)}"
        if not isinstance(error, ArchGraphError):
            return SpaceError(f"{where}: {type(error).__name__}: {error}", hint=_line_of(error, self.function))
        invalid = "leave such values out by p.require(...) or @ag.space(skip_invalid=True)"
        return SpaceError(
            f"{where}: {error.what}",
            expected=error.expected,
            got=error.got,
            hint=error.hint or (invalid if isinstance(error, GraphError) else None),
            place=error.place,
        )

    # ------------------------------------------------------------------ as a value
    def __repr__(self) -> str:
        return f"space({self.__module__}:{self.name})"

    def __reduce__(self) -> Any:
        path = str(getattr(self.function, "__qualname__", self.name))
        here: Any = sys.modules.get(str(self.__module__))
        for part in path.split("."):
            here = getattr(here, part, None)
        if here is self:  # a decorated function goes by its name
            return path
        settings = {"name": self.name, "merge": self._merge, "random": self.random}
        settings |= {
            "skip_invalid": self._skip_invalid,
            "tries": self._tries,
            "points": self._known,
            "usual": self._usual,
        }
        return (_rebuilt, (self.function, settings))


@overload
def space(function: Build, /) -> Defined: ...


@overload
def space(
    function: None = None,
    /,
    *,
    name: str | None = None,
    merge: Merge | None = None,
    random: bool = False,
    skip_invalid: bool = False,
    tries: int = TRIES,
    points: int | None = None,
    usual: Mapping[str, Any] | None = None,
) -> Callable[[Build], Defined]: ...


@overload
def space(
    function: Build,
    /,
    *,
    name: str | None = None,
    merge: Merge | None = None,
    random: bool = False,
    skip_invalid: bool = False,
    tries: int = TRIES,
    points: int | None = None,
    usual: Mapping[str, Any] | None = None,
) -> Defined: ...


def space(function: Build | None = None, /, **settings: Any) -> Any:
    """Make a space of a function ``build(p)`` that asks for parameters and returns a graph; works as a decorator, too.

    The function is plain Python: conditions are ``if``, repeats are ``for``. It must be pure: the same values, the same
    graph. It is run many times, with drawn values at first to find its parameters.

    Args:
        function: builds a graph from what it asks ``p`` for (see :class:`Parameters`).
        **settings: ``name``; ``merge``, a function from values to the values that stand for all that make the same
            graph; ``random=True`` when it uses ``p.seed``; ``skip_invalid=True`` to leave out values at which the graph
            would not be valid; ``tries``, draws in a row without a new parameter after which exploring ends;
            ``points``, how many there are, where you know better than counting; ``usual``, values of a point with which
            you would begin by hand, from which some drivers do.

    Returns:
        The space, or what makes one of a function when none is given.

    Raises:
        SpaceError: later, when it is used: a parameter with two domains, an empty domain, requirements that nothing
            satisfies, a function that fails or returns no valid graph; always with the values.

    >>> from archgraph import chain, ops
    >>> @space
    ... def mlp(p):
    ...     layers = [ops.Input((8,))]
    ...     for number in range(p.int("depth", 1, 2)):
    ...         layers += [ops.Linear(p.ordered(f"width{number}", (4, 8, 16))), ops.ReLU()]
    ...     return chain(*layers, ops.Linear(3))
    >>> mlp.size, mlp.draw(seed=1)
    (12, {'depth': 1, 'width0': 16})
    """
    return Defined(function, **settings) if function is not None else lambda build: Defined(build, **settings)


def _line_of(error: Exception, function: Build) -> str | None:
    """Return the last line of the build function's own file that an error came through."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {lines[-1].lineno} of {file}: {lines[-1].line}" if lines else None


def _rebuilt(function: Build, settings: dict[str, Any]) -> Defined:
    return Defined(function, **settings)


def _key(values: Mapping[str, Any], seed: int | None = None) -> str:
    return repr((sorted(values.items()), seed))


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)
