"""The flat generator: one wiring a stage, the same for the same seed, as wide as it may be."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archgraph import Graph, Network
from archgraph.errors import SettingError, SpaceError
from archgraph.generators.flat_generator import DEFAULT, FlatGenerator, flat
from archgraph.metrics import params

SPACE = FlatGenerator((3, 16, 13), 7, params=60_000, head=32, N=(4, 9), M=(1, 5))


def but(**changes: Any) -> FlatGenerator:
    fields = {name: getattr(SPACE, name) for name in SPACE.__dataclass_fields__}
    return FlatGenerator(**fields | changes)


SPACES = {
    "watts-strogatz": SPACE,
    "erdos-renyi": but(model="erdos-renyi"),
    "barabasi-albert": but(model="barabasi-albert", separable=True),
    "per stage": but(per_stage=True),
    "two stages": but(ratios=(1.0, 1.5), per_stage=True, model="barabasi-albert"),
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_networks_have_one_wiring_a_stage(space: FlatGenerator) -> None:
    for seed in range(5):
        values = space.draw(seed)
        hierarchy = space.hierarchy(values, seed)
        stages = len(space.ratios)
        wanted = [values[f"N_{stage}" if space.per_stage else "N"] for stage in range(1, stages + 1)]
        assert [len(cell.blocks) for cell in hierarchy.cells] == [1] * stages
        assert [len(cell.blocks[0].leaves) for cell in hierarchy.cells] == wanted
        assert [cell.stage for cell in hierarchy.cells] == list(range(stages))
        graph = space.build(values, seed)
        assert graph == space.build(values, seed)
        assert params(graph) <= space.params
        y = Network.init(graph).to_torch()(torch.randn(2, 3, 16, 13))
        assert y.shape == (2, 7)
        sides = [graph.shape(f"c{stage}_b0_l0_conv").dims[1:] for stage in range(stages)]
        assert sides == [(16, 13), (8, 7), (4, 4)][:stages]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_seeds_make_different_networks_at_one_point(space: FlatGenerator) -> None:
    point = {name: (9 if name[0] == "N" else 2 if name[0] in "KM" else 0.5) for name in space.domains}
    assert len({space.build(point, seed) for seed in range(12)}) > 10


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_points_survive_the_unit_cube(space: FlatGenerator) -> None:
    for seed in range(20):
        point = space.draw(seed)
        assert space.decode(space.encode(point)) == point == space.canonical(point)


def test_parameters() -> None:
    assert list(SPACES["watts-strogatz"].domains) == ["N", "K", "P"]
    assert list(SPACES["erdos-renyi"].domains) == ["N", "P"]
    assert list(SPACES["two stages"].domains) == ["N_1", "M_1", "N_2", "M_2"]
    assert SPACE.canonical({"N": 4, "K": 4, "P": 0.5}) == {"N": 4, "K": 2, "P": 0.5}
    assert SPACE.canonical({"N": 5, "K": 4, "P": 0.5}) == {"N": 5, "K": 4}  # a full ring is never rewired
    assert SPACES["barabasi-albert"].canonical({"N": 4, "M": 5}) == {"N": 4, "M": 3}


def test_the_default_point_is_that_of_randomly_wired_networks() -> None:
    space = FlatGenerator((3, 32, 32), 10)
    hierarchy = space.hierarchy(DEFAULT, 0)
    assert hierarchy.leaves == 96
    assert {len(cell.blocks[0].wiring.edges) for cell in hierarchy.cells} == {64}
    assert 0.9 * 4_000_000 < params(space.build(DEFAULT, 0)) <= 4_000_000


def test_a_seed_graph_says_what_goes_in_and_out() -> None:
    seed = Graph.parse(
        "x = Input((2, 9, 7))\na = Conv2d(3, kernel_size=3)(x)\np = GlobalAvgPool()(a)\ny = Linear(5)(p)\nreturn y"
    )
    space = flat(seed, N=(3, 5), model="erdos-renyi")
    assert (space.input_shape, space.outputs, space.params, space.head) == ((2, 9, 7), 5, 40_000, 64)
    assert space.sample(3).shape("linear1").dims == (5,)


def test_what_fits_at_no_width_says_where() -> None:
    with pytest.raises(SpaceError, match=r"N=9, K=2, P=0\.3, seed 2: the network has too many parameters"):
        but(params=900).build({"N": 9, "K": 2, "P": 0.3}, seed=2)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"model": "tree"}, "unknown model of random graphs"),
        ({"N": (0, 4)}, "N and M start at 1"),
        ({"P": (0.0, 2.0)}, "P lies between 0 and 1"),
        ({"M": (3,)}, "M needs a least and a greatest"),
        ({"K": (3,)}, "K are even numbers"),
        ({"params": -1}, "params must be a whole number"),
        ({"leaf": "avgpool3x3"}, "leaf must be some of the known kinds"),
        ({"ratios": (0.0,)}, "ratios must be positive"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(SettingError, match=what):
        but(**settings)
