from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings

from archgraph import Graph, chain, ops
from archgraph.features.descriptors import DESCRIPTORS, descriptors
from archgraph.generators.hierarchical_generator import HierarchicalGenerator
from archgraph.metrics import macs, params
from archgraph.moves import Widen
from tests.features.test_leaf_dag import BRANCHED
from tests.strategies import graphs


def test_of_a_graph_by_hand() -> None:
    found = dict(zip(DESCRIPTORS, descriptors(BRANCHED), strict=True))
    assert found["log layers"] == math.log(4)
    assert found["longest path"] == 5
    assert found["edges per layer"] == 6 / 4
    assert found["log width"] == pytest.approx((3 * math.log(4) + math.log(3)) / 4)
    assert found["mean depth"] == pytest.approx((1 + 2 + 3 + 4) / 4 / 5)
    assert found["log parameters"] == math.log1p(params(BRANCHED))
    assert found["log macs"] == math.log1p(macs(BRANCHED))


@settings(max_examples=40)
@given(graphs())
def test_of_any_graph(graph: Graph) -> None:
    found = descriptors(graph)
    assert found.shape == (len(DESCRIPTORS),)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


def test_names_do_not_count_and_widths_do() -> None:
    renamed = Graph.parse(re.sub(r"\b(?=[a-z]( =|[),]|$))", "z", str(BRANCHED), flags=re.MULTILINE))
    assert "za = Conv2d(4, kernel_size=3, padding=1)(zx)" in str(renamed)
    assert renamed.hash == BRANCHED.hash
    assert np.array_equal(descriptors(renamed), descriptors(BRANCHED))
    wider = descriptors(Widen("a", units=2).apply(BRANCHED)) - descriptors(BRANCHED)
    assert [name for name, change in zip(DESCRIPTORS, wider, strict=True) if change] == [
        "log width",
        "log parameters",
        "log macs",
    ]


def test_of_nothing_but_an_input() -> None:
    assert np.isfinite(descriptors(chain(ops.Input((3,))))).all()


def test_they_tell_wirings_of_one_size_apart() -> None:
    space = HierarchicalGenerator((1, 8, 8), 10, params=30_000, head=32, N_t=(3, 5), N_m=(1, 2), N_b=(3, 5))
    point = {"N_t": 5, "K_t": 2, "P_t": 0.9, "N_m": 2, "N_b": 5, "K_b": 2, "P_b": 0.9}
    assert len({tuple(descriptors(space.build(point, seed))) for seed in range(15)}) == 15
