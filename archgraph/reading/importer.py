"""From the traced calls of a model to a network: every call by its table, or opaque."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from archgraph.errors import GraphError
from archgraph.graph import Node
from archgraph.net import Network
from archgraph.ops.source import Input
from archgraph.reading.calls import read_call, read_layer
from archgraph.reading.computed import computed, tensor_of
from archgraph.reading.factories import SHAPE_ONLY
from archgraph.reading.graph_arguments import input_op
from archgraph.reading.learned import materialise
from archgraph.reading.reader import Batch, Flow, Held, Reader, Relayout, Unread, identifier
from archgraph.reading.returned import leaves, returned
from archgraph.reading.tracing import BATCHES, GRADS, PLACE, VALUES
from archgraph.reading.twin import Evaluating
from archgraph.reading.views import name_of
from archgraph.reading.without_memory import DEGREE


@dataclass(frozen=True)
class Read:
    """What was read.

    Args:
        network: the network.
        opaque: for every opaque node, why it is.
        notes: what else differs from the model.
        nodes: for the traced calls, the node that computes the same.
        used: names of the model's tensors that the network has.
    """

    network: Network
    opaque: Mapping[str, str]
    notes: tuple[str, ...]
    nodes: Mapping[fx.Node, str]
    used: frozenset[str]


def read_graph(model: nn.Module, root: nn.Module, graph: fx.Graph) -> Read:
    """Read a traced model.

    Args:
        model: the user's model, for its numbers.
        root: where the graph's targets are found.
        graph: the traced calls.

    Raises:
        GraphError: when a call can be neither read nor opaque.
    """
    axes: dict[str, int] = {}
    while True:
        try:
            return _Importer(model, root, graph, axes).run()
        except Relayout as wanted:
            axes[wanted.node] = wanted.axis


class _Importer:
    def __init__(self, model: nn.Module, root: nn.Module, graph: fx.Graph, axes: Mapping[str, int]) -> None:
        self.model, self.root, self.graph = model, root, graph
        self.read = Reader(model, axes)
        self.known: dict[fx.Node, Any] = {}

    def run(self) -> Read:
        outputs: tuple[str, ...] = ()
        for node in self.graph.nodes:
            self.read.stem = _stem(node, self.root)
            self.read.call = node
            self.read.result = node.meta.get(VALUES, (None, None))
            if node.op == "output":
                outputs = returned(self.read, [self._learned(self._known(value)) for value in leaves(node.args[0])])
            else:
                self.known[node] = value = self._value(node)
                self._without_gradients(node, value)
        network = self.read.network(outputs)
        nodes = {
            node: value.node
            for node, value in self.known.items()
            if isinstance(value, Flow) and not value.batch and value.node in network.graph
        }
        opaque = {name: why for name, why in self.read.opaque.items() if name in network.graph}
        notes = (*self.read.notes, *self.read.provenance.notes(network.graph))
        return Read(network, opaque, notes, nodes, frozenset(self.read.used))

    def _value(self, node: fx.Node) -> Any:
        first, second = node.meta[VALUES]
        if node.op == "placeholder":
            return self._input(node, tuple(first.shape[1:]), first.dtype)
        if not _has_tensor(first):
            return _size(first, second)
        if node.op == "get_attr":
            return tensor_of(self.read, self.root, str(node.target))
        args: Any
        args, kwargs = (fx.node.map_aggregate(part, self._known) for part in (node.args, node.kwargs))
        if getattr(node.target, "__name__", "") == "getitem" and isinstance(args[0], tuple | list):
            return args[0][args[1]]
        if missing := _of(Unread, (args, kwargs)):
            line = node.meta.get(PLACE)
            raise GraphError(
                f"{self.read.stem} cannot be imported: {missing[0].why}",
                hint="compute it by functions of torch on what the layer reads and returns",
                place=None if line is None else str(line),
            )
        if node.op == "call_module":
            args, kwargs = (fx.node.map_aggregate(part, self._learned) for part in (args, kwargs))
        elif name_of(node) in SHAPE_ONLY and args and isinstance(args[0], Flow):
            args = (None, *args[1:])  # only its shape matters
        if not _of(Flow, (args, kwargs)):
            return computed(self.read, self.root, node, args, kwargs)
        if node.op == "call_module":
            found = read_layer(self.read, self.root, node, args, kwargs)
        else:
            found = read_call(self.read, node, args, kwargs)
        results = frozenset[str]().union(*(value.made for value in _of(Held, (args, kwargs))))
        for flow in _of(Flow, (found,)):
            self.read.provenance.uses(flow.node, results)
        return found

    def _learned(self, value: Any) -> Any:
        """Return a trained tensor that is repeated for every sample, such as queries, as a tensor of the batch."""
        repeated = isinstance(value, Held) and value.trainable and value.batch is not None
        return materialise(self.read, value) if repeated else value

    def _without_gradients(self, node: fx.Node, value: Any) -> None:
        """Note where the model lets no gradients through."""
        detached = name_of(node) == "detach"
        if node.op == "placeholder" or (node.meta.get(GRADS, True) and not detached):
            return
        for flow in _of(Flow, (value,)):
            self.read.provenance.cuts(flow.node, "detach" if detached else "torch.no_grad")

    def _known(self, value: Any) -> Any:
        if isinstance(value, Evaluating):
            return value
        return self.known[value] if isinstance(value, fx.Node) else value

    def _input(self, node: fx.Node, dims: tuple[int, ...], dtype: torch.dtype) -> Flow:
        name = self.read._free(identifier(str(node.target), "input"))
        axis = self.read.axes.get(name, 1 if len(dims) == 2 else 0)
        kind = "float32" if dtype.is_floating_point else str(dtype).removeprefix("torch.")
        op = input_op(self.model, str(node.target), node.meta.get(DEGREE, 1)) or Input(dims, axis, kind)
        self.read.nodes[name], self.read.shapes[name] = Node(name, op), op.infer()
        return Flow(name)


def _stem(node: fx.Node, root: nn.Module) -> str:
    """Return a name for what a traced call becomes: the path of the layer, or of the module it stands in."""
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        kind = type(module).__name__.lower()
        path = str(node.target).removeprefix("model").removeprefix(".")
        return identifier(path, kind)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    if isinstance(node.target, torch._ops.OpOverload):
        name = node.target._schema.name.partition("::")[2]
    stack = list(node.meta.get("nn_module_stack", {}).values())
    inside = str(stack[-1][0]) if stack else ""
    path = inside.removeprefix("model").removeprefix(".")
    name = str(name).strip("_")
    return identifier(f"{path}.{name}" if path else name, "block")


def _size(first: Any, second: Any) -> Any:
    if isinstance(first, int) and first * BATCHES[1] == second * BATCHES[0]:
        return Batch(first // BATCHES[0]) if first % BATCHES[0] == 0 else (first, second)
    return (first, second)


def _of(kind: type, value: Any) -> list[Any]:
    """Return the values of a kind among arguments, at any depth."""
    found: list[Any] = []
    fx.node.map_aggregate(value, lambda part: found.append(part) if isinstance(part, kind) else None)
    return found


def _has_tensor(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_has_tensor, value))
    return isinstance(value, Tensor)
