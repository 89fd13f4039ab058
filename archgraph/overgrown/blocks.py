"""Which tensors of a grown graph gates and directions reach, and how: read off the roles of their axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from archgraph.errors import MoveRefused
from archgraph.graph import Absorb, AxisMap, TensorSpec
from archgraph.overgrown.block import Block, Follow, Row
from archgraph.overgrown.marks import NONE, Marks
from archgraph.overgrown.structure import Structure

Axis = tuple[AxisMap, Marks]


def blocks(grown: Structure) -> tuple[Block, ...]:
    """Return all blocks of learned slices, in the order of the flat vector of directions.

    Weights and biases that make a gated unit have a slice for it, and weights that read a fresh one; scales and
    statistics of norms do not: copies have those of their unit, fresh units the ones torch starts with. Where a fresh
    unit would be read by another the weight is zero: its effect is of second order in the gates.

    Args:
        grown: the graph with all candidates.

    Raises:
        MoveRefused: when two kinds of units of one tensor cannot grow at once.
    """
    found: list[Block] = []
    start = 0
    for node in grown.deep:
        specs = grown.deep.tensors(node.name) if node.tie is None else {}
        makes = learns_rows(grown, node.name)
        for key, spec in specs.items():
            if not spec.trainable:
                continue
            axes = [grown.axis(node.name, role, size) for role, size in zip(spec.axes, spec.shape, strict=True)]
            if node.name in grown.edges:
                made = [_whole(grown, node.name, key, spec, axes, start)] if spec.size and len(axes) > 1 else []
            else:
                made = list(_along(grown, node.name, key, spec, axes, makes, start))
            for block in made:
                found.append(block)
                start = block.stop
    return tuple(found)


def learns_rows(grown: Structure, name: str) -> bool:
    """Whether rows that make units of a node are learned: those of layers, depthwise ones too, not those of norms."""
    if grown.is_closed(name):
        return False
    matrices = any(spec.trainable and len(spec.shape) > 1 for spec in grown.deep.tensors(name).values())
    return isinstance(grown.deep.rule(name), Absorb) or matrices


def _along(
    grown: Structure, name: str, key: str, spec: TensorSpec, axes: Sequence[Axis], makes: bool, start: int
) -> Iterator[Block]:
    for axis, (found, marks) in enumerate(axes):
        reads = found.fresh & (found.read == 0.0)
        learned = (marks.gates != NONE) & (reads | (makes & (found.fresh | (found.read == 1.0))))
        entries = np.flatnonzero(learned)
        others = [other for other in range(len(axes)) if other != axis]
        if not len(entries) or any(bool(axes[other][0].fresh.all()) for other in others):
            continue
        numbers: dict[tuple[int, str, int], int] = {}
        rows: dict[Row, int] = {}
        which = []
        for entry in entries.tolist():
            gate, sign, side = int(marks.gates[entry]), int(marks.signs[entry]), "out" if reads[entry] else "in"
            numbers[gate, side, sign] = number = numbers.get((gate, side, sign), -1) + 1
            row = Row(gate, grown.roles.get(name, name), f"{key} {axis}", side, number)
            which.append(rows.setdefault(row, len(rows)))
        if len([row for row in rows if grown.gates[row.gate].kind == "split"]) * 2 != sum(
            grown.gates[int(gate)].kind == "split" for gate in marks.gates[entries]
        ):
            raise MoveRefused(
                f"the halves of a split unit do not line up in tensor {name}.{key}", place=str(grown.graph.node(name))
            )
        block = Block(
            f"{name}.{key}",
            axis,
            tuple(rows),
            start,
            tuple(spec.shape[other] for other in others),
            torch.from_numpy(entries),
            torch.tensor(which),
            torch.from_numpy(marks.gates[entries]),
            torch.from_numpy(marks.signs[entries]),
            torch.from_numpy((reads | ~found.fresh)[entries].astype(np.int64)),
            tuple(_follows([axes[other][0] for other in others])),
            spec.gain / grown.graph.tensors(name)[key].gain,
        )
        start = block.stop
        yield block


def _whole(grown: Structure, name: str, key: str, spec: TensorSpec, axes: Sequence[Axis], start: int) -> Block:
    gate = grown.edges[name]
    one = torch.ones(1, dtype=torch.int64)
    return Block(
        f"{name}.{key}",
        None,
        (Row(gate, grown.roles[name], key, "out", 0),),
        start,
        spec.shape,
        one - 1,
        one - 1,
        one * gate,
        one,
        one,
        tuple(_follows([found for found, _ in axes])),
    )


def _follows(axes: Sequence[AxisMap]) -> Iterator[Follow]:
    for place, found in enumerate(axes, start=1):
        if not found.is_identity:
            factor = np.where(found.fresh, 0.0, found.read)
            yield Follow(place, torch.from_numpy(found.index.clip(min=0)), torch.from_numpy(factor))


def size(found: Sequence[Block]) -> int:
    """Return how many numbers the flat vector of directions has."""
    return sum(len(block.rows) * math.prod(block.rest) for block in found)
