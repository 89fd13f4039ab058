"""PyTorch Geometric while a model is traced: which of its layers are one call, and what they return without memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.reading.graph_arguments import is_geometric

POOLS = ("global_add_pool", "global_mean_pool", "global_max_pool")
"""Functions of PyTorch Geometric that are traced as they are."""

POOL_ROOMS = ("torch_geometric.nn.pool", "torch_geometric.nn.pool.glob")
"""Modules beside ``torch_geometric.nn`` that have these functions."""

LEAVES = ("Linear", "JumpingKnowledge")
"""Layers that are one call, beside convolutions, aggregations and norms."""


def is_leaf(layer: nn.Module) -> bool:
    """Whether a layer of PyTorch Geometric is one call; others, such as its models, are read by their code."""
    rooms = ("torch_geometric.nn.conv.", "torch_geometric.nn.aggr.", "torch_geometric.nn.norm.")
    room = type(layer).__module__
    return room.startswith(rooms) or (is_geometric(layer) and type(layer).__name__ in LEAVES)


def pools() -> tuple[Callable[..., Any], ...]:
    """Return the functions that pool nodes, if PyTorch Geometric is loaded: a model on graphs has done that."""
    home = sys.modules.get("torch_geometric.nn")
    return () if home is None else tuple(getattr(home, name) for name in POOLS)


def without_memory(layer: Any, args: Any, kwargs: Any) -> Tensor:
    """Return what a layer of PyTorch Geometric returns, without memory; of pooled nodes as if all were graphs.

    Args:
        layer: it, or a function.
        args: what it is called with.
        kwargs: what it is called with by name.
    """
    x = args[0] if args else kwargs["x"]
    if isinstance(x, tuple | list):  # jumping knowledge
        units = sum(one.shape[-1] for one in x) if layer.mode == "cat" else x[0].shape[-1]
        return x[0].new_empty(len(x[0]), units)
    if not isinstance(layer, nn.Module):
        return torch.empty_like(x)
    name = type(layer).__name__
    if name in ("GINConv", "AttentionalAggregation"):
        inner: Any = getattr(layer, "nn", None) or getattr(layer, "mlp", None)
        return x if inner is None else x.new_empty(len(x), _width(inner, x.shape[-1]))
    given: Any = layer
    units = getattr(given, "out_channels", x.shape[-1])
    heads = given.heads if getattr(given, "concat", False) and hasattr(given, "heads") else 1
    return x.new_empty(len(x), int(units) * int(heads))


def _width(network: nn.Module, units: int) -> int:
    """Return how many units a network gives, which is not run: those of its last layer that has units of its own."""
    for part in network.modules():
        found = getattr(part, "out_features", None)
        if not isinstance(part, nn.Sequential) and not list(part.children()):
            units = found or (getattr(part, "out_channels", None) if is_geometric(part) else None) or units
    return int(units)


@contextmanager
def calls_as_they_are() -> Iterator[None]:
    """Let aggregations and pools of PyTorch Geometric be called like other layers and functions, from wherever.

    Aggregations look at memberships before they are called, and a function that is an attribute of a module
    (``gnn.global_mean_pool``) is not known to be one that is traced as it is.
    """
    home: Any = sys.modules.get("torch_geometric.nn")
    if home is None:
        yield
        return
    kind: Any = home.aggr.Aggregation
    own = vars(kind)["__call__"]
    pooling = {name: getattr(home, name) for name in POOLS}
    rooms = [home, *(room for name in POOL_ROOMS if (room := sys.modules.get(name)) is not None)]
    del kind.__call__
    for room in rooms:
        vars(room).update({name: _traced(function) for name, function in pooling.items()})
    try:
        yield
    finally:
        setattr(kind, "__call__", own)  # noqa: B010
        for room in rooms:
            vars(room).update(pooling)


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is one call in the trace of a model, and otherwise what it is."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        proxy = next((one for one in (*args, *kwargs.values()) if isinstance(one, fx.Proxy)), None)
        if proxy is None:
            return function(*args, **kwargs)
        return proxy.tracer.create_proxy("call_function", function, args, kwargs)

    return call
