"""Discovery: which parameters a build function asks for, and when, found by running it at many values."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archgraph.errors import SpaceError, Unsatisfied
from archgraph.spaces.domain import Domain, Value
from archgraph.spaces.parameters import Asked, two_domains

LISTED = 32
"""Values of a parameter that are all tried; of one that has more, the ends, the middle and a few draws."""
DRAWN = 5


@dataclass(frozen=True)
class Trace:
    """What one run of a build function asked for.

    Args:
        values: by name, in the order in which they were asked for.
        whole: whether it got to its end, and no requirement was broken.
    """

    values: Mapping[str, Value]
    whole: bool


@dataclass(frozen=True)
class Discovery:
    """What is known of a build function.

    Args:
        domains: of every parameter that was asked for, in an order in which they are asked for.
        traces: of all runs.
        required: whether it has requirements.
    """

    domains: Mapping[str, Domain]
    traces: tuple[Trace, ...]
    required: bool

    def sometimes(self) -> tuple[str, ...]:
        """Return the parameters that do not always matter."""
        whole = [trace for trace in self.traces if trace.whole]
        return tuple(name for name in self.domains if any(name not in trace.values for trace in whole))


def discover(run: Callable[[Asked], Any], tries: int) -> Discovery:
    """Run a build function until nothing new comes: at every value of every parameter, then at draws.

    A parameter that is met first is tried at each of its values with all others as they were there; so conditions on
    one parameter at a time are all found, and those on several with the chance that draws meet them. The same function
    gives the same discovery.

    Args:
        run: the build function on what asks and answers.
        tries: after how many draws in a row without a new parameter it ends.

    Raises:
        SpaceError: when a parameter has two domains, the function fails, or no values meet its requirements.
    """
    return _Search(run).search(tries)


class _Search:
    def __init__(self, run: Callable[[Asked], Any]) -> None:
        self._run, self._numbers = run, random.Random(0)
        self._domains: dict[str, Domain] = {}
        self._order: list[str] = []
        self._waiting: deque[dict[str, Value]] = deque()
        self._traces: list[Trace] = []
        self._required = False

    def search(self, tries: int) -> Discovery:
        quiet, refused = 0, None
        while self._waiting or quiet < tries:
            forced = self._waiting.popleft() if self._waiting else None
            new, error = self._observe(forced or {})
            refused = error or refused
            quiet = 0 if new else quiet + (forced is None)
        if refused is not None and not any(trace.whole for trace in self._traces):
            self._last_resort(refused)
        ordered = {name: self._domains[name] for name in self._order}
        return Discovery(ordered, tuple(self._traces), self._required)

    def _last_resort(self, refused: Unsatisfied) -> None:
        for _ in range(1000):
            if self._observe({})[1] is None:
                return
        raise SpaceError(
            f"no values in {len(self._traces)} tries meet the requirements of the space; {refused.what}",
            got=f"for example {refused.got}",
            hint="widen a domain or drop a requirement",
        ) from refused

    def _observe(self, forced: Mapping[str, Value]) -> tuple[bool, Unsatisfied | None]:
        """Run once; return whether a parameter is new, and the requirement that was broken, if any."""

        def choose(name: str, domain: Domain) -> Value:
            known = self._domains.get(name, domain)
            if known != domain:
                raise two_domains(name, known, domain, asked.values)
            return forced[name] if name in forced else domain.draw(self._numbers)

        asked, refused = Asked(choose), None
        try:
            self._run(asked)
        except Unsatisfied as error:
            refused = error
        self._traces.append(Trace(asked.values, refused is None))
        self._required |= asked.required
        new = [name for name in asked.values if name not in self._domains]
        before = {name: earlier for earlier, name in zip([None, *asked.values], asked.values, strict=False)}
        for name in new:
            earlier = before[name]
            self._order.insert(0 if earlier is None else self._order.index(earlier) + 1, name)
            self._domains[name] = asked.domains[name]
            values = _probes(asked.domains[name], self._numbers)
            self._waiting += [{**asked.values, name: value} for value in values if value != asked.values[name]]
        return bool(new), refused


def _probes(domain: Domain, numbers: random.Random) -> Iterator[Value]:
    if domain.size <= LISTED:
        yield from domain.values()
        return
    width = len(domain.middle)
    for place in (0.0, 0.5, 1.0):
        yield domain.decode((place,) * width)
    for _ in range(DRAWN):
        yield domain.draw(numbers)
