"""Comparing a network with the model it was read from, and naming the first node where they part."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.errors import DataError, GraphError
from archgraph.net import Network
from archgraph.net.lowering import lower
from archgraph.octets import octets
from archgraph.reading.place import place_of

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference of an output, relative to its largest entry."""

Batch = Mapping[str, Tensor]


def still(model: nn.Module) -> nn.Module:
    """Return a copy of a model in eval mode that shares its parameters, and has buffers of its own."""
    return _copied(model, {id(value): value for value in model.parameters()})


def first_run(model: nn.Module, inputs: Batch) -> nn.Module:
    """Run a model once, and return a copy of it that may be run again: the model itself stays as it is.

    The copy is that of :func:`still`, which shares the parameters. Whether the model's code writes to them while it
    runs is found out on a copy that shares nothing, and that is let go.

    Args:
        model: the user's model.
        inputs: by name.

    Raises:
        DataError: when the model does not take these inputs, or returns something else than tensors.
        GraphError: when the model cannot be copied, or writes to its parameters.
    """
    apart = _copied(model, {})
    outputs_of(apart, inputs)
    for (name, value), other in zip(model.named_parameters(), apart.parameters(), strict=True):
        if not torch.equal(octets(value), octets(other)):
            raise GraphError(
                f"the model writes to its parameter {name!r} while it runs",
                hint="do that before the import and outside of forward: only training changes the weights of a graph",
            )
    return still(model)


def _copied(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        found = copy.deepcopy(model, memo)
    except Exception as error:  # whatever __deepcopy__ and __reduce__ of strangers raise
        raise GraphError(f"the model cannot be copied: {error}", hint=_uncopied(model)) from error
    assert isinstance(found, nn.Module)
    return found.eval()


def _uncopied(model: nn.Module) -> str:
    """Return what to do about a model that cannot be copied."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                return (
                    f"{key!r} of layer {name!r} is computed by a hook: use torch.nn.utils.parametrizations instead, or "
                    "remove the hook before the import (for example by torch.nn.utils.remove_weight_norm)"
                )
    return "remove what cannot be from it"


def outputs_of(model: nn.Module, inputs: Batch) -> tuple[Tensor, ...]:
    """Return the output tensors of a model on a batch.

    Raises:
        DataError: when the model does not take these inputs, or returns something else than tensors.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            arguments = (value.clone() for value in inputs.values())  # the model may write to them
            result = model(*arguments)
    except Exception as error:  # whatever the user's code raises
        raise DataError(
            f"the model does not run on the example inputs: {(str(error).splitlines() or [type(error).__name__])[0]}",
            got=", ".join(f"{name} {tuple(value.shape)} {value.dtype}" for name, value in inputs.items()),
            place=place_of(error),
        ) from error
    return tuple(_tensors(result))


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Mapping):
        return [leaf for part in result.values() for leaf in _tensors(part)]
    if isinstance(result, tuple | list):
        return [leaf for part in result for leaf in _tensors(part)]
    if result is None:
        return []
    if not isinstance(result, Tensor):
        raise DataError(
            "the model returns something that is no tensor",
            expected="a tensor, or a tuple or dictionary of them",
            got=type(result).__name__,
        )
    return [result.detach()]


def check(
    network: Network, root: nn.Module, graph: fx.Graph, nodes: Mapping[fx.Node, str], batches: tuple[Batch, ...]
) -> tuple[str, ...]:
    """Raise unless the network computes what the model does, on every batch.

    Args:
        network: what was read.
        root: a module with the user's model as ``model``, as the traced graph has it.
        graph: the traced calls.
        nodes: for traced calls, the node that computes the same.
        batches: inputs by name.

    Returns:
        Notes on outputs of which nothing could be compared.

    Raises:
        GraphError: when an output differs by more than rounding; the first node that does is named.
    """
    module = lower(network.graph, network.weights, share=True).eval()
    seen: set[str] = set()
    for inputs in batches:
        wanted = outputs_of(root, inputs)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            result = module(*inputs.values())
        found = result if isinstance(result, tuple) else (result,)
        if len(wanted) == len(found) and all(map(_agree, wanted, found)):
            outputs = zip(network.graph.outputs, wanted, strict=True)
            seen.update(name for name, value in outputs if bool(torch.isfinite(value).any()))
            continue
        first = _first(module, root, graph, nodes, inputs)
        raise GraphError(
            "the network does not compute what the model does" + (f"; node {first!r} differs first" if first else ""),
            expected=f"outputs equal to {TOLERANCE.get(network.dtype, 1e-6):g} of the largest entry",
            got=", ".join(map(_gap, wanted, found)),
            hint=_hooked(root, graph) or "this is a bug of the importer, or the model's forward is not deterministic",
            place=str(network.graph.node(first)) if first else None,
        )
    blank = [name for name in network.graph.outputs if name not in seen]
    return tuple(
        f"output {name} has no finite number on the example inputs, so nothing was compared: import the model with "
        "inputs on which it has some"
        for name in blank
    )


def _hooked(root: nn.Module, graph: fx.Graph) -> str | None:
    """Return what to do when layers have hooks, which may change what they compute; None when none has."""
    called = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    names = [
        name.removeprefix("model.")
        for name, module in root.named_modules()
        if name in called and (module._forward_hooks or module._forward_pre_hooks)
    ]
    if not names:
        return None
    return (
        f"hooks are not read: remove those of {', '.join(map(repr, names[:3]))}, or write what they do into the "
        "model's forward"
    )


def _agree(wanted: Tensor, found: Tensor) -> bool:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    if not wanted.is_floating_point():
        return torch.equal(wanted, found)
    limit = TOLERANCE.get(wanted.dtype, 1e-6)
    scale = float(wanted.nan_to_num(0.0, 0.0, 0.0).abs().max()) or 1.0
    return torch.allclose(found, wanted, rtol=0.0, atol=limit * scale, equal_nan=True)


def _gap(wanted: Tensor, found: Tensor) -> str:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return f"{found.dtype} {tuple(found.shape)} instead of {wanted.dtype} {tuple(wanted.shape)}"
    return f"a largest difference of {float((wanted.double() - found.double()).abs().max()):.3g}"


def _first(
    module: fx.GraphModule, root: nn.Module, graph: fx.Graph, nodes: Mapping[fx.Node, str], inputs: Batch
) -> str | None:
    """Return the first node whose output differs from what the traced call computes."""
    ours = _Recorder(module)
    theirs = _Recorder(fx.GraphModule(root, graph))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        ours.run(*inputs.values())
        theirs.run(*inputs.values())
    names = {node.name: name for node, name in nodes.items()}
    for key, value in theirs.seen.items():
        other = ours.seen.get(names.get(key, ""))
        if isinstance(value, Tensor) and isinstance(other, Tensor) and not _agree(value, other):
            return names[key]
    return None


class _Recorder(fx.Interpreter):
    """Keeps what every call computes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.seen: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.seen[n.name] = result.clone() if isinstance(result, Tensor) else result  # it may be written to later
        return result
