"""Graphs at other widths: valid, in bounds, coupled layers alike, and the same for the same seed."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgraph import Graph, Network
from archgraph.errors import SettingError
from archgraph.metrics import widths
from archgraph.spaces import Widths
from tests.strategies import graphs, inputs_of, network_of, outputs_of

CHAIN = Graph.parse(
    "x = Input((1, 6, 5))\na = Conv2d(4, kernel_size=3)(x)\nf = ReLU()(a)\nb = Conv2d(6, kernel_size=2)(f)\n"
    "g = ReLU()(b)\np = Flatten()(g)\nc = Linear(7)(p)\nh = ReLU()(c)\ny = Linear(3)(h)\nreturn y"
)
RESIDUAL = Graph.parse(
    "x = Input((2,))\na = Linear(5)(x)\nf = Tanh()(a)\nb = Linear(5)(f)\ns = Add()(a, b)\ng = Tanh()(s)\n"
    "y = Linear(3)(g)\nreturn y"
)
PINNED = Graph.parse(  # the first two units of `a` are an output too
    "x = Input((2,))\nb = Linear(2)(x)\nc = Linear(4)(x)\nd = Concat()(b, c)\na = Linear(6)(x)\ns = Add()(a, d)\n"
    "y = Linear(3)(s)\nreturn y, b"
)
FOLDED = Graph.parse(  # unit i of `a` is coupled with its unit i + 2
    "x = Input((3,))\na = Linear(4)(x)\nb = Linear(2)(x)\nc = Concat()(b, b)\ns = Add()(a, c)\n"
    "y = Linear(3)(s)\nreturn y"
)


def test_every_layer_has_a_width_of_its_own_within_the_factors() -> None:
    space, seen = Widths(CHAIN, low=0.5, high=3.0), set()
    for seed in range(60):
        found = widths(space.sample(seed))
        assert found[-1] == 3  # an output stays
        assert all(round(0.5 * old) <= new <= round(3.0 * old) for old, new in zip(widths(CHAIN), found, strict=True))
        seen.add(found)
    assert len(seen) > 50
    assert len({one[0] for one in seen}) == 11  # 2 to 12


def test_factors_are_log_uniform() -> None:
    wide = Graph.parse(str(RESIDUAL).replace("Linear(5)", "Linear(200)"))
    found = [math.log2(widths(Widths(wide, low=0.25, high=4.0).sample(seed))[0] / 200) for seed in range(80)]
    assert abs(statistics.mean(found)) < 0.4  # the standard error is 0.13
    assert min(found) < -1.5
    assert max(found) > 1.5


def test_coupled_layers_get_one_width() -> None:
    for seed in range(10):
        first, second, last = widths(Widths(RESIDUAL, high=3.0).sample(seed))
        assert first == second
        assert last == 3


def test_units_that_may_not_be_resized_stay() -> None:
    found = {widths(Widths(PINNED, high=4.0).sample(seed)) for seed in range(20)}
    assert len(found) > 4
    for b, c, a, y in found:
        assert (b, y) == (2, 3)
        assert a == 2 + c
        assert 2 <= c <= 16


def test_units_coupled_within_a_layer_count_once() -> None:
    found = {widths(Widths(FOLDED, low=0.5, high=4.0).sample(seed)) for seed in range(20)}
    assert all(a == 2 * b and 1 <= b <= 8 for a, b, _ in found)
    assert len(found) > 4


def test_the_same_seed_gives_the_same_graph() -> None:
    space = Widths(CHAIN)
    assert space.sample(4) == Widths(Graph.parse(str(CHAIN))).sample(4)
    assert space.sample(4) != space.sample(5)
    assert Widths(CHAIN, low=1.0, high=1.0).sample(0) == CHAIN


def test_at_least_one_unit_is_left() -> None:
    assert widths(Widths(CHAIN, low=1e-6, high=1e-6).sample(0)) == (1, 1, 1, 3)


@settings(max_examples=30)
@given(graphs(), st.integers(0, 5))
def test_samples_of_random_graphs_run(graph: Graph, seed: int) -> None:
    sample = Widths(graph, low=0.4, high=2.5).sample(seed)
    assert sample.inputs == graph.inputs
    assert [sample.shape(name) for name in sample.outputs] == [graph.shape(name) for name in graph.outputs]
    assert list(sample.nodes) == list(graph.nodes)
    for output, name in zip(outputs_of(network_of(sample), inputs_of(sample)), sample.outputs, strict=True):
        assert tuple(output.shape[1:]) == sample.shape(name).dims
    assert Network.init(sample).graph is sample


@pytest.mark.parametrize(
    "bounds", [{"low": 0.0}, {"low": -1.0}, {"low": 2.0, "high": 1.0}, {"high": math.inf}, {"low": math.nan}]
)
def test_wrong_factors(bounds: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="width factors must be positive, finite and in order"):
        Widths(CHAIN, **bounds)
