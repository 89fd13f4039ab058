"""``T_v -> T_v + P T_u with P = 0 ; function kept``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from archgraph.errors import MoveRefused
from archgraph.graph import Edit, Graph, Shape
from archgraph.moves.move import Move, mixing
from archgraph.moves.remove_edge import RemoveEdge
from archgraph.registry import OPS


@dataclass(frozen=True, repr=False)
class AddEdge(Move):
    """Add a skip connection through a projection that starts at zero.

    Images are brought to the target's height and width by a strided projection of one pixel, or, for a vector target,
    by global average pooling.

    Args:
        source: the node that is read.
        target: the node to whose output the projection is added, for all that read it.
    """

    source: str
    target: str
    keeps_function: ClassVar[bool] = True

    def plan(self, graph: Graph) -> Edit:
        start, end = graph.shape(self.source), graph.shape(self.target)
        place = f"{graph.node(self.source)}\n{graph.node(self.target)}"
        if self.source == self.target or _reaches(graph, self.target, self.source):
            raise MoveRefused(f"an edge from {self.source!r} to {self.target!r} would close a cycle", place=place)
        with graph.edit() as edit:
            origin = self.source
            if len(start.dims) > 1 and len(end.dims) == 1 and start.unit_axis == 0:
                origin = edit.add(OPS.get("GlobalAvgPool")(), origin)
                start = Shape((start.units,))
            gate = edit.add(mixing(start, end.units, 1, place, stride=_stride(start, end, place)), origin)
            total = edit.add(OPS.get("Add")(), self.target, gate)
            for reader in graph.users(self.target):
                sources = graph.node(reader).inputs
                edit.connect(reader, *(total if name == self.target else name for name in sources))
            edit.outputs(*(total if name == self.target else name for name in graph.outputs))
        initial = {f"{gate}.{key}": 0.0 for key in edit.graph.tensors(gate)}
        return Edit(graph, edit.graph, initial=initial)

    @classmethod
    def sites(cls, graph: Graph) -> Iterator[Self]:
        names = [node.name for node in graph]
        for position, target in enumerate(names):
            for source in names[:position]:
                move = cls(source, target)
                if source not in graph.node(target).inputs and move.refusal(graph) is None:
                    yield move

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


def _stride(start: Shape, end: Shape, place: str) -> int | tuple[int, int]:
    """Return the stride that brings a shape's positions to another's with a kernel of one pixel."""
    if start.others == end.others and start.unit_axis == end.unit_axis:
        return 1
    if len(start.dims) == len(end.dims) == 3 and start.unit_axis == end.unit_axis == 0:
        strides = []
        for have, want in zip(start.others, end.others, strict=True):
            fitting = [step for step in range(1, have + 1) if (have - 1) // step + 1 == want]
            strides += fitting[:1]
        if len(strides) == 2:
            return (strides[0], strides[1])
    raise MoveRefused("no projection leads from one shape to the other", expected=end, got=start, place=place)


def _reaches(graph: Graph, start: str, goal: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for user in graph.users(waiting.pop()):
            if user == goal:
                return True
            if user not in seen:
                seen.add(user)
                waiting.append(user)
    return False
