"""The classes of a model file: one for every kind of repeated block, and what is left for the model itself."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from archgraph.export.blocks import Block, blocks
from archgraph.export.graph_inputs import shape_text
from archgraph.export.graph_layers import ROOM
from archgraph.export.statements import WIDTH, constructor, free, modules_of, names_of, steps, wrap
from archgraph.graph import Graph

Arguments = dict[str, str]
"""Arguments of a call as source, by parameter."""


@dataclass(frozen=True)
class Pages:
    """The parts of a model file.

    Args:
        names: variable of every node.
        places: for every node with tensors, where its layer stands in the model: ``"conv2d1"``, ``"block1.conv2d1"``.
        classes: source of the classes of blocks.
        layers: statements of ``Model.__init__``.
        steps: statements of ``Model.forward``.
        modules: the layers by node, without memory.
    """

    names: Mapping[str, str]
    places: Mapping[str, str]
    classes: str
    layers: tuple[str, ...]
    steps: tuple[str, ...]
    modules: Mapping[str, nn.Module]


def pages(graph: Graph) -> Pages:
    """Write a graph as classes; blocks that may be written alike share one."""
    names, modules = names_of(graph), modules_of(graph)
    calls = {name: ast.parse(constructor(name, module), mode="eval").body for name, module in modules.items()}
    taken = {*names.values(), *(type(module).__name__ for module in modules.values())}
    classes: list[str] = []
    places = {name: names[name] for name in modules}
    at: dict[str, tuple[str, str, Block]] = {}  # first node: attribute, call and nodes of the block
    for group in _kinds(graph, calls):
        kind = free(f"Block{len(classes) + 1}", taken)
        local = _local(graph, [block.nodes for block in group])
        values, bodies = _parameters(group, local, calls, modules)
        classes.append(_class(graph, kind, group, local, list(dict.fromkeys(values)), bodies))
        for number, block in enumerate(group):
            attribute = free(_attribute(block) or f"block{len(at) + 1}", taken)
            given = ", ".join(f"{name}={texts[number]}" for name, texts in values.items())
            at[block.nodes[0]] = (attribute, f"{kind}({given})", block)
            places |= {name: f"{attribute}.{local[k]}" for k, name in enumerate(block.nodes) if name in modules}
    layers, body, inside = [], [], set[str]()
    for node in graph:
        if node.name in at:
            attribute, call, block = at[node.name]
            inside.update(block.nodes)
            layers += _made(attribute, call)
            out = block.nodes[-1]
            body.append(f"{names[out]} = self.{attribute}({names[block.source]})  # {shape_text(graph, out)}")
        elif node.name not in inside:
            if node.name in calls:
                layers += _made(names[node.name], ast.unparse(calls[node.name]))
            body += steps(graph, node, names)
    return Pages(names, places, "".join(f"{text}\n\n\n" for text in classes), tuple(layers), tuple(body), modules)


def _made(attribute: str, call: str) -> list[str]:
    """Return the statement that makes a layer, on as many lines as it takes."""
    head, _, arguments = call.partition("(")
    return wrap(f"self.{attribute} = {call}", f"self.{attribute} = {head}(\n    {arguments[:-1]}\n)", WIDTH - 8)


def _kinds(graph: Graph, calls: Mapping[str, ast.expr]) -> list[list[Block]]:
    """Return the blocks by kind: those of a kind differ in the arguments of their layers alone."""
    found: dict[object, list[Block]] = {}
    for block in blocks(graph):
        plain = {name: f"v{number}" for number, name in enumerate(block.nodes)} | {block.source: "x"}
        texts = [line for name in block.nodes for line in steps(graph, graph.node(name), plain, shapes=False)]
        made = [_called(calls[name]) for name in block.nodes if name in calls]
        found.setdefault((block.wiring, tuple(texts), tuple(made)), []).append(block)
    return [group for group in found.values() if len(group) > 1]


def _called(call: ast.expr) -> str:
    assert isinstance(call, ast.Call)
    return ast.unparse(call.func)


def _local(graph: Graph, occurrences: list[tuple[str, ...]]) -> list[str]:
    """Return names for the nodes of a kind of block: what their names share, or else numbered kinds of ops."""
    short = {tuple(name.removeprefix(_prefix(nodes)) for name in nodes) for nodes in occurrences}
    if len(short) == 1:
        (own,) = short
        if all(name.isidentifier() and not name.startswith("_") for name in own) and "x" not in own:
            taken = {"self", "torch", "nn", "F", ROOM, *dir(nn.Module())}
            return [free(name, taken) for name in own]
    numbers: dict[str, int] = {}
    found = []
    for name in occurrences[0]:
        stem = type(graph.op(name)).__name__.lower()
        numbers[stem] = numbers.get(stem, 0) + 1
        found.append(f"{stem}{numbers[stem]}")
    return found


def _prefix(nodes: Iterable[str]) -> str:
    """Return what all names of nodes begin with, up to an underscore: ``"layer1_0_"``."""
    shared = os.path.commonprefix(list(nodes))  # noqa: RUF071  # of texts, not of paths
    return shared[: shared.rfind("_") + 1]


def _attribute(block: Block) -> str:
    name = _prefix(block.nodes).rstrip("_")
    return name if name.isidentifier() else ""


def _parameters(
    group: list[Block], local: list[str], calls: Mapping[str, ast.expr], modules: Mapping[str, nn.Module]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return what differs between the blocks of a kind as parameters of its class.

    Returns:
        Parameters of the class with their values in every block, and the calls that make the layers by local name.
    """
    values: dict[tuple[str, ...], str] = {}  # parameters with equal values everywhere are one
    bodies: dict[str, str] = {}
    for number, name in enumerate(local):
        nodes = [block.nodes[number] for block in group]
        if nodes[0] not in calls:
            continue
        given = [_arguments(calls[node], type(modules[node])) for node in nodes]
        options = inspect.signature(type(modules[nodes[0]])).parameters
        used = [key for key in options if any(key in one for one in given)]
        shown, named = [], False
        for key in used:
            texts = tuple(one.get(key, repr(options[key].default)) for one in given)
            text = texts[0] if len(set(texts)) == 1 else values.setdefault(texts, f"{name}_{key}")
            named = named or any(key not in _positional(calls[node], options) for node in nodes)
            shown.append(f"{key}={text}" if named else text)
        bodies[name] = f"{_called(calls[nodes[0]])}({', '.join(shown)})"
    return {parameter: texts for texts, parameter in values.items()}, bodies


def _positional(call: ast.expr, options: Mapping[str, inspect.Parameter]) -> list[str]:
    assert isinstance(call, ast.Call)
    return list(options)[: len(call.args)]


def _arguments(call: ast.expr, kind: type[nn.Module]) -> Arguments:
    assert isinstance(call, ast.Call)
    names = inspect.signature(kind).parameters
    found = {name: ast.unparse(value) for name, value in zip(names, call.args, strict=False)}
    return found | {str(option.arg): ast.unparse(option.value) for option in call.keywords}


def _class(
    graph: Graph, kind: str, group: list[Block], local: list[str], parameters: list[str], bodies: Mapping[str, str]
) -> str:
    block = group[0]
    names = dict(zip(block.nodes, local, strict=True))
    entry = free("x", {*local})
    names[block.source] = entry
    lines = [line for name in block.nodes for line in steps(graph, graph.node(name), names, shapes=False)]
    header = ", ".join(["self", *parameters])
    made = [line for name, call in bodies.items() for line in _made(name, call)]
    return "\n".join(
        [
            f"class {kind}(nn.Module):",
            f'    """A block that occurs {len(group)} times, first from {block.nodes[0]} to {block.nodes[-1]}."""',
            "",
            *(f"    {line}" for line in wrap(f"def __init__({header}):", f"def __init__(\n    {header}\n):")),
            "        super().__init__()",
            *(f"        {line}" for line in made),
            "",
            f"    def forward(self, {entry}):",
            *(f"        {line}" for line in lines),
            f"        return {local[-1]}",
        ]
    )
