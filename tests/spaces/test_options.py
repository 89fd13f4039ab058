"""Options: one-hot without an order, evenly spaced with one; 1 is not True."""

from __future__ import annotations

import random
from typing import Any

import pytest

from archgraph.errors import SpaceError
from archgraph.spaces import Choice, Domain, Ordered

DOMAINS: list[Domain] = [
    Choice(("a", "b", "c")),
    Choice((1, True, "1", 2.5)),
    Choice((False, True)),
    Choice(("only",)),
    Ordered((1, 2, 4, 8, 32)),
    Ordered((0.1, 1, 10.0)),
    Ordered((7,)),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_every_option_is_met_again(domain: Domain) -> None:
    values = list(domain.values())
    assert len(values) == domain.size
    for value in values:
        columns = domain.encode(value)
        assert len(columns) == len(domain.levels) == len(domain.middle) == len(domain.labels("p"))
        assert all(number in (levels or ()) for number, levels in zip(columns, domain.levels, strict=True))
        assert domain.decode(columns) is value
        assert domain.find(value) is value


def test_codes() -> None:
    assert Choice(("a", "b", "c")).encode("b") == (0.0, 1.0, 0.0)
    assert Choice(("a", "b", "c")).middle == (1 / 3,) * 3
    assert Choice(("a", "b")).labels("op") == ("op=a", "op=b")
    assert Ordered((1, 2, 4, 8, 32)).encode(8) == (0.75,)
    assert Ordered((1, 2, 4, 8, 32)).middle == (0.5,)
    assert Ordered((7,)).encode(7) == (0.5,)


def test_decoding_takes_the_nearest() -> None:
    assert Choice(("a", "b", "c")).decode((0.2, 0.3, 0.29)) == "b"
    assert Choice(("a", "b", "c")).decode((0.5, 0.5, 0.5)) == "a"
    assert [Ordered((1, 2, 40)).decode((place,)) for place in (-1.0, 0.2, 0.3, 0.74, 0.76, 3.0)] == [1, 1, 2, 2, 40, 40]


def test_neighbours() -> None:
    assert list(Choice(("a", "b", "c")).neighbours("b")) == ["a", "c"]
    assert list(Choice((1, True)).neighbours(True)) == [1]
    assert list(Ordered((1, 2, 4, 8)).neighbours(4)) == [2, 8]
    assert list(Ordered((1, 2, 4, 8)).neighbours(1)) == [2]
    assert list(Ordered((1,)).neighbours(1)) == []


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_every_option_is_drawn(domain: Domain) -> None:
    numbers = random.Random(0)
    drawn = {repr(domain.draw(numbers)) for _ in range(200)}
    assert drawn == {repr(value) for value in domain.values()}


def test_truth_values_are_no_numbers() -> None:
    domain = Choice((1, True))
    assert (domain.find(1), domain.find(True), domain.find(1.0)) == (1, True, 1)
    assert domain.find(1) is not True
    assert Ordered((0, 1)).find(True) is None
    assert Ordered((0, 1)).find(1.0) == 1
    assert type(Ordered((0, 1)).find(1.0)) is int


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Choice(()), "at least one option"),
        (lambda: Choice(("a", "a")), "option 'a' is there twice"),
        (lambda: Choice((1, 1.0)), "is there twice"),
        (lambda: Choice(((1, 2),)), "an option must be text"),  # type: ignore[arg-type]
        (lambda: Choice((float("nan"),)), "an option must be text"),
        (lambda: Ordered(()), "at least one number"),
        (lambda: Ordered((2, 1)), "must ascend"),
        (lambda: Ordered((1, 1)), "must ascend"),
        (lambda: Ordered((1, True)), "holds finite numbers"),
        (lambda: Ordered(("a",)), "holds finite numbers"),  # type: ignore[arg-type]
    ],
)
def test_wrong_options(make: Any, what: str) -> None:
    with pytest.raises(SpaceError, match=what):
        make()
