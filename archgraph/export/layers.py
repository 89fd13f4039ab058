"""Layers as source: calls of ``torch.nn`` and PyTorch Geometric, and the classes that ops bring along themselves."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable

import torch
from torch import nn

from archgraph.errors import ExportError
from archgraph.export.graph_layers import ROOM, is_geometric


def is_torch(kind: type[nn.Module]) -> bool:
    """Whether a layer is one of ``torch.nn``."""
    return getattr(nn, kind.__name__, None) is kind


def is_known(kind: type[nn.Module]) -> bool:
    """Whether a layer is one of ``torch.nn`` or, of a network on graphs, of ``torch_geometric.nn``."""
    return is_torch(kind) or is_geometric(kind)


def called(name: str, kind: type[nn.Module]) -> str:
    """Return what a layer's class is called in ``model.py``.

    Args:
        name: the node, for the message.
        kind: the class.

    Raises:
        ExportError: when it is in neither of these and needs more than torch.
    """
    if is_torch(kind):
        return f"nn.{kind.__name__}"
    if is_geometric(kind):
        return f"{ROOM}.{kind.__name__}"
    foreign = _foreign(kind)
    if foreign:
        raise ExportError(
            f"node {name!r} cannot be written with torch alone: {kind.__qualname__} is not in torch.nn and uses "
            f"{foreign}"
        )
    return kind.__name__


def definitions(modules: Iterable[nn.Module]) -> str:
    """Return the source of the classes among these that are in neither of these, each once."""
    kinds = dict.fromkeys(type(module) for module in modules)
    texts = [textwrap.dedent(inspect.getsource(kind)).rstrip() for kind in kinds if not is_known(kind)]
    return "".join(f"{text}\n\n\n" for text in texts)


def _foreign(kind: type[nn.Module]) -> str:
    """Return what a class uses beyond torch and Python, or an empty text."""
    for base in kind.__bases__:
        if base is not nn.Module and not is_torch(base):
            return f"the base class {base.__qualname__}"
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    known = vars(sys.modules[kind.__module__])
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in known and known[node.id] not in (torch, nn, kind):
            return node.id
    return ""
