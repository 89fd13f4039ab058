from __future__ import annotations

import pytest
import torch
from torch import nn

from archgraph.errors import SettingError, ShapeError
from archgraph.graph import Fixed, Op, Shape
from archgraph.ops import Interpolate, PixelShuffle

IMAGE = Shape((8, 5, 7))

SETTINGS = {
    "neither": ({}, "either size or scale_factor"),
    "both": ({"size": 3, "scale_factor": 2}, "either size or scale_factor"),
    "mode": ({"size": 3, "mode": "cubic"}, "unknown mode"),
    "corners": ({"size": 3, "align_corners": True}, "not for mode='nearest'"),
    "no-size": ({"size": 0}, "size must be"),
    "no-factor": ({"scale_factor": (2, 0)}, "scale_factor must be a positive number"),
}


@pytest.mark.parametrize(("options", "message"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_cannot_be_used(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Interpolate(**options)  # type: ignore[arg-type]


SHAPES: dict[str, tuple[Op, Shape, str]] = {
    "vector": (Interpolate(3), Shape((5,)), "Interpolate reads an image"),
    "bilinear-line": (Interpolate(3, mode="bilinear"), Shape((5, 7)), "Interpolate reads an image"),
    "linear-image": (Interpolate(3, mode="linear"), IMAGE, "Interpolate reads a sequence"),
    "sides": (Interpolate((3, 4, 5)), IMAGE, "there are 2 sides to resize"),
    "nothing-left": (Interpolate(scale_factor=0.1), IMAGE, "nothing would be left"),
    "shuffle": (PixelShuffle(3), IMAGE, "9 does not divide 8 channels"),
}


@pytest.mark.parametrize(("op", "shape", "message"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_are_refused(op: Op, shape: Shape, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer(shape)


UPSAMPLES = [
    {"scale_factor": 2.0},
    {"scale_factor": (1.3, 0.7)},
    {"size": (3, 11)},
    {"scale_factor": 3.0, "mode": "bilinear"},
    {"size": 9, "mode": "bilinear", "align_corners": True},
]


@pytest.mark.parametrize("options", UPSAMPLES, ids=repr)
def test_it_is_torchs_upsample(options: dict[str, object]) -> None:
    image = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    op = Interpolate(**options)  # type: ignore[arg-type]
    wanted = nn.Upsample(**options)(image)  # type: ignore[arg-type]
    assert torch.equal(op.forward((image,), (IMAGE,)), wanted)
    assert op.infer(IMAGE).dims == tuple(wanted.shape[1:])


def test_pixel_shuffle() -> None:
    assert PixelShuffle(2).infer(IMAGE) == Shape((2, 10, 14))
    assert PixelShuffle(2).rule(IMAGE) == Fixed("makes one unit of every 4 of its input")
