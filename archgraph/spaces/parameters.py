"""What the build function of a space is given: it asks for parameters by name, and goes on with their values."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from archgraph.errors import SpaceError, Unsatisfied
from archgraph.graph import Op
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.interval import Float, Int
from archgraph.spaces.options import Choice, Ordered
from archgraph.spaces.space import Choose, shown


@dataclass
class Asked:
    """What one run of a build function has asked for so far."""

    choose: Choose
    seed: int | None = None
    domains: dict[str, Domain] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    required: bool = False


class Parameters:
    """Asks for the parameters of a space; each call names one and returns its value.

    Which parameters matter may depend on values, by plain Python: ``if p.bool("skip"): ...``. A name that is asked for
    twice has one value. Options may be ops and functions, too; the parameter's value is then their name.

    Args:
        asked: the run this belongs to.
        prefix: of all names, with its dot.
    """

    def __init__(self, asked: Asked, prefix: str = "") -> None:
        self._asked, self._prefix = asked, prefix

    def int(self, name: str, low: builtins.int, high: builtins.int, *, log: builtins.bool = False) -> builtins.int:
        """Return a whole number from ``low`` to ``high``, both included; with ``log`` evenly in the logarithm."""
        return self._ask(name, lambda: Int(low, high, log))

    def float(
        self, name: str, low: builtins.float, high: builtins.float, *, log: builtins.bool = False
    ) -> builtins.float:
        """Return a real number from ``low`` to ``high``; with ``log`` evenly in the logarithm."""
        return self._ask(name, lambda: Float(low, high, log))

    def bool(self, name: str) -> builtins.bool:
        """Return False or True."""
        return self._ask(name, lambda: Choice((False, True)))

    def ordered(self, name: str, numbers: Sequence[builtins.float]) -> Any:
        """Return one of a few ascending numbers, of which those next to each other are alike."""
        return self._ask(name, lambda: Ordered(tuple(numbers)))

    def choice(self, name: str, options: Iterable[Any] | Mapping[str, Any]) -> Any:
        """Return one of a few options without an order.

        Args:
            name: of the parameter.
            options: values; ops and functions, which go by their text and name; or anything, by names of your own.
        """
        named = dict(options) if isinstance(options, Mapping) else _named(name, list(options))
        return named[self._ask(name, lambda: Choice(tuple(named)))]

    def require(self, condition: object, why: str) -> None:
        """Declare values at which ``condition`` is not true to be no point of the space.

        Ask as early as can be: what is drawn before has to be drawn again.

        Args:
            condition: what must be true.
            why: what it says, for messages.

        Raises:
            Unsatisfied: when it is not true.
        """
        self._asked.required = True
        if not condition:
            raise Unsatisfied(f"a requirement is broken: {why}", got=shown(self._asked.values))

    def within(self, scope: str) -> Parameters:
        """Return an asker whose names all begin with ``scope`` and a dot, so that a sub-space can be used again."""
        return Parameters(self._asked, f"{self._prefix}{scope}.")

    @contextmanager
    def scope(self, name: str) -> Iterator[Parameters]:
        """Let all names asked for within a ``with`` block begin with ``name`` and a dot."""
        before, self._prefix = self._prefix, f"{self._prefix}{name}."
        try:
            yield self
        finally:
            self._prefix = before

    @property
    def seed(self) -> builtins.int:
        """The seed of what is random in the graph itself.

        Raises:
            SpaceError: when the space was not declared random.
        """
        if self._asked.seed is None:
            raise SpaceError("this space is not random", hint="declare it with @ag.space(random=True)")
        return self._asked.seed

    def _ask(self, name: str, make: Callable[[], Domain]) -> Any:
        asked = self._asked
        if not isinstance(name, str) or not name:
            raise SpaceError("a parameter needs a name", got=repr(name))
        name = f"{self._prefix}{name}"
        try:
            domain = make()
        except SpaceError as error:
            raise SpaceError(
                f"parameter {name!r}: {error.what}",
                expected=error.expected,
                got=f"{'' if error.got is None else f'{error.got}, '}at {shown(asked.values)}",
            ) from None
        known = asked.domains.setdefault(name, domain)
        if known != domain:
            raise two_domains(name, known, domain, asked.values)
        if name not in asked.values:
            asked.values[name] = asked.choose(name, domain)
        return asked.values[name]


def two_domains(name: str, first: Domain, second: Domain, values: Mapping[str, Value]) -> SpaceError:
    """Return the error for a parameter that is asked for with two domains."""
    return SpaceError(
        f"parameter {name!r} has two domains",
        expected=first,
        got=f"{second} at {shown(values)}",
        hint="give it one domain and p.require(...) the rest, or a name for each",
    )


def _named(name: str, options: Sequence[Any]) -> dict[Any, Any]:
    """Return options by the values that stand for them; a dict tells 1 from True only by the text of them."""
    named: dict[Any, Any] = {}
    for option in options:
        if isinstance(option, Value):
            label: Any = option
        elif isinstance(option, Op):
            label = repr(option)
        elif callable(option) and hasattr(option, "__name__"):
            label = option.__name__
        else:
            raise SpaceError(
                f"parameter {name!r}: an option must be a value, an op or a function with a name",
                got=option,
                hint="give options as a dict with names of your own",
            )
        if label in named:
            raise SpaceError(f"parameter {name!r}: option {label!r} is there twice", got=options)
        named[label] = option
    return named
