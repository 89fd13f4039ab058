"""Example inputs: checked, named, and drawn anew for another batch size."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archgraph.errors import DataError
from archgraph.graph import Op
from archgraph.ops.edges import Edges, EdgeWeights
from archgraph.reading.agreement import outputs_of
from archgraph.reading.graph_arguments import check_arguments, kinds_of, whole
from archgraph.reading.root import arguments_of

Example = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
KINDS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32)


def named(model: nn.Module, example: Example) -> dict[str, Tensor]:
    """Return example inputs by the names of the arguments of the model's ``forward``, in its order.

    Raises:
        DataError: when they are no tensors, are elsewhere or of another type than the model, or no batch of one size.
    """
    if isinstance(example, Tensor):
        example = (example,)
    if isinstance(example, Mapping):
        known = [name for name in inspect.signature(model.forward).parameters if name in example]
        if extra := [str(name) for name in example if name not in known]:
            raise DataError(f"the model's forward has no argument {extra[0]!r}", got=", ".join(map(str, example)))
        inputs = {name: example[name] for name in known}
    elif isinstance(example, tuple | list):
        inputs = dict(zip(arguments_of(model, len(example)), example, strict=True))
    else:
        raise DataError("example_inputs must be tensors", expected="a tensor, or a tuple or dictionary of them",
                        got=type(example).__name__)  # fmt: skip
    if not inputs:
        raise DataError("no example input was given", expected="a tensor [N, ...] for every argument of forward")
    _check(model, inputs)
    return inputs


def _check(model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    kind = next((value.dtype for value in model.parameters()), None)
    for name, value in inputs.items():
        if not isinstance(value, Tensor):
            raise DataError(f"example input {name!r} is no tensor", got=type(value).__name__,
                            hint="give other arguments their values in a module that wraps the model")  # fmt: skip
        if value.device.type != "cpu":
            raise DataError(f"example input {name!r} is on another device", expected="cpu", got=value.device,
                            hint="call .cpu() on it")  # fmt: skip
        if value.dtype not in KINDS:
            raise DataError(f"example input {name!r} is of an unsupported type", expected=", ".join(map(str, KINDS)),
                            got=value.dtype)  # fmt: skip
        if value.is_floating_point() and kind is not None and value.dtype != kind:
            raise DataError(f"example input {name!r} is of another type than the model", expected=kind,
                            got=value.dtype, hint=f"call .to({kind}) on it")  # fmt: skip
        if value.ndim < 1 or value.shape[0] < 1:
            raise DataError(f"example input {name!r} is no batch of samples", expected="a shape [N, ...] with N >= 1",
                            got=tuple(value.shape))  # fmt: skip
    kinds = kinds_of(model, inputs)
    check_arguments(kinds, inputs)
    sizes = {len(value) for name, value in inputs.items() if name not in kinds}
    if len(sizes) > 1:
        raise DataError("the example inputs are batches of different sizes",
                        got=", ".join(f"{name} {tuple(value.shape)}" for name, value in inputs.items()))  # fmt: skip


def check_numbers(model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    """Check that inputs of one axis are batches of numbers, and not single samples: batches of another size must do.

    Args:
        model: the model, which may be run.
        inputs: by name.

    Raises:
        DataError: when the model does not run on one sample more.
    """
    kinds = kinds_of(model, inputs)
    flat = [name for name, value in inputs.items() if value.ndim == 1 and name not in kinds]
    if not flat:
        return
    try:
        outputs_of(model, another(inputs, kinds=kinds))
    except DataError as error:
        count = len(inputs[flat[0]])
        raise DataError(
            f"example input {flat[0]!r} has one axis, which is that of the batch: {count} samples of one number each; "
            f"but the model does not run on {count + 1} of them",
            got=error.what, hint=f"if it is a single sample, give it as a batch [N, {count}], as x[None] is",
            place=error.place,
        ) from error  # fmt: skip


def another(
    inputs: Mapping[str, Tensor], seed: int = 0, *, kinds: Mapping[str, type[Op]] | None = None
) -> dict[str, Tensor]:
    """Return a batch with one sample more, drawn from a stream of its own: rows of the example, scaled at random.

    Whole numbers stay as they are, as they may be indices; signs stay too, as logarithms may be taken. Edges stay, so
    that a node more is one without edges.
    """
    draw = torch.Generator().manual_seed(seed)
    linked = [name for name, kind in (kinds or {}).items() if kind in (Edges, EdgeWeights)]
    count = len(next(value for name, value in inputs.items() if name not in linked)) + 1
    result: dict[str, Tensor] = {}
    for name, value in inputs.items():
        if name in linked:
            result[name] = value
            continue
        rows = value[torch.arange(count) % len(value)]
        if value.is_floating_point():
            rows = rows * (0.5 + torch.rand(rows.shape, generator=draw)).to(value.dtype)
        result[name] = rows
    return result


def shapes_of(
    inputs: Mapping[str, Tensor], kinds: Mapping[str, type[Op]] | None = None
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return sizes of one sample and type, by name; of edges, which are no batch, all sizes."""
    given = kinds or {}
    return {name: (whole(given, inputs, name) or tuple(value.shape[1:]), value.dtype) for name, value in inputs.items()}
