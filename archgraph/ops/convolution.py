"""Convolutions of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Fixed, Invariant, Op, Shape, SizeRule, Stack, TensorSpec, require
from archgraph.ops.linear import count

Pair = int | tuple[int, int]


def pair(value: Any, name: str, least: int) -> Pair:
    """Return an int or a pair of ints, equal pairs as one int.

    Raises:
        SettingError: when it is neither, or a number is below ``least``.
    """
    numbers = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, tuple | list) else ()
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in numbers):
        raise SettingError(f"{name} must be an integer, or a pair of them, of at least {least}", got=value)
    return numbers[0] if numbers[0] == numbers[1] else (numbers[0], numbers[1])


def both(value: Pair) -> tuple[int, int]:
    """Return a pair of ints from an int or a pair."""
    return (value, value) if isinstance(value, int) else value


@dataclass(frozen=True, repr=False)
class Conv2d(Op):
    """Two-dimensional convolution of ``(C, H, W)``, with weight ``[U, C / groups, kh, kw]``.

    With ``groups`` equal to the input channels it is depthwise: every input unit makes output units of its own and the
    two are resized together. With other groups above one its units are fixed.

    Args:
        out_channels: number of output units.
        kernel_size: height and width of the kernel, in pixels.
        stride: step, in pixels.
        padding: zeros added on each side, in pixels, or ``"same"`` (stride 1 only).
        dilation: distance of kernel taps, in pixels.
        groups: number of blocks of channels that do not see each other.
        bias: whether a bias is added.
    """

    out_channels: int
    kernel_size: Pair
    stride: Pair = 1
    padding: Pair | str = 0
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True

    def __post_init__(self) -> None:
        count(self.out_channels, "out_channels")
        count(self.groups, "groups")
        for name in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, name, pair(getattr(self, name), name, 1))
        if self.padding == "same":
            if self.stride != 1:
                raise SettingError("padding='same' needs stride 1", got=self.stride)
        else:
            object.__setattr__(self, "padding", pair(self.padding, "padding", 0))

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) == 3 and source.unit_axis == 0,
            "Conv2d reads an image",
            expected="a shape (channels, height, width)",
            got=source,
        )
        for channels, side in ((source.units, "input"), (self.out_channels, "output")):
            require(channels % self.groups == 0, f"{self.groups} groups do not divide {channels} {side} channels")
        if isinstance(self.padding, str):  # "same"
            return source.resized(self.out_channels)
        size = tuple(
            (length + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for length, pad, dilation, kernel, stride in zip(
                source.dims[1:], *map(both, (self.padding, self.dilation, self.kernel_size, self.stride)), strict=True
            )
        )
        require(
            min(size) > 0,
            "the kernel is larger than the padded image",
            expected="a larger image, or padding",
            got=source,
        )
        return Shape((self.out_channels, *size))

    def rule(self, *inputs: Shape) -> SizeRule:
        channels = inputs[0].units
        if self.groups == 1:
            return Absorb()
        if self.groups == channels:
            repeat = self.out_channels // channels
            return Invariant() if repeat == 1 else Stack(repeat=repeat)
        return Fixed(f"is a convolution with {self.groups} groups of channels")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        mixes = "in" if self.groups == 1 else None
        shape = (self.out_channels, inputs[0].units // self.groups, *both(self.kernel_size))
        weight = TensorSpec(shape, ("out", mixes, None, None))
        return {"weight": weight} | ({"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {})

    def macs(self, *inputs: Shape) -> int:
        height, width = both(self.kernel_size)
        return self.infer(*inputs).size * (inputs[0].units // self.groups) * height * width

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_channels=units, groups=1 if self.groups == 1 else inputs[0].units)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.Conv2d(
            inputs[0].units,
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
        )
