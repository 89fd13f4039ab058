"""Ops as Python statements: constructor calls of layers, and traced functions as expressions."""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import operator
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from archgraph.errors import ExportError
from archgraph.export.graph_inputs import shape_text
from archgraph.export.graph_layers import ROOM, setting
from archgraph.export.layers import called
from archgraph.graph import Graph, Node
from archgraph.ops.graph_layer import geometric

WIDTH = 110

_ROOMS = (
    ("F", functional),
    ("torch", torch),
    ("torch.special", torch.special),
    ("torch.linalg", torch.linalg),
    ("torch.fft", torch.fft),
)
_INFIX: dict[Any, type[ast.operator]] = {
    operator.add: ast.Add,
    operator.sub: ast.Sub,
    operator.mul: ast.Mult,
    operator.truediv: ast.Div,
    operator.floordiv: ast.FloorDiv,
    operator.mod: ast.Mod,
    operator.pow: ast.Pow,
    operator.matmul: ast.MatMult,
}


# ---------------------------------------------------------------------- names and layers
def names_of(graph: Graph) -> dict[str, str]:
    """Return a name for every node that is free as a variable of the file and as an attribute of ``Model``."""
    reserved = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *dir(nn.Module())}
    reserved |= {"self", "torch", "nn", "F", ROOM, "Path", "Model", "load"}
    names = {name: name for name in graph.nodes if name not in reserved}
    taken = reserved | set(names)
    for name in graph.nodes:
        if name not in names:
            names[name] = free(name, taken)
    return names


def free(name: str, taken: set[str]) -> str:
    """Return a name with as many underscores as make it free, taken from now on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def modules_of(graph: Graph) -> dict[str, nn.Module]:
    """Return the layers of a graph, without memory, by the node that owns them, in order of first use."""
    with torch.device("meta"):
        built = {node.name: node.op.module(*graph.input_shapes(node.name)) for node in graph if node.tie is None}
    return {name: module for name, module in built.items() if module is not None}


def constructor(name: str, module: nn.Module) -> str:
    """Return the call that makes a layer, with no argument that has its default value."""
    kind = type(module)
    label = called(name, kind)
    scaled = getattr(module, "affine", getattr(module, "elementwise_affine", True))
    shown = []
    for option in inspect.signature(kind).parameters.values():
        if option.name in ("device", "dtype") or (option.name == "bias" and not scaled):
            continue
        if option.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        value = setting(module, option.name)
        if option.name == "bias":
            value = value is not None and value is not False
        pair = isinstance(option.default, int) or option.name == "kernel_size"
        if isinstance(value, tuple) and (len(value) == 1 or (pair and len(set(value)) == 1)):
            value = value[0]
        if option.default is inspect.Parameter.empty and option.name != "kernel_size":
            shown.append(f"nn.{value}" if isinstance(value, nn.Identity) else repr(value))
        elif value != option.default:
            shown.append(f"{option.name}={ast.unparse(_constant(name, value))}")
    call = f"{label}({', '.join(shown)})"
    with torch.device("meta"):
        rooms = {"nn": nn} | ({ROOM: geometric()} if label.startswith(f"{ROOM}.") else {kind.__name__: kind})
        made = eval(call, rooms)
    if any(what(made) != what(module) for what in (repr, _sizes, _plain)):
        raise ExportError(f"node {name!r} cannot be written as a call of {label}", expected=module, got=made)
    return call


def _sizes(module: nn.Module) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


def _plain(module: nn.Module) -> dict[str, object]:
    """Return the attributes that are plain values: not all of them stand in the ``repr``."""
    kinds = (bool, int, float, str, tuple, type(None))
    return {key: value for key, value in vars(module).items() if key[0] != "_" and isinstance(value, kinds)}


# ---------------------------------------------------------------------- statements
def steps(graph: Graph, node: Node, names: Mapping[str, str], *, shapes: bool = True) -> list[str]:
    """Return the statements that compute a node; none for an input.

    Args:
        graph: the graph.
        node: one of its nodes.
        names: variables by node, and attributes of ``self`` for those with layers.
        shapes: whether the shape stands behind the last statement.
    """
    if not node.inputs:
        return []
    if node.owner in _owners(graph, node):
        sources: list[ast.expr] = [ast.Name(names[name]) for name in node.inputs]
        values: dict[str, ast.expr] = {
            names[node.name]: ast.Call(ast.Attribute(ast.Name("self"), names[node.owner]), sources, [])
        }
    else:
        values = _traced(graph, node, names)
    lines = [line for name, value in values.items() for line in _assignment(name, ast.unparse(value))]
    return [*lines[:-1], lines[-1] + (f"  # {shape_text(graph, node.name)}" if shapes else "")]


def _owners(graph: Graph, node: Node) -> tuple[str, ...]:
    """Return the owner of a node's layer, if it has one."""
    with torch.device("meta"):
        return () if node.op.module(*graph.input_shapes(node.name)) is None else (node.owner,)


def _traced(graph: Graph, node: Node, names: Mapping[str, str]) -> dict[str, ast.expr]:
    """Trace the function of a stateless op; return expressions by variable, the node's last.

    Intermediate values that are read once stand inside the expression that reads them, others in variables.
    """
    trace = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(trace)
    entries = [trace.placeholder(name) for name in node.inputs]
    result = node.op.forward(tuple(fx.Proxy(entry, tracer) for entry in entries), graph.input_shapes(node.name))
    if not isinstance(result, fx.Proxy):
        raise ExportError(f"node {node.name!r} cannot be exported: {type(node.op).__name__} returns no single tensor")
    known: dict[fx.Node, ast.expr] = {
        entry: ast.Name(names[name]) for entry, name in zip(entries, node.inputs, strict=True)
    }
    taken = {*names.values(), "self"}
    variables: dict[str, ast.expr] = {}
    for step in trace.nodes:
        if step in known:
            continue
        known[step] = _expression(node.name, step, known)
        if len(_reads(step)) > 1 and step is not result.node:
            variable = free(f"{names[node.name]}_{step.name}", taken)
            variables[variable], known[step] = known[step], ast.Name(variable)
    return {**variables, names[node.name]: known[result.node]}


def _reads(step: fx.Node) -> list[fx.Node]:
    """Return the readers of a traced value, each as often as it reads it."""
    found: list[fx.Node] = []
    for user in step.users:
        read: list[fx.Node] = []
        fx.node.map_arg((user.args, user.kwargs), read.append)
        found += [user] * read.count(step)
    return found


def _assignment(name: str, value: str) -> list[str]:
    flat = f"{name} = {value}"
    return wrap(flat, f"{name} = (\n    {value}\n)", WIDTH - 8)


def wrap(flat: str, open_form: str, width: int = WIDTH) -> list[str]:
    """Return a statement on one line if it fits, or its inner line in as many as it takes."""
    if len(flat) <= width:
        return [flat]
    head, inner, tail = open_form.split("\n")
    indent = inner[: len(inner) - len(inner.lstrip())]
    lines = textwrap.wrap(
        inner.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    wrapped = [head, *lines, tail]
    return [flat] if "'" in inner else wrapped  # a space inside a string is no place to break


# ---------------------------------------------------------------------- expressions
def _expression(name: str, step: fx.Node, known: Mapping[fx.Node, ast.expr]) -> ast.expr:
    """Write one traced call, its arguments being known."""

    def write(value: Any) -> ast.expr:
        if isinstance(value, fx.Node):
            return known[value]
        if isinstance(value, tuple):
            return ast.Tuple([write(part) for part in value], ast.Load())
        if isinstance(value, list):
            return ast.List([write(part) for part in value], ast.Load())
        if isinstance(value, slice):
            return ast.Slice(*(None if end is None else write(end) for end in (value.start, value.stop, value.step)))
        return _constant(name, value)

    function = step.target
    arguments = [write(value) for value in step.args]
    if step.op == "call_function" and function in _INFIX and len(arguments) == 2:
        return ast.BinOp(arguments[0], _INFIX[function](), arguments[1])
    if function is operator.neg:
        return ast.UnaryOp(ast.USub(), arguments[0])
    if function is operator.getitem:
        return ast.Subscript(arguments[0], arguments[1], ast.Load())
    if function is builtins.getattr:
        return ast.Attribute(arguments[0], str(step.args[1]), ast.Load())
    if step.op == "call_method":
        options = [ast.keyword(key, write(value)) for key, value in step.kwargs.items()]
        return ast.Call(ast.Attribute(arguments[0], str(function), ast.Load()), arguments[1:], options)
    if step.op != "call_function" or not callable(function):
        raise ExportError(f"node {name!r} cannot be exported: it is traced to {step.op} {function!r}")
    called = ast.parse(_public_name(name, function), mode="eval").body
    defaults = _defaults(function)
    options = [ast.keyword(key, write(value)) for key, value in step.kwargs.items() if not _is(value, defaults, key)]
    return ast.Call(called, arguments, options)


def _constant(name: str, value: Any) -> ast.expr:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return ast.parse(f"float('{value}')", mode="eval").body
    if value is None or value is Ellipsis or isinstance(value, bool | int | float | str):
        return ast.Constant(value)
    if isinstance(value, tuple):
        return ast.Tuple([_constant(name, part) for part in value], ast.Load())
    if isinstance(value, torch.dtype):
        return ast.parse(str(value), mode="eval").body
    raise ExportError(f"node {name!r} cannot be exported: it uses a {type(value).__name__} as a constant")


def _public_name(name: str, function: Callable[..., Any]) -> str:
    for room, module in _ROOMS:
        name_there = function.__name__.removeprefix(f"{room.rpartition('.')[2]}_")
        for short in (name_there, name_there.replace("_", "")):  # functional.logsigmoid is called log_sigmoid inside
            if getattr(module, short, None) == function:
                return f"{room}.{short}"
    raise ExportError(f"node {name!r} cannot be written with torch alone: it calls {function!r}")


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the default arguments of a function of torch, as far as they can be found out."""
    if inspect.isfunction(function):
        function = inspect.getclosurevars(function).nonlocals.get("if_false", function)  # of a boolean_dispatch
        options = inspect.signature(function).parameters.values()
        return {option.name: option.default for option in options if option.default is not inspect.Parameter.empty}
    packet = getattr(torch.ops.aten, function.__name__, None)
    if packet is None or "default" not in packet.overloads():
        return {}
    arguments = packet.default._schema.arguments
    return {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}


def _is(value: Any, defaults: Mapping[str, Any], key: str) -> bool:
    return key in defaults and isinstance(value, bool) == isinstance(defaults[key], bool) and value == defaults[key]
