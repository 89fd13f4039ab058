"""Carrying tensors through an edit: weights, running statistics, and the optimizer's moments.

Write a unit's row ``theta`` and the weights ``u`` of its readers. An edit replaces it by copies ``k`` with rows
``theta + delta_k`` and outgoing weights ``c_k u``. So a tensor's ``"out"`` axis is taken by index (plus displacement) and
its ``"in"`` axis by index times coefficient. Gradients go the other way: ``dL/d theta_k = c_k dL/d theta`` and
``dL/d(c_k u) = dL/du`` (at ``delta = 0``), so first moments are multiplied by ``c_k`` along ``"out"`` and copied along
``"in"``, second moments by ``c_k^2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from archgraph.graph import Edit, TensorSpec, UnitMap

Fresh = Callable[[str], Mapping[str, Tensor]]
State = Mapping[str, Mapping[str, Tensor]]
"""Optimizer state: ``"node.tensor"`` to the optimizer's own names (``exp_avg``, ``step``, ...) to tensors."""

SECOND_MOMENTS = frozenset({"exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum", "exp_inf"})
"""State that averages squared gradients, by the names torch's optimizers give it."""


def inherit(
    edit: Edit, weights: Mapping[str, Tensor], fresh: Fresh, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Return the weights after an edit; those of untouched nodes are the same tensors as before.

    Args:
        edit: the rewrite.
        weights: ``"node.tensor"`` to tensor before it.
        fresh: gives initial tensors of a node of the new graph, for new nodes and fresh units.
        dtype: floating-point type of new tensors.

    Returns:
        ``"node.tensor"`` to tensor for every tensor of the new graph.
    """
    result: dict[str, Tensor] = {}
    for node in edit.after:
        if node.tie is not None:
            continue
        name = node.name
        specs = edit.after.tensors(name) if edit.touches(name) else None
        if specs is None:
            for key in edit.before.tensors(name):
                result[f"{name}.{key}"] = weights[f"{name}.{key}"]
            continue
        known = not edit.is_new(name) and all(f"{name}.{key}" in weights for key in specs)
        start = fresh(name) if not known or _has_fresh(edit, name) else {}
        for key, spec in specs.items():
            label = f"{name}.{key}"
            if known:
                result[label] = _weight(edit, name, label, spec, weights[label], start.get(key))
            else:
                result[label] = start[key].to(dtype) if start[key].is_floating_point() else start[key]
    return result


def _weight(edit: Edit, name: str, label: str, spec: TensorSpec, old: Tensor, start: Tensor | None) -> Tensor:
    new = old
    for axis, role in enumerate(spec.axes):
        if role == "out":
            new = _take(new, axis, edit.unit_map(name), power=0)
    if label in edit.displacements:
        shift = torch.as_tensor(edit.displacements[label], dtype=torch.float64, device=new.device)
        new = (new.double() + shift).to(old.dtype)
    for axis, role in enumerate(spec.axes):
        if role == "in":
            new = _take(new, axis, edit.input_map(name), power=1)
    if start is not None:
        for role in ("out", "in"):  # rows first: where both are fresh the column's coefficient decides
            for axis in (axis for axis, found in enumerate(spec.axes) if found == role):
                new = _fill(new, axis, edit.unit_map(name) if role == "out" else edit.input_map(name), start, role)
    return new


def _fill(new: Tensor, axis: int, units: UnitMap, start: Tensor, role: str) -> Tensor:
    """Put initial values where units are fresh: whole rows, and columns times their outgoing coefficient."""
    if not units.fresh.any():
        return new
    places = torch.from_numpy(units.fresh.nonzero()[0]).to(new.device)
    block = start.to(new).index_select(axis, places)
    if role == "in":
        shape = [-1 if other == axis else 1 for other in range(new.ndim)]
        block = block * torch.from_numpy(units.coefficient[units.fresh]).to(new).reshape(shape)
    return new.index_copy(axis, places, block)


def inherit_state(edit: Edit, state: State) -> dict[str, dict[str, Tensor]]:
    """Return an optimizer's state after an edit.

    Moments of surviving weights are carried over and scaled as their gradients are; those of new weights are zero;
    counters are copied. New nodes have no state.

    Args:
        edit: the rewrite.
        state: the state before it.
    """
    result: dict[str, dict[str, Tensor]] = {}
    for node in edit.after:
        if node.tie is not None or edit.is_new(node.name):
            continue
        for key, spec in edit.after.tensors(node.name).items():
            label = f"{node.name}.{key}"
            if label not in state:
                continue
            shape = edit.before.tensors(node.name)[key].shape
            result[label] = {
                entry: _moment(edit, node.name, spec, value, 2 if entry in SECOND_MOMENTS else 1)
                if tuple(value.shape) == shape and value.ndim
                else value
                for entry, value in state[label].items()
            }
    return result


def _moment(edit: Edit, name: str, spec: TensorSpec, old: Tensor, power: int) -> Tensor:
    new = old
    for axis, role in enumerate(spec.axes):
        if role is not None:
            found = edit.unit_map(name) if role == "out" else edit.input_map(name)
            new = _take(new, axis, found, power=power if role == "out" else 0)
    return new


def _take(old: Tensor, axis: int, units: UnitMap, *, power: int) -> Tensor:
    """Take an axis by index, times the coefficient to a power; fresh entries are zero."""
    if units.is_identity:
        return old
    index = torch.from_numpy(units.index.clip(min=0)).to(old.device)
    new = old.index_select(axis, index)
    factor = torch.from_numpy((units.coefficient**power) * ~units.fresh)
    if not old.is_floating_point() or bool((factor == 1.0).all()):
        return new
    shape = [-1 if other == axis else 1 for other in range(old.ndim)]
    return (new.double() * factor.to(old.device).reshape(shape)).to(old.dtype)


def _has_fresh(edit: Edit, name: str) -> bool:
    node = edit.after.node(name)
    return any(name in edit.units and edit.units[name].fresh.any() for name in (node.name, *node.inputs))
