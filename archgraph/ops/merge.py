"""Ops that bring several tensors together."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from archgraph.errors import ShapeError
from archgraph.graph import Invariant, Op, Shape, SizeRule, Stack


@dataclass(frozen=True, repr=False)
class _Elementwise(Op):
    arity: ClassVar[tuple[int, int | None]] = (2, None)

    def infer(self, *inputs: Shape) -> Shape:
        if any(shape != inputs[0] for shape in inputs):
            raise ShapeError(
                f"{type(self).__name__} needs inputs of one shape",
                expected=inputs[0],
                got=", ".join(map(str, inputs)),
            )
        return inputs[0]

    def rule(self, *inputs: Shape) -> SizeRule:
        return Invariant()


@dataclass(frozen=True, repr=False)
class Add(_Elementwise):
    """Sum of two or more tensors of one shape."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functools.reduce(operator.add, inputs)


@dataclass(frozen=True, repr=False)
class Multiply(_Elementwise):
    """Element-wise product of two or more tensors of one shape."""

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return functools.reduce(operator.mul, inputs)


@dataclass(frozen=True, repr=False)
class Concat(Op):
    """The units of all inputs, one input after the other; all other axes must agree."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        if any(shape.others != first.others or shape.unit_axis != first.unit_axis for shape in inputs):
            raise ShapeError(
                "Concat needs inputs that differ in their number of units only",
                expected=first,
                got=", ".join(map(str, inputs)),
            )
        return first.resized(sum(shape.units for shape in inputs))

    def rule(self, *inputs: Shape) -> SizeRule:
        return Stack()

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        return torch.cat(list(inputs), dim=shapes[0].unit_axis + 1)
