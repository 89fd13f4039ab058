"""Reading single calls: layers, functions and methods, each by its table, or opaque."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.errors import GraphError
from archgraph.reading import (
    arithmetic,
    attention,
    blending,
    cells,
    convolutions,
    elementwise,
    gating,
    graph_layers,
    images,
    joining,
    layers,
    norms,
    padding,
    parts,
    pooling,
    powers,
    recurrent,
    reductions,
    repeating,
    shaping,
    transformers,
)
from archgraph.reading.graph_layers import rule_of
from archgraph.reading.masks import MASKED, masked_by_sample
from archgraph.reading.opaque import opaque_call, opaque_module
from archgraph.reading.randomness import refuse_random
from archgraph.reading.reader import Held, NotRead, Reader, held
from archgraph.reading.tables import FUNCTIONS, Rule
from archgraph.reading.tracing import VALUES

TABLES: tuple[ModuleType, ...] = (
    elementwise,
    arithmetic,
    powers,
    blending,
    reductions,
    gating,
    layers,
    convolutions,
    norms,
    pooling,
    padding,
    images,
)
TABLES += (graph_layers, shaping, parts, joining, repeating, attention, transformers, recurrent, cells)
"""The files that fill the tables."""


@dataclass(frozen=True)
class At:
    """A layer that is called.

    Args:
        module: the layer, without memory.
        held: its tensors by their names in it.
        path: where it is in the model.
    """

    module: nn.Module
    held: Mapping[str, Held]
    path: str


def read_layer(read: Reader, root: nn.Module, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """Read a call of a layer.

    Args:
        read: the graph so far.
        root: where the graph's targets are found.
        node: the traced call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        GraphError: when it can be neither read nor opaque.
    """
    bare = node.target == "model"  # the user's model is one layer
    path = "" if bare else str(node.target).removeprefix("model.")
    module, real = root.get_submodule(str(node.target)), read.model.get_submodule(path)
    tensors = {**dict(real.named_parameters()), **dict(real.named_buffers())}
    state = {key: tensors.get(key, value) for key, value in real.state_dict(keep_vars=True).items()}
    _refuse_computed(module, path)
    at = At(module, {key: held(value, f"{path}.{key}".lstrip(".")) for key, value in state.items()}, path)
    args, kwargs = _by_place(module, args, kwargs)
    rule = rule_of(module)
    try:
        if rule is None:
            raise NotRead(f"is a layer that the tables do not have ({type(module).__name__})")
        return _try(rule, read, (at, *args), kwargs)
    except NotRead as error:
        return opaque_module(read, module, at.held, args, kwargs, str(error), node.meta[VALUES][0])


def read_call(read: Reader, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """Read a call of a function or method.

    Args:
        read: the graph so far.
        node: the traced call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        GraphError: when it draws random numbers, or can be neither read nor opaque.
    """
    try:
        name, rule = _rule(node)
        if rule is None:
            refuse_random(read, node)
            raise NotRead(f"is a call that the tables do not have ({name})")
        return _try(rule, read, args, kwargs)
    except NotRead as error:
        reason = MASKED if masked_by_sample(node) else str(error)
        return opaque_call(read, node.target, args, kwargs, node.meta[VALUES][0], reason)


def _rule(node: fx.Node) -> tuple[str, Rule | None]:
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        name = target._schema.name.partition("::")[2]
    elif isinstance(target, str):
        name = target
    else:
        name = getattr(target, "__name__", "")
        home = str(getattr(target, "__module__", None) or "torch")
        if not home.startswith(("torch", "_operator", "operator", "archgraph.reading")):
            return name, None
    short = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    return name, FUNCTIONS.get(name, FUNCTIONS.get(short))


def _refuse_computed(module: nn.Module, path: str) -> None:
    """Refuse a layer whose weight a hook computes before every call."""
    for name, value in vars(module).items():
        if isinstance(value, Tensor) and module._forward_pre_hooks:
            raise GraphError(
                f"a hook computes {name!r} of layer {path!r} before every call",
                hint="use torch.nn.utils.parametrizations instead, or remove the hook before the import (for example "
                "by torch.nn.utils.remove_weight_norm or remove_spectral_norm)",
            )


def _by_place(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Return arguments by place where ``forward`` takes them so."""
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError:
        return args, kwargs
    return bound.args, bound.kwargs


def _try(rule: Callable[..., Any], read: Reader, args: Any, kwargs: Any) -> Any:
    try:
        inspect.signature(rule).bind(read, *args, **kwargs)
    except TypeError:
        raise NotRead("is called with arguments that the tables do not have") from None
    before = len(read.nodes)
    try:
        return rule(read, *args, **kwargs)
    except NotRead:
        read.back_to(before)
        raise
