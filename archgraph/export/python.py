"""A network as a Python file that imports torch alone: one ``nn.Module`` with straight-line code, and ``load``."""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import operator
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from archgraph.errors import ExportError
from archgraph.export.layers import called, definitions
from archgraph.graph import Graph, Node
from archgraph.metrics import macs, params
from archgraph.net import Network

MODEL_FILE = "model.py"
WEIGHTS_FILE = "weights.pt"
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

_PAGE = '''\
"""{title}

Inputs:  {inputs}
Outputs: {outputs}
Size:    {size}

    from model import load
    model = load()  # weights.pt beside this file; on the CPU, in eval mode
    {call}

`python model.py` prints a summary.
"""

from pathlib import Path

{imports}


{layers}class Model(nn.Module):
{body}


def load(path=None):
    """Return the model with its weights, in eval mode; `path` is the weights file, by default the one beside this."""
    path = Path(__file__).with_name("{weights}") if path is None else path
    with torch.device("meta"):  # no memory and no random numbers: every tensor comes from the file, type included
        model = Model()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    return model.eval()


if __name__ == "__main__":
    loaded = load()
    print(loaded)
    print(f"{{sum(parameter.numel() for parameter in loaded.parameters()):,}} parameters")
'''


def source(network: Network) -> str:
    """Return the text of ``model.py``: class ``Model`` and function ``load``, which reads ``weights.pt`` beside it.

    Variables and submodules are called like the nodes, with an underscore where Python or ``nn.Module`` has the name.

    Raises:
        ExportError: when an op uses a layer or function that torch does not offer by a public name.
    """
    graph = network.graph
    names = _names(graph)
    modules = _modules(graph)
    layers = [f"        self.{names[name]} = {_constructor(name, module)}" for name, module in modules.items()]
    steps = [line for node in graph for line in _steps(graph, node, names)]
    returned = ", ".join(names[name] for name in graph.outputs)
    header = ", ".join(["self", *(names[name] for name in graph.inputs)])
    body = ["    def __init__(self):", "        super().__init__()", *layers, ""] if layers else []
    body += _wrap(f"    def forward({header}):", f"    def forward(\n        {header}\n    ):")
    body += [f"        {line}" if line else "" for line in steps]
    body += _wrap(f"        return {returned}", f"        return (\n            {returned}\n        )")
    code = "\n".join(body)
    imports = ["import torch", *(["import torch.nn.functional as F"] if "F." in "".join(steps) else [])]
    return _PAGE.format(
        title=f"A network of {len(graph)} nodes as plain PyTorch: needs torch alone.",
        inputs=_listed(graph, names, graph.inputs),
        outputs=_listed(graph, names, graph.outputs),
        size=f"{params(graph):,} parameters, {macs(graph):,} multiply-accumulates a sample, "
        f"{str(network.dtype).removeprefix('torch.')}",
        call=f"{returned} = model({', '.join(names[name] for name in graph.inputs)})",
        imports="\n".join([*imports, "from torch import nn"]),
        layers=definitions(modules.values()),
        body=code,
        weights=WEIGHTS_FILE,
    )


def state_dict(network: Network) -> dict[str, Tensor]:
    """Return the weights on the CPU by the names that ``Model`` gives them, such as ``"conv2d1.weight"`` (copied)."""
    names = _names(network.graph)
    return {
        f"{names[name]}.{key}": tensor.cpu().clone()
        for name in _modules(network.graph)
        for key, tensor in network.tensors(name).items()
    }


# ---------------------------------------------------------------------- names and layers
def _names(graph: Graph) -> dict[str, str]:
    """Return a name for every node that is free as a variable of the file and as an attribute of ``Model``."""
    reserved = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *dir(nn.Module())}
    reserved |= {"self", "torch", "nn", "F", "Path", "Model", "load"}
    names = {name: name for name in graph.nodes if name not in reserved}
    taken = reserved | set(names)
    for name in graph.nodes:
        if name not in names:
            names[name] = _free(name, taken)
    return names


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _listed(graph: Graph, names: Mapping[str, str], chosen: Iterable[str]) -> str:
    return ", ".join(f"{names[name]} {_shape(graph, name)}" for name in chosen)


def _shape(graph: Graph, name: str) -> str:
    return f"[N, {', '.join(map(str, graph.shape(name).dims))}]"


def _modules(graph: Graph) -> dict[str, nn.Module]:
    """Return the layers of a graph, without memory, by the node that owns them, in order of first use."""
    with torch.device("meta"):
        built = {node.name: node.op.module(*graph.input_shapes(node.name)) for node in graph if node.tie is None}
    return {name: module for name, module in built.items() if module is not None}


def _constructor(name: str, module: nn.Module) -> str:
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
        value = getattr(module, option.name, None)
        if option.name == "bias":
            value = value is not None and value is not False
        pair = isinstance(option.default, int) or option.name == "kernel_size"
        if isinstance(value, tuple) and (len(value) == 1 or (pair and len(set(value)) == 1)):
            value = value[0]
        if option.default is inspect.Parameter.empty and option.name != "kernel_size":
            shown.append(repr(value))
        elif value != option.default:
            shown.append(f"{option.name}={ast.unparse(_constant(name, value))}")
    call = f"{label}({', '.join(shown)})"
    with torch.device("meta"):
        made = eval(call, {"nn": nn, kind.__name__: kind})
    if repr(made) != repr(module) or _sizes(made) != _sizes(module):
        raise ExportError(f"node {name!r} cannot be written as a call of {label}", expected=module, got=made)
    return call


def _sizes(module: nn.Module) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


# ---------------------------------------------------------------------- statements
def _steps(graph: Graph, node: Node, names: Mapping[str, str]) -> list[str]:
    """Return the statements that compute a node, its shape behind the last; none for an input."""
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
    shape = f"  # {_shape(graph, node.name)}"
    return [*lines[:-1], lines[-1] + shape]


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
            variable = _free(f"{names[node.name]}_{step.name}", taken)
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
    return _wrap(flat, f"{name} = (\n    {value}\n)", WIDTH - 8)


def _wrap(flat: str, open_form: str, width: int = WIDTH) -> list[str]:
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
        short = function.__name__.removeprefix(f"{room.rpartition('.')[2]}_")
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
