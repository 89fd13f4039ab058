from __future__ import annotations

import pytest

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Shape
from archgraph.ops.dim import axis, put, whole


def test_dims_count_the_batch_axis() -> None:
    assert [axis(dim, 3) for dim in (1, 2, 3, -3, -2, -1)] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("dim", [0, 4, -4])
def test_the_batch_axis_and_axes_beyond_are_refused(dim: int) -> None:
    with pytest.raises(ShapeError, match=f"dim {dim} is no axis of a sample"):
        axis(dim, 3)


def test_only_integers_are_whole() -> None:
    for value in (True, 1.5, "1", None):
        with pytest.raises(SettingError, match="dim must be an integer"):
            whole(value, "dim")


def test_put_keeps_the_unit_axis() -> None:
    assert put(Shape((2, 3, 5), unit_axis=2), 1, 7) == Shape((2, 7, 5), unit_axis=2)
