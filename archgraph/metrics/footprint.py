"""What one op holds in memory: found by running it on tensors without data, so plug-in ops need not declare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from archgraph.errors import GraphError, SettingError
from archgraph.graph import Op, Shape
from archgraph.metrics.graph_batch import degree, example, on_graphs, size
from archgraph.metrics.live import LiveBytes

FLOATS: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
"""Types in which a network can run."""


@dataclass(frozen=True)
class Source:
    """A tensor that an op reads.

    Args:
        shape: without the batch axis.
        dtype: its type.
        tracked: whether autograd follows it.
        strides: how its entries lie in memory, the batch axis first; one after the other by default.
    """

    shape: Shape
    dtype: torch.dtype
    tracked: bool = False
    strides: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Footprint:
    """What an op holds in memory for a batch.

    Args:
        made: bytes of its output; 0 when that is a view of an input.
        view_of: number of the input whose memory the output shares, or None.
        within: most bytes of new tensors held at once while it runs, the output among them.
        keeps_inputs: numbers of the inputs that autograd keeps for the backward pass.
        keeps_output: whether autograd keeps the output.
        keeps: bytes that autograd keeps besides: masks, indices, statistics.
        dtype: type of the output.
        tracked: whether autograd follows the output.
        strides: how the entries of the output lie in memory.
    """

    made: int
    view_of: int | None
    within: int
    keeps_inputs: tuple[int, ...]
    keeps_output: bool
    keeps: int
    dtype: torch.dtype
    tracked: bool
    strides: tuple[int, ...] | None = None


@lru_cache(maxsize=16384)
def footprint(op: Op, sources: tuple[Source, ...], batch_size: int, dtype: torch.dtype, training: bool) -> Footprint:
    """Return what an op holds in memory.

    It runs once on ``FakeTensor`` inputs, which have shapes and types but no data, in training mode with autograd or in
    eval mode without. What autograd keeps is what ``torch.autograd.graph.saved_tensors_hooks`` sees. An op that reads
    edges runs on a graph of so many nodes with data, as what it makes depends on these.

    Args:
        op: the op; not an input of the network.
        sources: what it reads.
        batch_size: number of samples.
        dtype: floating-point type of its weights.
        training: whether it is trained.

    Raises:
        GraphError: when the op cannot run without data.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    shapes = tuple(source.shape for source in sources)
    saved: list[Tensor] = []
    try:
        with torch.device("meta"):
            layer = op.module(*shapes)
        specs = (
            {} if layer is None else {name: (value.shape, value.dtype) for name, value in layer.state_dict().items()}
        )
        data = on_graphs(shapes)
        with torch.random.fork_rng(devices=[]) if data else FakeTensorMode():
            inputs = tuple(_empty(source, batch_size, training, degree(shapes), data=data) for source in sources)
            weights = [] if layer is None else _furnish(layer.train(training), specs, dtype)
            with LiveBytes([*weights, *inputs]) as live, _autograd(saved, training):
                output = layer(*inputs) if layer is not None else op.forward(inputs, shapes)
            return _read(output, inputs, weights, saved, live)
    except Exception as error:  # whatever torch raises for what it cannot do without data
        raise GraphError(
            f"the memory of {op!r} is not known: it cannot run on tensors without data",
            got=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
        ) from error


def float_type(name: str) -> torch.dtype:
    """Return the floating-point type called ``name``.

    Raises:
        SettingError: when a network cannot run in it.
    """
    if name not in FLOATS:
        raise SettingError("a network runs in floating-point numbers", expected=", ".join(FLOATS), got=repr(name))
    return FLOATS[name]


def _empty(source: Source, batch_size: int, training: bool, edges: int, *, data: bool) -> Tensor:
    if data:
        tensor = example(source.shape, batch_size, edges, source.dtype)
    elif source.strides is None:
        tensor = torch.empty(size(source.shape, batch_size, edges), dtype=source.dtype)
    else:
        tensor = torch.empty_strided(size(source.shape, batch_size, edges), source.strides, dtype=source.dtype)
    return tensor.requires_grad_() if source.tracked and training else tensor


def _furnish(layer: nn.Module, specs: Mapping[str, tuple[torch.Size, torch.dtype]], dtype: torch.dtype) -> list[Tensor]:
    """Give a layer tensors of the active mode, of a type if they hold floating-point numbers; return them."""
    state = {
        name: torch.empty(shape, dtype=dtype if own.is_floating_point else own) for name, (shape, own) in specs.items()
    }
    layer.load_state_dict(state, assign=True)
    return [*layer.parameters(), *layer.buffers()]


def _autograd(saved: list[Tensor], training: bool) -> AbstractContextManager[Any]:
    """Record what autograd keeps, or switch it off."""
    if not training:
        return torch.no_grad()

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    return torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)


def _read(
    output: Tensor, inputs: Sequence[Tensor], weights: Sequence[Tensor], saved: Sequence[Tensor], live: LiveBytes
) -> Footprint:
    places = {_memory(tensor): place for place, tensor in enumerate(inputs)}
    kept = {_memory(tensor): tensor.untyped_storage().nbytes() for tensor in saved}
    for weight in weights:
        kept.pop(_memory(weight), None)
    own = _memory(output)
    view_of = places.get(own)
    return Footprint(
        made=0 if view_of is not None else output.untyped_storage().nbytes(),
        view_of=view_of,
        within=live.greatest,
        keeps_inputs=tuple(sorted(places[memory] for memory in kept if memory in places)),
        keeps_output=own in kept and view_of is None,
        keeps=sum(size for memory, size in kept.items() if memory not in places and memory != own),
        dtype=output.dtype,
        tracked=output.requires_grad,
        strides=None if output.is_contiguous() else tuple(output.stride()),
    )


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


__all__ = ["FLOATS", "Footprint", "Source", "float_type", "footprint"]
