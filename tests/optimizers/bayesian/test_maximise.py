"""Points of a space in the order of their acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from archgraph import Graph
from archgraph.errors import Unsatisfied
from archgraph.spaces import Choice, Domain, Float, Int, Space
from archgraph.spaces.space import Choose
from optimizers.bayesian import Cube, Standard, Surrogate, alone, fit


@dataclass(frozen=True)
class Conditional(Space):
    """Options with a parameter of one of them, and a requirement that a corner breaks."""

    continuous: bool = True

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        return {
            "op": Choice(("conv", "pool", "skip")),
            "kernel": Int(1, 4),
            "rate": Float(0.0, 1.0) if self.continuous else Int(0, 6),
        }

    def resolve(self, choose: Choose) -> dict[str, Any]:
        values = {"op": choose("op", self.domains["op"])}
        if values["op"] == "conv":
            values["kernel"] = choose("kernel", self.domains["kernel"])
        values["rate"] = choose("rate", self.domains["rate"])
        if values.get("kernel") == 4 and values["rate"] >= 0.8:
            raise Unsatisfied("a kernel of 4 needs a rate below 0.8")
        return values

    def build(self, values: Mapping[str, Any], seed: int = 0) -> Graph:
        raise NotImplementedError


def quality(values: Mapping[str, Any]) -> float:
    bonus = {"conv": 1.0, "pool": 0.3, "skip": 0.0}[values["op"]]
    return bonus + 0.2 * values.get("kernel", 0) - (values["rate"] - 0.6) ** 2


def acquisition(space: Space) -> Any:
    from optimizers.bayesian.acquisition import Acquisition, improvement

    drawn = [space.draw(seed) for seed in range(15)]
    drawn = [one for one in drawn if one.get("kernel", 0) < 3]  # the best are still to be found
    X = torch.stack([torch.from_numpy(space.encode(one)) for one in drawn])
    Y = torch.tensor([[quality(one)] for one in drawn], dtype=torch.float64)
    standard = Standard.of(Y)
    built = Surrogate.build(X, standard(Y), fit(X, standard(Y)))
    inner = improvement(built.model, X, objectives=1, standard=standard, reference=torch.zeros(1), pending=None, seed=0)
    cube = Cube(space.columns)
    return Acquisition(inner, cube, starts=cube.compress(X[:3]))


def test_all_points_of_a_small_space_are_ranked() -> None:
    from optimizers.bayesian.maximise import ranked

    space = Conditional(continuous=False)
    assert len(list(space.points())) == 4 * 7 - 6 + 2 * 7
    with alone(0):
        found = ranked(acquisition(space), space, seed=1)
    assert len({space.key(values) for values, _ in found}) == len(found) == 4 * 7 - 6 + 2 * 7
    assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)


def test_a_large_one_is_climbed() -> None:
    from optimizers.bayesian.maximise import ranked

    space = Conditional()
    with alone(0):
        whole = acquisition(space)
        found = ranked(whole, space, seed=1)
        other = [space.draw(seed) for seed in range(3000)]
        X = torch.stack([torch.from_numpy(space.encode(one)) for one in other])
        with torch.no_grad():
            best = float(whole.of(X[:, None, :]).max())
        assert found[0][1] >= best - 0.02
        again = ranked(acquisition(space), space, seed=1)
    assert again == found
    assert all(space.canonical(values) == values for values, _ in found)
    assert len({space.key(values) for values, _ in found}) == len(found) > 60
