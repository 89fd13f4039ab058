"""Layered layout: nothing overlaps, edges run downwards, chains are straight."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from archgraph.report.layout import _crossings, _isotonic, arrange

WIDTH, GAP, LANE = 100.0, 30.0, 10.0


@st.composite
def dags(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    count = draw(st.integers(1, 25))
    found: dict[str, tuple[str, ...]] = {"n0": ()}
    for number in range(1, count):
        sources = draw(st.lists(st.integers(max(0, number - 9), number - 1), max_size=3))
        found[f"n{number}"] = tuple(f"n{source}" for source in sources)
    return found


@given(dags())
def test_nothing_overlaps_and_edges_run_downwards(inputs: dict[str, tuple[str, ...]]) -> None:
    layout = arrange(inputs, width=WIDTH, gap=GAP, lane=LANE)
    assert layout == arrange(inputs, width=WIDTH, gap=GAP, lane=LANE)
    for name, sources in inputs.items():
        assert all(layout.layers[source] < layout.layers[name] for source in sources)
        assert layout.x(name) >= WIDTH / 2 - 0.2
    for layer in set(layout.layers.values()):
        row = sorted((x, layout.layers[item[0]] == layer) for item, x in layout.places.items() if item[1] == layer)
        for (left, first), (right, second) in pairwise(row):
            least = {0: LANE, 1: WIDTH / 2 + LANE, 2: WIDTH + GAP}[first + second]
            assert right - left >= least - 0.2


def test_chains_are_straight_beside_an_edge_that_skips_them() -> None:
    inputs = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "e": ("d", "a"), "f": ("e",)}
    layout = arrange(inputs, width=WIDTH, gap=GAP, lane=LANE)
    assert len({layout.x(name) for name in inputs}) == 1
    way = layout.way("a", "e")
    assert [point[1] for point in way] == [1, 2, 3]
    assert len({layout.places[point] for point in way}) == 1 and layout.way("a", "b") == []


def test_an_input_stands_above_its_first_reader() -> None:
    layout = arrange({"a": (), "b": ("a",), "c": ("b",), "z": (), "d": ("c", "z")}, width=WIDTH, gap=GAP, lane=LANE)
    assert layout.layers == {"a": 0, "b": 1, "c": 2, "z": 2, "d": 3}


def test_a_crossing_that_need_not_be_is_gone() -> None:
    inputs = {"a": (), "b": (), "p": ("b",), "q": ("a",)}
    layout = arrange(inputs, width=WIDTH, gap=GAP, lane=LANE)
    assert (layout.x("a") - layout.x("b")) * (layout.x("q") - layout.x("p")) > 0


def test_crossings_are_counted() -> None:
    rows = [[("a", 0), ("b", 0), ("c", 0)], [("p", 1), ("q", 1)]]
    below = {("a", 0): [("q", 1)], ("b", 0): [("p", 1), ("q", 1)], ("c", 0): [("p", 1)]}
    assert _crossings(rows, below) == 3  # a-q with b-p and c-p, b-q with c-p


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_regression_agrees_with_another(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, weights = generator.normal(size=17), generator.uniform(0.1, 5.0, size=17)
    wanted = IsotonicRegression().fit_transform(np.arange(17), values, sample_weight=weights)
    np.testing.assert_allclose(_isotonic(values.tolist(), weights.tolist()), wanted, atol=1e-12)
