"""The text form of a graph, which is also its file format: one node a line, then what is returned.

    input1 = Input((1, 8, 8))
    conv2d1 = Conv2d(4, kernel_size=3, padding=1)(input1)
    linear2 = Linear(10)(relu1) @ linear1          # uses the weights of linear1
    return linear2

The grammar is a subset of Python's, so any Python-aware editor highlights it; it is read with :mod:`ast` and nothing in
it is ever executed.
"""

from __future__ import annotations

import ast
from typing import Any

from archgraph.errors import ArchGraphError, ParseError, UnknownName
from archgraph.graph.graph import Graph
from archgraph.graph.node import Node
from archgraph.graph.op import Op
from archgraph.registry import OPS


def parse(text: str) -> Graph:
    """Read a graph from its text form.

    Raises:
        ParseError: when the text does not follow the grammar; line and column are shown.
        UnknownName: when an op is not known; the nearest name is suggested.
        GraphError: when the graph it spells is not valid.
    """
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise _error(text, error.msg, error.lineno or 1, error.offset or 1) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ParseError(f"the text is not a graph: {error}") from None
    last = statements[-1] if statements else None

    nodes = [_node(text, statement) for statement in statements[: -1 if isinstance(last, ast.Return) else None]]
    if not isinstance(last, ast.Return):
        raise _error(text, "the last line must be `return NAME, ...`", len(_lines(text)), 1)
    return Graph(nodes, _returned(text, last))


def parse_op(text: str) -> Op:
    """Read an op from its ``repr``.

    Raises:
        ParseError: when the text is no op; line and column are shown.
        UnknownName: when no op is called so.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _error(text, error.msg, error.lineno or 1, error.offset or 1) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ParseError(f"the text is not an op: {error}") from None
    if not isinstance(call, ast.Call):
        raise _at(text, "expected `Op(...)`", call)
    return _op(text, call)


def _node(text: str, statement: ast.stmt) -> Node:
    if not (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(target := statement.targets[0], ast.Name)
    ):
        raise _at(text, "expected `name = Op(...)(inputs)`", statement)
    value: ast.expr = statement.value
    tie: str | None = None
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.MatMult):
        left, right = value.left, value.right
        if not isinstance(right, ast.Name):
            raise _at(text, "expected the name of the node whose weights are used after `@`", right)
        value, tie = left, right.id
    if not isinstance(value, ast.Call):
        raise _at(text, "expected `Op(...)(inputs)`", value)
    inputs: tuple[str, ...] = ()
    if isinstance(value.func, ast.Call):
        if value.keywords:
            raise _at(text, "inputs are given by name alone", value.keywords[0].value)
        inputs, value = tuple(_name(text, argument) for argument in value.args), value.func
    return Node(target.id, _op(text, value), inputs, tie)


def _op(text: str, call: ast.Call) -> Any:
    if not isinstance(call.func, ast.Name):
        raise _at(text, "expected the name of an op", call.func)
    try:
        kind = OPS.get(call.func.id)
    except UnknownName as error:
        where, place = _place(text, call.func.lineno, _column(text, call.func))
        raise UnknownName(f"{where}: {error.what}", expected=error.expected, hint=error.hint, place=place) from None
    arguments = [_literal(text, argument) for argument in call.args]
    options = {}
    for option in call.keywords:
        if option.arg is None:
            raise _at(text, "`**` is not part of the grammar", option.value)
        if option.arg in options:
            raise _at(text, f"option {option.arg!r} is given twice", option.value)
        options[option.arg] = _literal(text, option.value)
    try:
        op = kind(*arguments, **options)
        hash(op)  # a list or a dictionary where a number should be
        return op
    except TypeError as error:
        raise _at(text, f"{call.func.id}: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}", call) from None
    except ArchGraphError as error:
        raise _at(text, f"{call.func.id}: {error.what}", call, expected=error.expected, got=error.got) from None


def _literal(text: str, expression: ast.expr) -> Any:
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise _at(text, "expected a number, a string, True, False, None or a tuple of those", expression) from None


def _name(text: str, expression: ast.expr) -> str:
    if not isinstance(expression, ast.Name):
        raise _at(text, "expected the name of a node", expression)
    return expression.id


def _returned(text: str, statement: ast.Return) -> tuple[str, ...]:
    value = statement.value
    if value is None:
        raise _at(text, "expected the names of the outputs after `return`", statement)
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return tuple(_name(text, part) for part in parts)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _column(text: str, place: ast.stmt | ast.expr) -> int:
    """Return the column in characters, from 1; ``ast`` counts bytes."""
    line = _lines(text)[place.lineno - 1]
    return len(line.encode()[: place.col_offset].decode(errors="ignore")) + 1


def _place(text: str, number: int, column: int) -> tuple[str, str]:
    lines = _lines(text)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    return f"line {number}, column {column}", f"{line}\n{' ' * (column - 1)}^"


def _at(text: str, what: str, place: ast.stmt | ast.expr, **facts: Any) -> ParseError:
    return _error(text, what, place.lineno, _column(text, place), **facts)


def _error(text: str, what: str, line: int, column: int, **facts: Any) -> ParseError:
    where, place = _place(text, line, column)
    return ParseError(f"{where}: {what}", place=place, **facts)
