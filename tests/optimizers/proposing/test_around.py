"""Points to begin with, and points beside the best."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from archgraph import Graph, Recipe, Report, Train, chain, ops
from archgraph.search import Goal, Setting
from archgraph.spaces import Parameters, Space, space
from optimizers.proposing import Around, History, Proposal, Proposing, Source
from optimizers.proposing.around import PARENTS, beside


@space
def layered(p: Parameters) -> Graph:
    """One to three layers; depth 2 has no wide last layer."""
    widths = [p.int(f"width{number}", 2, 12) for number in range(p.int("depth", 1, 3))]
    p.require(len(widths) != 2 or widths[-1] < 11, "the last of two is narrow")
    return chain(ops.Input((5,)), *map(ops.Linear, widths), ops.Linear(3))


class Elsewhere(Source):
    """Proposes draws, and remembers what it was shown."""

    def __init__(self, space: Space) -> None:
        self.space, self.shown = space, 0
        self.reason = "nothing else"

    def propose(self, history: History) -> Proposal:
        self.shown = len(history.told)
        return Proposal(self.space.draw(history.seed), note="elsewhere")


def cost(values: Mapping[str, Any]) -> float:
    """Least at one layer of 7 units."""
    return abs(values["width0"] - 7) + 5.0 * (values["depth"] - 1)


def run(near: float, count: int, *start: dict[str, Any]) -> tuple[list[Train], Elsewhere]:
    other = Elsewhere(layered)
    setting = Setting(Recipe(), 11, Goal.of("val.loss"))
    session = Proposing(Around(layered, other, start, near), layered, setting)
    found = []
    for _ in range(count):
        request = session.ask()
        assert isinstance(request, Train)
        found.append(request)
        session.tell(request, Report("", {"val.loss": cost(request.origin.values)}))
    return found, other


def test_a_neighbour_is_a_point_with_few_changes() -> None:
    numbers, changes = random.Random(4), Counter[int]()
    point = {"depth": 3, "width0": 5, "width1": 9, "width2": 4}
    for _ in range(400):
        found = beside(layered, point, numbers)
        assert found == layered.canonical(found) != point
        changes[sum(found.get(name) != value for name, value in point.items())] += 1
    assert changes[1] > 150  # two, where the depth alone becomes less: a width goes, too
    assert sum(changes.values()) == 400
    assert changes[4] < 80


def test_it_begins_as_told_and_stays_near_the_best() -> None:
    first, second = {"depth": 1, "width0": 4}, {"depth": 3, "width0": 12, "width1": 2, "width2": 2}
    asked, _ = run(1.0, 12, first, second)
    assert [dict(request.origin.values) for request in asked[:2]] == [first, second]
    costs: list[float] = [cost(request.origin.values) for request in asked]
    for place, request in enumerate(asked[2:], 2):
        kind, _, number = request.origin.note.partition(" ")
        assert kind == "beside"
        assert costs[int(number)] <= sorted(costs[:place])[:PARENTS][-1]


def test_the_other_suggester_sees_everything() -> None:
    asked, other = run(0.0, 5, {"depth": 1, "width0": 4})
    assert [request.origin.note for request in asked] == ["to begin with", *["elsewhere"] * 4]
    assert other.shown == 4
    assert Around(layered, other, (), 0.5).reason == "nothing else"


def test_without_a_beginning_the_other_one_begins() -> None:
    assert run(1.0, 2)[0][0].origin.note == "elsewhere"
    assert run(1.0, 2)[0][1].origin.note.startswith("beside")


def test_the_same_seed_the_same_points() -> None:
    assert [one.key for one in run(0.7, 9)[0]] == [one.key for one in run(0.7, 9)[0]]
