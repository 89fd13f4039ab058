from __future__ import annotations

import pytest

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Absorb, Shape
from archgraph.ops import Linear


@pytest.mark.parametrize("value", [0, -3, 2.5, "4", True, None], ids=repr)
def test_a_number_of_features_is_a_positive_integer(value: object) -> None:
    with pytest.raises(SettingError, match="out_features must be a positive integer"):
        Linear(value)  # type: ignore[arg-type]


def test_an_image_is_refused_with_the_way_out() -> None:
    with pytest.raises(ShapeError, match="last axis") as caught:
        Linear(3).infer(Shape((2, 5, 7)))
    assert "Flatten" in str(caught.value)
    assert "2x5x7" in str(caught.value)


def test_macs_by_hand() -> None:
    assert Linear(7).macs(Shape((5,))) == 35
    assert Linear(7).macs(Shape((3, 5), unit_axis=1)) == 3 * 35


def test_resizing_changes_the_features_alone() -> None:
    assert Linear(7, bias=False).resized(3, Shape((5,))) == Linear(3, bias=False)
    assert Linear(7).rule(Shape((5,))) == Absorb()


def test_repr() -> None:
    assert repr(Linear(7)) == "Linear(7)"
    assert repr(Linear(7, bias=False)) == "Linear(7, bias=False)"
