"""Points to begin with: values, graphs, trials and earlier studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from archgraph import Graph, Recipe, Report, Study, Train
from archgraph.errors import SettingError, SpaceError
from archgraph.evaluation import Fidelity, Origin
from archgraph.spaces import Choice, Domain, Int, Neighbourhood, Space
from optimizers.proposing import points
from optimizers.proposing.start import BEST


class Wide(Space):
    """Ten widths of a layer, with one of two activations."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        return {"width": Int(1, 10), "act": Choice(("ReLU", "Tanh"))}

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        point = self.canonical(values)
        lines = f"x = Input((4,))\na = Linear({point['width']})(x)\nf = {point['act']}()(a)\ny = Linear(3)(f)\nreturn y"
        return Graph.parse(lines)


class Drawn(Wide):
    random = True


SPACE = Wide()


def at(width: int, act: str = "ReLU") -> dict[str, Any]:
    return {"width": width, "act": act}


def study(losses: Mapping[int, float], *, epochs: int | None = None, constraint: str = "params<=1e9") -> Study:
    """Return a study in memory with a trial a width."""
    held = Study("earlier", objective="val.loss", constraints=[constraint])
    for width, loss in losses.items():
        request = Train(SPACE.build(at(width)), Recipe(epochs=4), origin=Origin(values=at(width)))
        fidelity = Fidelity(epochs)
        held.record(request, Report(f"{width}", {"val.loss": loss, "params": width * 8.0}, fidelity=fidelity))
    return held


def test_values_and_graphs_are_points_each_once() -> None:
    renamed = Graph.parse("p = Input((4,))\nq = Linear(7)(p)\nr = Tanh()(q)\ns = Linear(3)(r)\nreturn s")
    found = points(SPACE, [at(3), renamed, {"act": "ReLU", "width": 3}])
    assert found == (at(3), at(7, "Tanh"))


def test_of_a_study_the_best_points_are_taken() -> None:
    losses = {width: abs(width - 4.2) for width in range(1, 9)}
    found = points(SPACE, [study(losses)])
    assert [one["width"] for one in found] == [4, 5, 3, 6, 2]
    assert len(found) == BEST
    kept = points(SPACE, [study(losses, constraint="params<=16")])
    assert [one["width"] for one in kept] == [2, 1, 3, 4, 5]


def test_a_trial_is_the_point_it_was_made_from() -> None:
    held = study({6: 0.2, 2: 0.1})
    assert points(SPACE, held.trials[:1]) == (at(6),)


def test_a_graph_of_a_neighbourhood_is_a_point() -> None:
    seed, other = SPACE.build(at(5)), SPACE.build(at(9))
    assert points(Neighbourhood(seed), [other]) == ({"graph": str(other)},)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([at(11)], "11"),
        ([Graph.parse("x = Input((4,))\ny = Linear(3)(x)\nreturn y")], "no point of the space makes this graph"),
        (at(3), "several"),
        (["width=3"], "stands for no point"),
        ([Study("nothing")], "has no successful trial"),
    ],
    ids=["out of range", "another graph", "not several", "text", "an empty study"],
)
def test_what_stands_for_no_point_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        points(SPACE, given)


def test_drawn_graphs_have_no_values() -> None:
    with pytest.raises(SpaceError, match="at random"):
        points(Drawn(), [SPACE.build(at(3))])
