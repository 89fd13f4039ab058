from __future__ import annotations

import pytest
import torch

from archgraph.errors import MoveRefused, SettingError, ShapeError
from archgraph.graph import Fixed, Graph, Invariant, Op, Shape, resize
from archgraph.ops import Permute, Transpose

TOKENS, IMAGE = Shape((3, 7), unit_axis=1), Shape((2, 3, 5))

TRACKED: dict[str, tuple[Op, Shape, Shape, object]] = {
    "to-tokens": (Permute((0, 2, 3, 1)), IMAGE, Shape((3, 5, 2), unit_axis=2), Invariant()),
    "in-place": (Permute((0, 1, 3, 2)), IMAGE, Shape((2, 5, 3)), Invariant()),
    "same-axis-named": (Permute((0, 2, 1), unit_dim=1), TOKENS, Shape((7, 3)), Invariant()),
    "mixer": (Permute((0, 2, 1), unit_dim=-1), TOKENS, Shape((7, 3), unit_axis=1), Fixed("makes units of positions")),
    "relabel": (Permute((0, 1, 2), unit_dim=1), TOKENS, Shape((3, 7)), Fixed("makes units of positions")),
    "transpose": (Transpose(1, 2), TOKENS, Shape((7, 3)), Invariant()),
    "transpose-others": (Transpose(-1, -2), IMAGE, Shape((2, 5, 3)), Invariant()),
    "transpose-mixer": (Transpose(1, 2, unit_dim=2), TOKENS, Shape((7, 3), 1), Fixed("makes units of positions")),
}


@pytest.mark.parametrize(("op", "shape", "wanted", "rule"), TRACKED.values(), ids=TRACKED)
def test_units_go_where_their_entries_go_unless_another_axis_is_named(
    op: Op, shape: Shape, wanted: Shape, rule: object
) -> None:
    assert op.infer(shape) == wanted
    assert op.rule(shape) == rule


def test_token_mixing_as_in_an_mlp_mixer() -> None:
    graph = Graph.parse(
        "x = Input((3, 7), unit_axis=1)\n"
        "a = Linear(5)(x)\n"
        "b = Transpose(1, dim1=2, unit_dim=2)(a)\n"
        "c = Linear(11)(b)\n"
        "d = Linear(3)(c)\n"
        "e = Transpose(1, dim1=2, unit_dim=2)(d)\n"
        "f = Add()(a, e)\n"
        "return f\n"
    )
    assert (graph.shape("c"), graph.shape("f")) == (Shape((5, 11), 1), Shape((3, 5), 1))
    assert resize(graph, "c", {2: (0.5, 0.5)}).after.shape("c").units == 12  # the hidden units are free
    for name in ("a", "d"):
        with pytest.raises(MoveRefused, match="makes units of positions"):
            resize(graph, name, {0: (0.5, 0.5)})


def test_values() -> None:
    image = torch.arange(30).reshape(1, 2, 3, 5)
    assert torch.equal(Permute((0, 3, 1, 2)).forward((image,), (IMAGE,)), image.permute(0, 3, 1, 2))
    assert torch.equal(Transpose(1, -1).forward((image,), (IMAGE,)), image.transpose(1, 3))


@pytest.mark.parametrize("dims", [(1, 0, 2), (0, 1, 1), (0, 2), (), 3])
def test_orders_that_are_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="dims must be an order of all axes"):
        Permute(dims)


def test_an_order_of_another_number_of_axes() -> None:
    with pytest.raises(ShapeError, match="order 2 axes of a sample"):
        Permute((0, 2, 1)).infer(IMAGE)
    with pytest.raises(ShapeError, match="dim 0 is no axis"):
        Transpose(0, 1).infer(IMAGE)
