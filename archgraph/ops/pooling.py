"""Pooling over positions; every unit stays to itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.nn import functional

from archgraph.errors import SettingError
from archgraph.graph import Invariant, Op, Shape, SizeRule, require
from archgraph.ops.convolution import Pair, both, pair


@dataclass(frozen=True, repr=False)
class _Window(Op):
    kernel_size: Pair
    stride: Pair | None = None
    padding: Pair = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel_size", pair(self.kernel_size, "kernel_size", 1))
        object.__setattr__(self, "padding", pair(self.padding, "padding", 0))
        if self.stride is not None:
            object.__setattr__(self, "stride", pair(self.stride, "stride", 1))
        if any(2 * pad > kernel for pad, kernel in zip(both(self.padding), both(self.kernel_size), strict=True)):
            raise SettingError("padding may be at most half of kernel_size", got=(self.padding, self.kernel_size))

    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) == 3 and source.unit_axis == 0,
            f"{type(self).__name__} reads an image",
            expected="a shape (channels, height, width)",
            got=source,
        )
        stride = self.kernel_size if self.stride is None else self.stride
        sides = zip(source.dims[1:], *map(both, (self.padding, self.kernel_size, stride)), strict=True)
        size = tuple((length + 2 * pad - kernel) // step + 1 for length, pad, kernel, step in sides)
        require(
            min(size) > 0,
            "the window is larger than the padded image",
            expected="a larger image, or padding",
            got=source,
        )
        return Shape((source.units, *size))

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()


@dataclass(frozen=True, repr=False)
class MaxPool2d(_Window):
    """Largest value in every window of ``kernel_size`` pixels, ``stride`` (by default the kernel size) apart."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.max_pool2d(inputs[0], self.kernel_size, self.stride, self.padding)


@dataclass(frozen=True, repr=False)
class AvgPool2d(_Window):
    """Mean of every window of ``kernel_size`` pixels (padding counts as zeros), ``stride`` apart."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functional.avg_pool2d(inputs[0], self.kernel_size, self.stride, self.padding)


@dataclass(frozen=True, repr=False)
class _Global(Op):
    def infer(self, *inputs: Shape) -> Shape:
        (source,) = inputs
        require(
            len(source.dims) > 1 and source.unit_axis == 0,
            f"{type(self).__name__} reads units with positions",
            expected="a shape (units, ...) of at least two axes",
            got=source,
        )
        return Shape((source.units,))

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()


@dataclass(frozen=True, repr=False)
class GlobalAvgPool(_Global):
    """Mean of every unit over all its positions: ``(U, ...)`` to ``(U,)``."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return inputs[0].mean(dim=tuple(range(2, len(shapes[0].dims) + 1)))


@dataclass(frozen=True, repr=False)
class GlobalMaxPool(_Global):
    """Largest value of every unit over all its positions: ``(U, ...)`` to ``(U,)``."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return inputs[0].amax(dim=tuple(range(2, len(shapes[0].dims) + 1)))
