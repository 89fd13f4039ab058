from __future__ import annotations

import pytest

from archgraph import Graph
from archgraph.errors import SpaceError
from archgraph.spaces.ends import LEAST, Ends, usual_head

LARGE = "x = Input((3, 9, 7))\nf = Flatten()(x)\na = Linear(300)(f)\ny = Linear(5)(a)\nreturn y"


def test_what_is_read_and_given() -> None:
    assert Ends.of(Graph.parse(LARGE)) == Ends((3, 9, 7), 5, 189 * 300 + 300 + 300 * 5 + 5)
    small = Graph.parse("x = Input((1, 4, 3))\nf = Flatten()(x)\ny = Linear(2)(f)\nreturn y")
    assert Ends.of(small) == Ends((1, 4, 3), 2, LEAST)


def test_heads_grow_with_the_network() -> None:
    found = [usual_head(limit) for limit in (1000, 400_000, 400_001, 1_500_000, 10**7)]
    assert found == [64, 64, 320, 320, 1280]


@pytest.mark.parametrize(
    "text",
    [
        "x = Input((3,))\ny = Linear(2)(x)\nreturn y",
        "x = Input((4, 3), unit_axis=-1)\nf = Flatten()(x)\ny = Linear(2)(f)\nreturn y",
        "x = Input((1, 4, 3))\ny = Conv2d(2, kernel_size=1)(x)\nreturn y",
        "x = Input((1, 4, 3))\nz = Input((1, 4, 3))\na = Add()(x, z)\nf = Flatten()(a)\nreturn f",
    ],
)
def test_other_seed_graphs(text: str) -> None:
    with pytest.raises(SpaceError, match="makes a vector from one image"):
        Ends.of(Graph.parse(text))
