"""Convolutions of sequences, images and volumes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from archgraph.errors import SettingError
from archgraph.graph import Absorb, Fixed, Invariant, Op, Shape, SizeRule, Stack, TensorSpec, require
from archgraph.ops.linear import count

Pair = int | tuple[int, int]
Sides = int | tuple[int, ...]
"""One number for every side of a window, or one a side."""

LAYOUTS = {
    1: ("a sequence", "a shape (channels, length)"),
    2: ("an image", "a shape (channels, height, width)"),
    3: ("a volume", "a shape (channels, depth, height, width)"),
}
"""What an op with so many sides reads, and its shape."""

_GROUPS = {1: "", 2: ", or a pair of them,", 3: ", or three of them,"}


def sides(value: Any, name: str, least: int, axes: int) -> Any:
    """Return an int or ``axes`` ints, equal ones as one int.

    Raises:
        SettingError: when it is neither, or a number is below ``least``.
    """
    numbers = (value,) * axes if isinstance(value, int) else tuple(value) if isinstance(value, tuple | list) else ()
    if len(numbers) != axes or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in numbers):
        raise SettingError(f"{name} must be an integer{_GROUPS[axes]} of at least {least}", got=value)
    return numbers[0] if len(set(numbers)) == 1 else numbers


def each(value: Sides, axes: int) -> tuple[int, ...]:
    """Return one int a side."""
    return (value,) * axes if isinstance(value, int) else value


def both(value: Sides) -> tuple[int, int]:
    """Return a pair of ints from an int or a pair."""
    height, width = each(value, 2)
    return height, width


def read_layout(op: Op, source: Shape, axes: int) -> None:
    """Check that an op gets channels first and then ``axes`` sides.

    Raises:
        ShapeError: when it does not.
    """
    what, expected = LAYOUTS[axes]
    fits = len(source.dims) == axes + 1 and source.unit_axis == 0
    require(fits, f"{type(op).__name__} reads {what}", expected=expected, got=source)


@dataclass(frozen=True, repr=False)
class _Convolution(Op):
    out_channels: int
    kernel_size: Sides
    stride: Sides = 1
    padding: Sides | str = 0
    dilation: Sides = 1
    groups: int = 1
    bias: bool = True
    axes: ClassVar[int]
    layer: ClassVar[type[nn.Module]]

    def __post_init__(self) -> None:
        count(self.out_channels, "out_channels")
        count(self.groups, "groups")
        for name in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, name, sides(getattr(self, name), name, 1, self.axes))
        if self.padding == "same":
            if self.stride != 1:
                raise SettingError("padding='same' needs stride 1", got=self.stride)
        else:
            object.__setattr__(self, "padding", sides(self.padding, "padding", 0, self.axes))

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        read_layout(self, source, self.axes)
        _divide(self.groups, source.units, self.out_channels)
        if isinstance(self.padding, str):  # "same"
            return source.resized(self.out_channels)
        settings = (each(value, self.axes) for value in (self.padding, self.dilation, self.kernel_size, self.stride))
        size = tuple(
            (length + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for length, pad, dilation, kernel, stride in zip(source.dims[1:], *settings, strict=True)
        )
        what = LAYOUTS[self.axes][0].split()[1]
        require(
            min(size) > 0,
            f"the kernel is larger than the padded {what}",
            expected=f"a larger {what}, or padding",
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
        shape = (self.out_channels, inputs[0].units // self.groups, *each(self.kernel_size, self.axes))
        weight = TensorSpec(shape, ("out", mixes, *(None,) * self.axes))
        return {"weight": weight} | ({"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {})

    def macs(self, *inputs: Shape) -> int:
        taps = math.prod(each(self.kernel_size, self.axes))
        return self.infer(*inputs).size * (inputs[0].units // self.groups) * taps

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_channels=units, groups=1 if self.groups == 1 else inputs[0].units)

    def module(self, *inputs: Shape) -> nn.Module:
        return self.layer(
            inputs[0].units,
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
        )


def _divide(groups: int, read: int, made: int) -> None:
    for channels, side in ((read, "input"), (made, "output")):
        require(channels % groups == 0, f"{groups} groups do not divide {channels} {side} channels")


@dataclass(frozen=True, repr=False)
class Conv1d(_Convolution):
    """One-dimensional convolution of ``(C, L)``, with weight ``[U, C / groups, k]``; otherwise like :class:`Conv2d`."""

    axes: ClassVar[int] = 1
    layer: ClassVar[type[nn.Module]] = nn.Conv1d


@dataclass(frozen=True, repr=False)
class Conv2d(_Convolution):
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

    kernel_size: Pair
    stride: Pair = 1
    padding: Pair | str = 0
    dilation: Pair = 1
    axes: ClassVar[int] = 2
    layer: ClassVar[type[nn.Module]] = nn.Conv2d


@dataclass(frozen=True, repr=False)
class Conv3d(_Convolution):
    """Convolution of ``(C, D, H, W)``, with weight ``[U, C / groups, kd, kh, kw]``; otherwise like :class:`Conv2d`."""

    axes: ClassVar[int] = 3
    layer: ClassVar[type[nn.Module]] = nn.Conv3d


@dataclass(frozen=True, repr=False)
class ConvTranspose2d(Op):
    """Transposed convolution of ``(C, H, W)``, with weight ``[C, U / groups, kh, kw]``: every pixel paints a kernel.

    With as many groups as input and output channels it is depthwise: a unit goes to one unit, and the two are resized
    together. With other groups above one its units are fixed.

    Args:
        out_channels: number of output units.
        kernel_size: height and width of the kernel, in pixels.
        stride: distance of what neighbouring pixels paint, in pixels.
        padding: pixels cut off on each side.
        output_padding: pixels added on one side of the result, less than the stride or the dilation.
        groups: number of blocks of channels that do not see each other.
        bias: whether a bias is added.
        dilation: distance of kernel taps, in pixels.
    """

    out_channels: int
    kernel_size: Sides
    stride: Sides = 1
    padding: Sides = 0
    output_padding: Sides = 0
    groups: int = 1
    bias: bool = True
    dilation: Sides = 1

    def __post_init__(self) -> None:
        count(self.out_channels, "out_channels")
        count(self.groups, "groups")
        for name, least in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("padding", 0), ("output_padding", 0)):
            object.__setattr__(self, name, sides(getattr(self, name), name, least, 2))
        steps = zip(*map(both, (self.output_padding, self.stride, self.dilation)), strict=True)
        if any(added >= max(stride, dilation) for added, stride, dilation in steps):
            raise SettingError(
                "output_padding must be less than the stride or the dilation",
                got=(self.output_padding, self.stride, self.dilation),
            )

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        read_layout(self, source, 2)
        _divide(self.groups, source.units, self.out_channels)
        settings = map(both, (self.stride, self.padding, self.dilation, self.kernel_size, self.output_padding))
        size = tuple(
            (length - 1) * stride - 2 * pad + dilation * (kernel - 1) + added + 1
            for length, stride, pad, dilation, kernel, added in zip(source.dims[1:], *settings, strict=True)
        )
        require(min(size) > 0, "the padding cuts off the whole image", expected="less padding", got=source)
        return Shape((self.out_channels, *size))

    def rule(self, *inputs: Shape) -> SizeRule:
        if self.groups == 1:
            return Absorb()
        if self.groups == inputs[0].units == self.out_channels:
            return Invariant()
        return Fixed(f"is a transposed convolution with {self.groups} groups of channels")

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        shape = (inputs[0].units, self.out_channels // self.groups, *both(self.kernel_size))
        roles = {Absorb: ("in", "out"), Invariant: ("out", None), Fixed: (None, None)}[type(self.rule(*inputs))]
        weight = TensorSpec(shape, (*roles, None, None))
        return {"weight": weight} | ({"bias": TensorSpec((self.out_channels,), ("out",))} if self.bias else {})

    def macs(self, *inputs: Shape) -> int:
        return inputs[0].size * (self.out_channels // self.groups) * math.prod(both(self.kernel_size))

    def resized(self, units: int, *inputs: Shape) -> Op:
        return self._with(out_channels=units, groups=1 if self.groups == 1 else units)

    def module(self, *inputs: Shape) -> nn.Module:
        return nn.ConvTranspose2d(
            inputs[0].units,
            self.out_channels,
            both(self.kernel_size),
            stride=both(self.stride),
            padding=both(self.padding),
            output_padding=both(self.output_padding),
            groups=self.groups,
            bias=self.bias,
            dilation=both(self.dilation),
        )
