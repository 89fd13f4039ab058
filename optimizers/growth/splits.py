"""From chosen units to the moves that split them, and their application."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from archgraph.graph import Edit, Graph, Role, makes
from archgraph.moves import Move, Split
from archgraph.net import Network, State, inherit_state
from optimizers.growth.site import Site


def splits(sites: list[Site], step: float, graph: Graph) -> list[Split]:
    """Return the moves that split units of a graph, one a node, to be applied in their order: later nodes first.

    In that order a displacement is given in the coordinates of a row whose inputs are not split yet; when they are,
    later, the copied columns take their share, and the displacement stays the same function of the input. Units that
    are coupled across nodes (residual sums) are copied earlier than that: there the unit's number and its displacements
    follow.

    Args:
        sites: what to split, in the order of the graph, one site at most of any coupled set.
        step: displacement, as a fraction of the length of the unit's weight row.
        graph: the graph before.
    """
    moves = []
    for node in dict.fromkeys(site.node for site in reversed(sites)):
        own = [site for site in sites if site.node == node]
        move = Split.of(
            node,
            [site.unit for site in own],
            [site.weights for site in own],
            [step * site.length * site.displacements for site in own],
            bias=own[0].displacements.shape[1] > sum(math.prod(sizes) for _, sizes in _rows(graph, node)),
        )
        edit = move.plan(graph)
        sites = [_follow(site, edit) for site in sites if site.node != node]
        graph = edit.after
        moves.append(move)
    return moves


def _follow(site: Site, edit: Edit) -> Site:
    """Return a site after an edit: where its unit stands, and its displacements when some inputs are copied."""
    unit = int((edit.unit_map(site.node).index == site.unit).argmax())
    inputs = edit.input_map(site.node)
    if inputs.is_identity:
        return replace(site, unit=unit)
    parts, start = [], 0
    for roles, row in _rows(edit.before, site.node):
        axis, entries = 1 + roles.index("in"), math.prod(row)
        rows: Tensor = site.displacements[:, start : start + entries].reshape(-1, *row).movedim(axis, -1)
        rows = rows[..., torch.from_numpy(inputs.index.copy())] * torch.from_numpy(inputs.coefficient.copy()).to(rows)
        parts.append(rows.movedim(-1, axis).flatten(1))
        start += entries
    return replace(site, unit=unit, displacements=torch.cat([*parts, site.displacements[:, start:]], dim=1))


def _rows(graph: Graph, node: str) -> list[tuple[tuple[Role, ...], tuple[int, ...]]]:
    """Return roles and sizes of the axes of a weight row, one for each tensor that holds a part of it.

    A displacement that is longer than all of them has the bias last.
    """
    specs = graph.tensors(node)
    found = []
    for name in graph.op(node).rows_of_unit(*graph.input_shapes(node))[0]:
        axes, shape = specs[name].axes, specs[name].shape
        axis = [makes(role) for role in axes].index(True)
        found.append((axes[:axis] + axes[axis + 1 :], shape[:axis] + shape[axis + 1 :]))
    return found


def apply(moves: Sequence[Move], network: Network, state: State | None) -> tuple[Network, State | None]:
    """Apply moves in order to a network and the optimizer's state."""
    for move in moves:
        edit = move.plan(network.graph)
        network = network.after(edit)
        state = None if state is None else inherit_state(edit, state)
    return network, state
