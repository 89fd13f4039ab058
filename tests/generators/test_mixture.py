from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archgraph.generators.mixture import Mixture, draw_kind

THREE = Mixture("merge", ("sum", "concat", "attention"))


def test_a_single_kind_has_no_parameter() -> None:
    only = Mixture("leaf", ("conv3x3",))
    assert (only.names, only.domains) == ((), {})
    assert only.shares({}) == {"conv3x3": 1.0}
    assert only.merge({"N": 3}) == {}


@example((1 / 3, 1 / 3, 1 / 3))
@given(st.tuples(*[st.floats(0.0, 1.0)] * 3))
def test_shares_add_up_to_one_and_stay(given_shares: tuple[float, float, float]) -> None:
    values = dict(zip(THREE.names, given_shares, strict=True))
    merged = THREE.merge(values)
    assert sum(merged.values()) == pytest.approx(1.0, abs=1e-5)
    assert THREE.merge(merged) == merged
    domains = THREE.domains
    assert all(domains[name].contains(share) for name, share in merged.items())
    assert all(domains[name].decode(domains[name].encode(share)) == share for name, share in merged.items())
    if sum(given_shares) > 0.01:
        assert THREE.shares(merged) == pytest.approx(THREE.shares(values), abs=1e-5)


def test_zeros_mean_equal_shares() -> None:
    assert set(THREE.shares(dict.fromkeys(THREE.names, 0.0)).values()) == {1 / 3}


def test_kinds_are_drawn_by_their_shares() -> None:
    numbers = random.Random(1)
    counts = Counter(draw_kind({"a": 0.0, "b": 0.7, "c": 0.2, "d": 0.0, "e": 0.1}, numbers) for _ in range(3000))
    assert set(counts) == {"b", "c", "e"}
    assert counts["b"] == pytest.approx(2100, abs=4 * 26)
    assert counts["e"] == pytest.approx(300, abs=4 * 17)
    assert draw_kind({"only": 1.0}, numbers) == "only"
