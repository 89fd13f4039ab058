"""The contract of a move: a graph rewrite as a value that lists its own legal sites."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

from archgraph.errors import ArchGraphError, GraphError, MoveRefused, ParseError, SettingError
from archgraph.graph import HANDS_ON, Absorb, Edit, Graph, Op, Rewritable, Shape, around, label, parse_op, rule_of
from archgraph.moves.number_types import other_types
from archgraph.registry import MOVES, OPS

T = TypeVar("T", bound=Rewritable)

_CONVOLUTIONS = {2: "Conv1d", 3: "Conv2d", 4: "Conv3d"}
"""By number of axes of a sample."""


@dataclass(frozen=True, repr=False)
class Move:
    """Base of all moves; a subclass is a frozen dataclass and states :meth:`plan` and :meth:`sites`."""

    keeps_function: ClassVar[bool] = False
    """Whether the outputs stay what they were, in eval and train mode."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        MOVES.define(cls.__name__, cls)

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _tuples(getattr(self, field.name)))

    def plan(self, graph: Graph) -> Edit:
        """Return the edit this move makes.

        Raises:
            MoveRefused: when it is not legal here, with the node in the way and the reason.
            UnknownName: when it names a node that does not exist.
        """
        raise NotImplementedError

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        """Yield every smallest legal instance on a graph, in its order."""
        raise NotImplementedError

    def apply(self, to: T) -> T:
        """Apply the move to a graph or a network and return the new one.

        Raises:
            MoveRefused: when it is not legal here.
            UnknownName: when it names a node that does not exist.
        """
        return to.after(self.plan(to if isinstance(to, Graph) else to.graph))  # type: ignore[attr-defined]

    def refusal(self, graph: Graph) -> str | None:
        """Return why the move is not legal on a graph, or None when it is."""
        try:
            self.plan(graph)
        except ArchGraphError as error:
            return error.what
        return None

    def __repr__(self) -> str:
        shown = []
        for position, field in enumerate(fields(self)):
            value = getattr(self, field.name)
            if not field.repr:
                continue
            if position == 0:
                shown.append(repr(value))
            elif field.default is MISSING or value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def parse(text: str) -> Move:
    """Read a move from its ``repr``.

    Raises:
        ParseError: when the text is no move.
        UnknownName: when no move is called so.
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("expected Name(...)")
        arguments = [_value(argument) for argument in call.args]
        options = {str(option.arg): _value(option.value) for option in call.keywords}
    except ArchGraphError as error:
        raise ParseError(f"{text!r} is not a move: {error.what}", hint=error.hint) from None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ParseError(f"{text!r} is not a move: {error}") from None
    kind = MOVES.get(call.func.id)
    try:
        return kind(*arguments, **options)
    except TypeError as error:
        raise ParseError(f"{text!r} is not a move: {error}") from None


def _value(expression: ast.expr) -> Any:
    return parse_op(ast.unparse(expression)) if isinstance(expression, ast.Call) else ast.literal_eval(expression)


def _tuples(value: Any) -> Any:
    """Lists and ranges as tuples, at any depth, so that a move can be hashed and read back."""
    return tuple(_tuples(part) for part in value) if isinstance(value, tuple | list | range) else value


def resizable(graph: Graph) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield every node with units of its own and those of its units that may be resized, if there are any.

    Inner axes (``"attention1.heads"``) follow their node. Depthwise convolutions, norms and the like follow the node
    they read and are not listed.
    """
    labels = label(graph)
    for node in graph:
        if isinstance(rule_of(graph, node.name), Absorb) and node.tie is None:
            for name in (node.name, *(f"{node.name}.{axis}" for axis in graph.inner(node.name))):
                free = labels.free(name) if name == node.name else around(graph, name).free(name)
                if len(free):
                    yield name, tuple(free.tolist())


def units_of(graph: Graph, name: str, units: object) -> tuple[int, ...]:
    """Return the units of a move as a tuple of ints.

    Raises:
        MoveRefused: when they are no distinct unit numbers, or the node has no units of its own.
    """
    graph.units(name)
    if "." not in name and isinstance(rule_of(graph, name), HANDS_ON):
        raise MoveRefused(
            f"node {name!r} has no units of its own, it hands on those of its inputs",
            hint=f"name the node that makes them, for example {_maker(graph, name)!r}",
            place=str(graph.node(name)),
        )
    numbers = tuple(units) if isinstance(units, tuple | list | range) else ()
    if not numbers or any(isinstance(unit, bool) or not isinstance(unit, int) for unit in numbers):
        raise MoveRefused("units must be a non-empty tuple of unit numbers", got=units)
    if len(set(numbers)) != len(numbers):
        raise MoveRefused("a unit is named twice", got=numbers)
    return numbers


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn the errors of an edit that leads to no valid graph, or of an op with unusable options, into a refusal.

    Args:
        what: what is refused, a clause to which the reason is added.

    Raises:
        MoveRefused: with the reason and the place.
    """
    try:
        yield
    except (GraphError, SettingError) as error:
        raise MoveRefused(
            f"{what}: {error.what}", expected=error.expected, got=error.got, hint=error.hint, place=error.place
        ) from error


def mixing(shape: Shape, units: int, kernel_size: int, place: str, *, stride: int | tuple[int, ...] = 1) -> Op:
    """Return the layer that mixes all units of a shape into new ones: a convolution or a linear map.

    Args:
        shape: of its input: units first and up to three sides for a convolution, units last for a linear map.
        units: of its output.
        kernel_size: of the convolution, odd, in pixels; its sides are kept at stride 1.
        place: the node in the graph text, for the refusal.
        stride: of the convolution, in pixels.

    Raises:
        MoveRefused: when neither reads such a shape, or with an option that cannot be used.
    """
    if not shape.mixes:
        raise MoveRefused(f"no layer mixes {shape.rows}", place=place)
    convolution = _CONVOLUTIONS.get(len(shape.dims)) if shape.unit_axis == 0 else None
    if convolution is not None:
        if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 1 or not kernel_size % 2:
            raise MoveRefused("kernel_size must be odd to keep the sides", got=kernel_size, place=place)
        return OPS.get(convolution)(units, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2)
    if shape.unit_axis == len(shape.dims) - 1:
        return OPS.get("Linear")(units)
    raise MoveRefused(f"no layer mixes the units of a tensor of shape {shape}", place=place)


def mixable(graph: Graph, name: str) -> None:
    """Refuse to mix the units of a node that holds whole numbers, such as the tokens that an embedding reads.

    Raises:
        MoveRefused: when it does, or holds numbers of a type that need not be that of a layer's weights.
    """
    kind = other_types(graph).get(name)
    if kind is not None:
        held = "numbers of another type than the weights" if kind.is_floating_point else "whole numbers"
        raise MoveRefused(f"node {name!r} holds {held}, which no layer mixes", place=str(graph.node(name)))


def _maker(graph: Graph, name: str) -> str:
    while isinstance(rule_of(graph, name), HANDS_ON):
        name = graph.node(name).inputs[0]
    return name
