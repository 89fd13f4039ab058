"""``T_v -> T_v + P T_u with P = 0 ; function kept``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Graph, Op, Shape
from archgraph.moves.move import Move, mixable, mixing, refusing
from archgraph.moves.number_types import other_types
from archgraph.moves.remove_edge import RemoveEdge
from archgraph.registry import OPS


@dataclass(frozen=True, repr=False)
class AddEdge(Move):
    """Add a skip connection through a projection that starts at zero.

    Sequences, images and volumes are brought to the target's sides by a strided projection of one pixel, or, for a
    vector target, by global average pooling.

    Args:
        source: the node that is read.
        target: the node to whose output the projection is added, for all that read it.
    """

    source: str
    target: str
    keeps_function: ClassVar[bool] = True

    def plan(self, graph: Graph) -> Edit:
        for name in (self.source, self.target):
            mixable(graph, name)
        start, end = graph.shape(self.source), graph.shape(self.target)
        place = f"{graph.node(self.source)}\n{graph.node(self.target)}"
        if self.source == self.target:
            raise MoveRefused(
                f"an edge cannot lead from {self.source!r} to itself", hint="InsertLayer does that", place=place
            )
        path = _projection(start, end, place)
        what = f"no edge can be added from {self.source!r} to {self.target!r}"
        with refusing(what), graph.edit() as edit:
            gate = self.source
            for op in path:
                gate = edit.add(op, gate)
            total = edit.add(OPS.get("Add")(), self.target, gate)
            for reader in graph.users(self.target):
                sources = graph.node(reader).inputs
                edit.connect(reader, *(total if name == self.target else name for name in sources))
            edit.outputs(*(total if name == self.target else name for name in graph.outputs))
        initial = {f"{gate}.{key}": 0.0 for key in edit.graph.tensors(gate)}
        return Edit(graph, edit.graph, initial=initial)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        others = other_types(graph)
        mixed = [name for name in graph.nodes if name not in others]
        for target in mixed:
            node = graph.node(target)
            if not graph.users(target) and target not in graph.outputs:
                continue  # an input that nothing reads
            later = _descendants(graph, target)
            for source in mixed:
                if source != target and source not in later and source not in node.inputs:
                    try:
                        _projection(graph.shape(source), graph.shape(target), "")
                    except MoveRefused:
                        continue
                    yield cls(source, target)

    def inverse(self, graph: Graph) -> RemoveEdge:
        """Return the move that takes the edge away again (its function is kept while ``P`` is zero).

        Raises:
            MoveRefused: when this move is not legal on ``graph``.
        """
        after = self.plan(graph).after
        (total,) = (
            name for name in after.users(self.target) if name not in graph and len(after.node(name).inputs) == 2
        )
        return RemoveEdge(total, 1)


def _projection(start: Shape, end: Shape, place: str) -> tuple[Op, ...]:
    """Return the layers that lead from one shape to another, the last of them with weights.

    Raises:
        MoveRefused: when there are none.
    """
    if start.rows != end.rows:
        raise MoveRefused("no projection leads from one kind of rows to another", expected=end, got=start, place=place)
    if len(start.dims) > 1 and len(end.dims) == 1 and start.unit_axis == 0:
        pooled = Shape((start.units,))
        return (OPS.get("GlobalAvgPool")(), mixing(pooled, end.units, 1, place))
    return (mixing(start, end.units, 1, place, stride=_stride(start, end, place)),)


def _stride(start: Shape, end: Shape, place: str) -> int | tuple[int, ...]:
    """Return the stride that brings a shape's positions to another's with a kernel of one pixel."""
    if start.others == end.others and start.unit_axis == end.unit_axis and len(start.dims) == len(end.dims):
        return 1
    if 2 <= len(start.dims) == len(end.dims) <= 4 and start.unit_axis == end.unit_axis == 0:
        strides = []
        for have, want in zip(start.others, end.others, strict=True):
            fitting = (step for step in range(1, have + 1) if (have - 1) // step + 1 == want)
            strides.append(next(fitting, 0))
        if all(strides):
            return tuple(strides)
    raise MoveRefused("no projection leads from one shape to the other", expected=end, got=start, place=place)


def _descendants(graph: Graph, start: str) -> set[str]:
    """Return the nodes that are computed from a node."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for user in graph.users(waiting.pop()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return found
