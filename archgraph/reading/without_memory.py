"""What traced calls return, computed on tensors without memory."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.reading import geometric
from archgraph.reading.factories import FACTORIES, as_they_are
from archgraph.reading.graph_arguments import Whole, is_geometric
from archgraph.reading.proxy import BATCHES, VALUES
from archgraph.reading.sizes import known as known_size
from archgraph.reading.twin import Evaluating

DEGREE = "degree"
"""Under this name the ``meta`` of a traced input holds how many edges a node has, if it is edges."""

Shapes = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""For every argument of ``forward``, in order, the sizes of one sample and the type."""


def evaluate(root: nn.Module, node: fx.Node, which: int, shapes: Shapes) -> Any:
    """Return what a traced call returns for one of the two batches, tensors without memory.

    Args:
        root: where the graph's targets are found.
        node: the call; what it reads has been computed.
        which: of the batches.
        shapes: of the inputs.
    """

    def known(value: Any) -> Any:
        if isinstance(value, fx.Node):
            if VALUES not in value.meta:  # a tensor that the code made
                value.meta[VALUES] = (_empty(getattr(root, str(value.target))),) * len(BATCHES)
            return value.meta[VALUES][which]
        return False if isinstance(value, Evaluating) else value

    args: Any
    kwargs: Any
    args, kwargs = (fx.node.map_aggregate(part, known) for part in (node.args, node.kwargs))
    if node.op == "placeholder":
        sizes, kind = shapes[str(node.target)]
        if isinstance(sizes, Whole):
            node.meta[DEGREE] = sizes.degree
            return torch.empty(*sizes, dtype=kind, device="meta")
        return torch.empty(BATCHES[which], *sizes, dtype=kind, device="meta")
    if node.op == "get_attr":
        return _empty(functools.reduce(getattr, str(node.target).split("."), root))
    args, kwargs = (plain_lists(fx.node.map_aggregate(part, _empty)) for part in (args, kwargs))
    with as_they_are():
        called = root.get_submodule(str(node.target)) if node.op == "call_module" else node.target
        if (result := known_size(called, args, kwargs)) is not None:
            return result
        if is_geometric(called):
            return geometric.without_memory(called, args, kwargs)
        if isinstance(called, nn.Module):
            return _transformed(called, args, kwargs) if type(called) in _TRANSFORMERS else called(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        if _makes(node.target) and not _tensors(args):
            kwargs = {**kwargs, "device": "meta"}
            kwargs.pop("generator", None)
        return node.target(*args, **kwargs)


def _makes(target: Any) -> bool:
    """Whether a function makes a tensor of nothing."""
    if isinstance(target, torch._ops.OpOverload):
        options = target._schema.arguments
        return any(option.name == "device" for option in options) and not any(
            "Tensor" in str(option.type) for option in options
        )
    return target in FACTORIES


def _tensors(value: Any) -> bool:
    found: list[bool] = []
    fx.node.map_aggregate(value, lambda part: found.append(isinstance(part, Tensor)))
    return any(found)


def plain_lists(value: Any) -> Any:
    """Return arguments with the lists of a traced graph as plain ones: calls of aten take no others."""
    if type(value) is tuple:
        return tuple(map(plain_lists, value))
    if isinstance(value, list):
        return list(map(plain_lists, value))
    return {key: plain_lists(part) for key, part in value.items()} if isinstance(value, dict) else value


_TRANSFORMERS: dict[type[nn.Module], tuple[int, str]] = {
    nn.TransformerEncoder: (0, "src"),
    nn.TransformerEncoderLayer: (0, "src"),
    nn.TransformerDecoder: (0, "tgt"),
    nn.TransformerDecoderLayer: (0, "tgt"),
    nn.Transformer: (1, "tgt"),
}
"""Layers that look at the contents of masks, with the argument whose shape their result has."""


def _transformed(layer: nn.Module, args: Any, kwargs: Any) -> Tensor:
    place, name = _TRANSFORMERS[type(layer)]
    return torch.empty_like(args[place] if len(args) > place else kwargs[name])


def _empty(value: Any) -> Any:
    return value.detach().to("meta") if isinstance(value, Tensor) else value


_OF_NUMBERS = ("nonzero", "unique", "masked_select", "bincount", "equal")


def needs_numbers(error: str) -> str | None:
    """Return how a call that cannot be computed without memory depends on numbers; None when it may not."""
    if "on meta tensors" in error or "out of meta tensor" in error:
        return "as a number"
    missing = "Meta tensors" in error or "register_meta" in error
    return "to decide how large another is" if missing and any(name in error for name in _OF_NUMBERS) else None
