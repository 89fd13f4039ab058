"""The contract of an op: a frozen description of a layer, with no tensors in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ClassVar

from archgraph.errors import SettingError, ShapeError
from archgraph.graph.axis import Role
from archgraph.graph.shape import SAMPLES, Shape
from archgraph.graph.size_rule import SizeRule
from archgraph.graph.unit_map import UnitMap
from archgraph.registry import OPS


@dataclass(frozen=True)
class TensorSpec:
    """One parameter or buffer of an op.

    Args:
        shape: its sizes.
        axes: the role of every axis: ``"out"`` runs along the output units, ``"in"`` along the units of the first
            input, ``None`` along neither; :class:`Along` and :class:`Parts` say what runs along inner axes, other
            inputs, or products of them. Re-indexing by a ``UnitMap`` needs nothing else.
        trainable: True for parameters, False for buffers such as running statistics.
        gain: what the op multiplies the tensor with before it uses it, where that depends on its numbers of units: one
            over the square root of a head's width. When that changes, the tensor makes up for it.
    """

    shape: tuple[int, ...]
    axes: tuple[Role, ...]
    trainable: bool = True
    gain: float = 1.0

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.axes):
            raise SettingError("a tensor needs one role an axis", expected=len(self.shape), got=self.axes)

    @property
    def size(self) -> int:
        """Number of entries."""
        total = 1
        for length in self.shape:
            total *= length
        return total


@dataclass(frozen=True, repr=False)
class Op:
    """Base of all ops; a subclass is a frozen dataclass that registers itself under its class name.

    A subclass states :meth:`infer` and :attr:`size_rule`-giving :meth:`rule`, and whichever of the other methods differ
    from a stateless element-wise layer.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Least and greatest number of inputs; ``None`` for no limit."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_") and cls.__name__ != "Activation":
            OPS.define(cls.__name__, cls)

    def infer(self, *inputs: Shape) -> Shape:
        """Return the output shape.

        Raises:
            ShapeError: when the op cannot take these shapes.
        """
        raise NotImplementedError

    def rows(self, *inputs: str) -> str:
        """Return what the rows of the output are, from what those of the inputs are: the same for all.

        Ops that bring nodes and edges of graphs together, or make graphs of nodes, say otherwise.

        Raises:
            ShapeError: when the op cannot take these.
        """
        for one in inputs[1:]:
            require(
                one == inputs[0], f"{type(self).__name__} needs inputs of the same rows", expected=inputs[0], got=one
            )
        first = Shape((), rows=inputs[0]) if inputs else Shape(())
        require(first.mixes, f"{type(self).__name__} computes with samples", expected=SAMPLES, got=first.rows)
        return first.rows

    def output(self, *inputs: Shape) -> Shape:
        """Return the output shape with its rows: :meth:`infer` and :meth:`rows` together.

        Raises:
            ShapeError: when the op cannot take these shapes.
        """
        shape = self.infer(*inputs)
        if not inputs or all(one.rows == SAMPLES for one in inputs):
            return shape
        return replace(shape, rows=self.rows(*(one.rows for one in inputs)))

    def rule(self, *inputs: Shape) -> SizeRule:
        """Return how output units follow from input units."""
        raise NotImplementedError

    def tensors(self, *inputs: Shape) -> Mapping[str, TensorSpec]:
        """Return the specifications of parameters and buffers, named as torch names them."""
        return {}

    def rows_of_unit(self, *inputs: Shape) -> tuple[tuple[str, ...], str | None]:
        """Return the tensors whose rows, side by side, are the weights of a unit, and that of its bias, if any.

        Where there are some, the op is a linear map of what its units see: its input, unless :meth:`seen` says more.
        """
        specs = self.tensors(*inputs)
        fits = "weight" in specs and "out" in specs["weight"].axes[:2]
        return (("weight",) if fits else ()), ("bias" if fits and "bias" in specs else None)

    def seen(self, layer: Any, inputs: Any) -> Any:
        """Return what the units of the op see, of which it is a linear map: its input; propagated, in a graph layer.

        Args:
            layer: the op's module, without units that are drawn at random.
            inputs: the input tensors, with their batch axis.
        """
        return inputs[0]

    def inner(self, *inputs: Shape) -> Mapping[str, int]:
        """Return the inner axes: widths of the op that may be resized and that no other node sees, by name.

        Units of the inner axis ``"heads"`` of node ``"a"`` have the address ``"a.heads"``; tensors say where they run
        along it with :class:`Along`.
        """
        return {}

    def inner_resized(self, axis: str, units: int, *inputs: Shape) -> Op:
        """Return this op with another number of units on an inner axis; what it computes from old ones stays."""
        raise NotImplementedError

    def macs(self, *inputs: Shape) -> int:
        """Return multiply-accumulates of a forward pass on one sample: linear, convolution, products of attention."""
        return 0

    def resized(self, units: int, *inputs: Shape) -> Op:
        """Return this op with ``units`` output units, on inputs that may have been resized too."""
        return self

    def follow(self, maps: tuple[UnitMap | None, ...], units: int, *inputs: Shape) -> Op:
        """Return this op after units of its inputs were resized; :meth:`resized` unless the op must know which.

        Args:
            maps: for every input, where its units come from, or None when they are what they were.
            units: its own output units.
            inputs: the new input shapes.
        """
        return self.resized(units, *inputs)

    def module(self, *inputs: Shape) -> Any:
        """Return a fresh ``torch.nn.Module`` that holds the tensors, or None for a stateless op."""
        return None

    def forward(self, inputs: Any, shapes: tuple[Shape, ...]) -> Any:
        """Compute the output of a stateless op with plain torch calls that also work on ``torch.fx`` proxies.

        Args:
            inputs: the input tensors, with their batch axis.
            shapes: their shapes without it.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = []
        for position, field in enumerate(fields(self)):
            value = getattr(self, field.name)
            required = field.default is MISSING
            if required and position == 0:
                shown.append(repr(value))
            elif required or value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _with(self, **changes: Any) -> Any:
        return replace(self, **changes)


def require(condition: bool, what: str, *, expected: object = None, got: object = None) -> None:
    """Raise a ``ShapeError`` unless ``condition`` holds; for use in :meth:`Op.infer`."""
    if not condition:
        raise ShapeError(what, expected=expected, got=got)
