"""The graph while it is read: nodes, shapes and weights so far, and what became of every traced value."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, fx, nn

from archgraph.errors import GraphError, ShapeError
from archgraph.graph import Graph, Node, Op, Shape
from archgraph.net import Network
from archgraph.ops.opaque import Opaque
from archgraph.ops.permute import Permute
from archgraph.reading.provenance import Provenance
from archgraph.reading.values import Batch, Flow, Held, Unread, held, holds_zeros

__all__ = ["Batch", "Flow", "Held", "NotRead", "Reader", "Relayout", "Unread", "held", "holds_zeros", "identifier"]


class NotRead(Exception):
    """A call is not in the tables, or not with these arguments; says why, and it becomes opaque."""


class Relayout(Exception):
    """The units of an input lie on another axis than was supposed; reading starts again."""

    def __init__(self, node: str, axis: int) -> None:
        super().__init__(node)
        self.node, self.axis = node, axis


@dataclass
class Reader:
    """Collects nodes and weights.

    Args:
        model: the user's model, for its numbers.
        axes: for inputs, the axis of the units, where it is known from an earlier attempt.
    """

    model: nn.Module
    axes: Mapping[str, int]
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    opaque: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    stem: str = ""
    """Name of the node that is being read."""
    call: fx.Node | None = None
    """The traced call that is being read."""
    result: tuple[Any, Any] = (None, None)
    """What the call that is being read returns for either batch, without memory."""
    _origin: dict[str, str] = field(default_factory=dict)
    _owners: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provenance = Provenance(self.model)

    # ------------------------------------------------------------------ what is known of a value
    def shape(self, flow: Flow) -> Shape:
        """Return the shape of a tensor in the graph, without its batch axis."""
        return self.shapes[flow.node]

    def dim(self, flow: Flow, axis: int) -> int:
        """Return which axis of the shape in the graph an axis of the user's tensor is.

        Raises:
            NotRead: when it is the batch axis.
        """
        axis %= len(self.shape(flow).dims) + 1
        if axis == flow.batch:
            raise NotRead("works along the batch axis")
        return axis - (axis > flow.batch)

    def is_last(self, flow: Flow) -> bool:
        """Whether the last axis of the user's tensor is also the last in the graph."""
        return flow.batch < len(self.shape(flow).dims)

    # ------------------------------------------------------------------ adding
    def add(self, op: Op, *flows: Flow, weights: Mapping[str, Held] | None = None, part: str = "") -> Flow:
        """Add a node and return its output.

        Args:
            op: what it computes.
            *flows: what it reads; all have their batch axis in the same place, and so has the result.
            weights: its tensors; when a node of this kind already has the same ones, they are shared.
            part: what it is of the call that is read, when the call becomes several nodes.

        Raises:
            NotRead: when the op cannot take these shapes.
        """
        batch = {flow.batch for flow in flows}
        if len(batch) > 1:
            raise NotRead("brings tensors together whose batch axes differ")
        name = self._free(f"{self.stem}_{part}" if part else self.stem)
        inputs = tuple(self.shape(flow) for flow in flows)
        try:
            self.shapes[name] = op.output(*inputs)
        except ShapeError as error:
            raise NotRead(f"does not fit the op set ({error.what})") from None
        wanted = op.tensors(*inputs)
        tie = self._tie(name, op, wanted, weights or {})
        self.nodes[name] = Node(name, op, tuple(flow.node for flow in flows), tie)
        if len(flows) == 1 and self.shapes[name] == inputs[0] and not wanted:
            self._origin[name] = self._origin.get(flows[0].node, flows[0].node)
        return Flow(name, *batch)

    def _tie(self, name: str, op: Op, wanted: Mapping[str, Any], weights: Mapping[str, Held]) -> str | None:
        if not wanted:
            return None
        missing = [key for key in wanted if key not in weights]
        if missing:
            raise GraphError(f"no weights for {', '.join(missing)} of {op!r}", hint="this is a bug of the importer")
        for key, spec in wanted.items():
            if tuple(weights[key].value.shape) != spec.shape:
                raise NotRead(f"has a {key} of shape {tuple(weights[key].value.shape)}, not {spec.shape}")
        identity = (type(op), op if isinstance(op, Opaque) else None)
        owned = (*identity, *(id(weights[key].value) for key in wanted))
        owner = self._owners.get(owned)
        if owner is not None and self._same_tensors(owner, wanted):
            return owner
        self._owners[owned] = name
        for key, spec in wanted.items():
            value = weights[key]
            self.weights[f"{name}.{key}"] = value.value
            self.provenance.takes(name, key, value, trainable=spec.trainable)
            if value.name is not None:
                self.used.add(value.name)
        return None

    def _same_tensors(self, owner: str, wanted: Mapping[str, Any]) -> bool:
        node = self.nodes[owner]
        return dict(node.op.tensors(*(self.shapes[source] for source in node.inputs))) == dict(wanted)

    def _free(self, stem: str) -> str:
        name, number = stem, 1
        while name in self.nodes:
            number += 1
            name = f"{stem}_{number}"
        return name

    def back_to(self, count: int) -> None:
        """Forget the nodes that were added when there were ``count``: the call that they are parts of is not read."""
        for name in list(self.nodes)[count:]:
            for key in self.nodes[name].op.tensors(*(self.shapes[source] for source in self.nodes[name].inputs)):
                self.weights.pop(f"{name}.{key}", None)
            del self.nodes[name], self.shapes[name]
            self.opaque.pop(name, None)
            self._origin.pop(name, None)
        self._owners = {key: owner for key, owner in self._owners.items() if owner in self.nodes}

    # ------------------------------------------------------------------ the axis of the units
    def units_on(self, flow: Flow, dim: int) -> Flow:
        """Return the same tensor with its units on an axis of the shape in the graph.

        Raises:
            NotRead: when a sample is one number.
            Relayout: when the tensor is an input, whose axis was only supposed.
        """
        shape = self.shape(flow)
        if not shape.dims:
            raise NotRead("reads units, where a sample is one number")
        dim %= len(shape.dims)
        if shape.unit_axis == dim:
            return flow
        if self.is_supposed(flow):
            raise Relayout(self._origin.get(flow.node, flow.node), dim)
        return self.relabel(flow, dim)

    def is_supposed(self, flow: Flow) -> bool:
        """Whether the axis of the units is only supposed: that of an input that nothing has read as units so far."""
        origin = self._origin.get(flow.node, flow.node)
        return self.nodes[origin].op.arity == (0, 0) and origin not in self.axes

    def relabel(self, flow: Flow, dim: int) -> Flow:
        """Return the same tensor by a node that does nothing but declare another axis that of the units."""
        node = self.nodes[flow.node]
        if isinstance(node.op, Permute) and not any(flow.node in other.inputs for other in self.nodes.values()):
            op = Permute(node.op.dims, unit_dim=dim + 1)  # the permutation itself can declare it
            self.nodes[node.name] = replace(node, op=op)
            self.shapes[node.name] = op.infer(*(self.shapes[source] for source in node.inputs))
            return flow
        order = tuple(range(len(self.shape(flow).dims) + 1))
        return self.add(Permute(order, unit_dim=dim + 1), flow, part="units")

    def units_last(self, flow: Flow) -> Flow:
        """Return the tensor with its units on the last axis."""
        if not self.is_last(flow):
            raise NotRead("works along the batch axis")
        return self.units_on(flow, -1)

    # ------------------------------------------------------------------ the end
    def network(self, outputs: tuple[str, ...]) -> Network:
        """Return what was read, without what no output needs."""
        needed = set(outputs)
        for node in reversed(self.nodes.values()):
            if node.name in needed or any(
                other.tie == node.name and other.name in needed for other in self.nodes.values()
            ):
                needed.update(node.inputs)
                if node.tie is not None:
                    needed.add(node.tie)
        kept = [node for node in self.nodes.values() if node.name in needed or node.op.arity == (0, 0)]
        graph = Graph(kept, outputs)
        weights = {
            f"{name}.{key}": self.weights[f"{name}.{key}"].detach().clone()
            for name, node in graph.nodes.items()
            if node.tie is None
            for key in graph.tensors(name)
        }
        return Network(graph, weights)


def identifier(path: str, kind: str) -> str:
    """Return a node name for a module path or a variable.

    >>> identifier("layer1.0.conv1", "conv2d"), identifier("0", "linear"), identifier("lambda", "relu")
    ('layer1_0_conv1', 'linear_0', 'lambda_')
    """
    name = re.sub(r"\W", "_", path, flags=re.ASCII).lstrip("_") or kind
    if name[0].isdigit():
        name = f"{kind}_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name
