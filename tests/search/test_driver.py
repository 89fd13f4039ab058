"""Sessions made of generators, and settings read from text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from archgraph import Graph, Measure, Network, Recipe, Report, Train
from archgraph.errors import SettingError, UnknownName
from archgraph.search import Driver, Sequential, Setting, Steps, read_settings

GRAPH = Graph.parse("x = Input((2,))\ny = Linear(3)(x)\nreturn y")
FIRST, SECOND = Train(GRAPH), Measure(Network.init(GRAPH))


def steps(told: list[Report]) -> Steps:
    told.append((yield FIRST))
    told.append((yield SECOND))
    return "two were enough"


def test_a_session_asks_is_told_and_says_why_it_is_done() -> None:
    told: list[Report] = []
    session = Sequential(steps(told))
    assert not session.done
    assert session.ask() is FIRST
    assert session.ask() is None  # the report must come first
    one, other = Report("1"), Report("2", failure="diverged")
    session.tell(FIRST, one)
    assert not session.done
    assert session.ask() is SECOND
    session.tell(SECOND, other)
    assert session.done
    assert session.reason == "two were enough"
    assert session.ask() is None
    assert told == [one, other]


def test_telling_what_was_not_asked_is_refused() -> None:
    session = Sequential(steps([]))
    with pytest.raises(SettingError, match="not asked"):
        session.tell(FIRST, Report("1"))  # not asked yet
    session.ask()
    with pytest.raises(SettingError, match="not asked"):
        session.tell(Train(GRAPH), Report("1"))  # equal, but another one
    session.tell(FIRST, Report("1"))
    with pytest.raises(SettingError, match="told before"):
        session.tell(FIRST, Report("1"))


def test_a_driver_that_asks_for_nothing_is_done_at_once() -> None:
    class Idle(Driver):
        def steps(self, setting: Setting) -> Steps:
            return "nothing to do"
            yield

    session = Idle().begin(Setting(Recipe()))
    assert session.done
    assert session.reason == "nothing to do"
    assert session.ask() is None


def test_errors_of_a_driver_come_through() -> None:
    def broken() -> Steps:
        yield FIRST
        raise ZeroDivisionError

    session = Sequential(broken())
    session.ask()
    with pytest.raises(ZeroDivisionError):
        session.tell(FIRST, Report("1"))


@dataclass(frozen=True)
class Kind(Driver):
    """A driver with a setting of every type."""

    graph: Graph
    share: float = 0.5
    count: int = 3
    most: int | None = None
    eager: bool = False
    mode: str = "carry"
    sizes: tuple[int, ...] = (1, 2)
    tune: Recipe | None = None


READ: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "a float": ({"share": "0.25"}, {"share": 0.25}),
    "a whole number for a float": ({"share": "1"}, {"share": 1}),
    "a number": ({"count": "7"}, {"count": 7}),
    "a number or None": ({"most": "None"}, {"most": None}),
    "a number, not None": ({"most": "4"}, {"most": 4}),
    "a truth": ({"eager": "True"}, {"eager": True}),
    "a text": ({"mode": "fresh"}, {"mode": "fresh"}),
    "a quoted text": ({"mode": "'fresh'"}, {"mode": "fresh"}),
    "a tuple": ({"sizes": "(3, 4, 5)"}, {"sizes": (3, 4, 5)}),
}


@pytest.mark.parametrize(("texts", "values"), READ.values(), ids=READ)
def test_settings_from_text(texts: Mapping[str, str], values: dict[str, Any]) -> None:
    assert read_settings(Kind, texts) == values
    assert Kind.from_settings(GRAPH, texts) == Kind(GRAPH, **values)


UNREAD: dict[str, tuple[dict[str, str], type[Exception], str]] = {
    "unknown": ({"shared": "1"}, UnknownName, "did you mean 'share'"),
    "what has no default": ({"graph": "x"}, UnknownName, "unknown setting of Kind 'graph'"),
    "a text for a number": ({"count": "many"}, SettingError, "'count' of Kind"),
    "a float for a whole number": ({"count": "2.5"}, SettingError, "'count' of Kind"),
    "a truth for a number": ({"count": "True"}, SettingError, "'count' of Kind"),
    "a number for a truth": ({"eager": "1"}, SettingError, "'eager' of Kind"),
    "a text for a number or None": ({"most": "all"}, SettingError, "'most' of Kind"),
    "a truth for a float": ({"share": "False"}, SettingError, "'share' of Kind"),
    "what text cannot say": ({"tune": "5"}, SettingError, "'tune' of Kind"),
}


@pytest.mark.parametrize(("texts", "kind", "message"), UNREAD.values(), ids=UNREAD)
def test_settings_that_cannot_be_read(texts: Mapping[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Kind.from_settings(GRAPH, texts)
