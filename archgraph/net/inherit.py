"""Carrying tensors through an edit: weights, running statistics, and the optimizer's moments.

Write a unit's row ``theta`` and the weights ``u`` of its readers. An edit replaces it by copies ``k`` with rows
``theta + delta_k`` and outgoing weights ``c_k u``. So an axis along which a tensor makes units (``"out"``) is taken by
index (plus displacement), one along which it reads them (``"in"``) by index times coefficient; where an axis is a
product of several units (heads times their width), each has its say. Gradients go the other way: ``dL/d theta_k = c_k
dL/d theta`` and ``dL/d(c_k u) = dL/du`` (at ``delta = 0``), so first moments are multiplied by ``c_k`` where units are
made and copied where they are read, second moments by ``c_k^2``; what an optimizer has already divided by the size of
the gradient keeps its size. A natural gradient is a step of weights and is carried like these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archgraph.graph import AxisMap, Edit, TensorSpec, makes
from archgraph.net.factors import inherit_factors, is_factor

Fresh = Callable[[str], Mapping[str, Tensor]]
State = Mapping[str, Mapping[str, Tensor]]
"""Optimizer state: ``"node.tensor"`` to the optimizer's own names (``exp_avg``, ``step``, ...) to tensors."""

Factor = NDArray[np.float64]

_AVERAGES = ("ax", "ema", "velocity", "natural")  # averages of weights, and natural gradients, go the way of weights
_SCALING: Mapping[str, Callable[[Factor], Factor]] = {
    **dict.fromkeys(("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum", "row_var", "col_var", "variance"), np.square),
    **dict.fromkeys(("fisher_diagonal", "fisher_scale", "fisher_shift", "fisher_cross"), np.square),
    "exp_inf": np.abs,  # Adamax: the largest |gradient|
    **dict.fromkeys(("acc_delta", "step_size"), np.ones_like),  # Adadelta, Rprop: sizes of updates
}
"""How state that is not linear in the gradient follows when that is multiplied by a factor, by torch's names for it."""


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
    result = dict(weights)  # what an edit costs beyond this copy grows with what it touches
    for name in _owners(edit):
        for key in edit.before.tensors(name):
            del result[f"{name}.{key}"]
    for name in edit.touched:
        if edit.after.node(name).tie is not None:
            continue
        specs = edit.after.tensors(name)
        origin = {key: _origin(edit, name, key, spec) for key, spec in specs.items()}
        start = dict(fresh(name)) if None in origin.values() or _draws(edit, name, specs) else {}
        for key, spec in specs.items():
            label, old = f"{name}.{key}", origin[key]
            if old is not None:
                result[label] = _weight(edit, name, label, spec, weights[old], start.pop(key, None))
            else:
                first = _initial(start[key], edit.initial.get(label))
                result[label] = first.to(dtype) if first.is_floating_point() else first
    return result


def _owners(edit: Edit) -> Iterator[str]:
    """Yield the nodes of the old graph that own tensors which may not stay as they are."""
    for name in (*edit.touched, *edit.removed):
        if name in edit.before and edit.before.node(name).tie is None:
            yield name


def _draws(edit: Edit, name: str, specs: Mapping[str, TensorSpec]) -> bool:
    """Whether a tensor of a node gets initial values: not where fresh units are merely read, with coefficient 0."""
    if not has_fresh(edit, name):
        return False
    axes = ((role, size) for spec in specs.values() for role, size in zip(spec.axes, spec.shape, strict=True))
    maps = (edit.axis_map(name, role, size) for role, size in axes)
    return any(bool(found.read[found.fresh].any()) for found in maps)


def _initial(drawn: Tensor, wanted: float | str | None) -> Tensor:
    """Return what a new tensor starts with: what was drawn, one number, or the weight of the identity."""
    if wanted is None:
        return drawn
    if wanted != "identity":
        return torch.full_like(drawn, float(wanted))
    weight = torch.zeros_like(drawn)
    return torch.nn.init.eye_(weight) if weight.ndim == 2 else torch.nn.init.dirac_(weight)


def _weight(edit: Edit, name: str, label: str, spec: TensorSpec, old: Tensor, start: Tensor | None) -> Tensor:
    new = old
    maps = [edit.axis_map(name, role, size) for role, size in zip(spec.axes, old.shape, strict=True)]
    rows = [axis for axis, role in enumerate(spec.axes) if makes(role)]
    columns = [axis for axis in range(len(maps)) if axis not in rows]
    # rows first: where both are fresh the column's coefficient decides
    blocks = {axis: _block(start, axis, maps[axis]) for axis in (*rows, *columns) if start is not None}
    del start  # as large as the tensor, which is copied next
    for axis in rows:
        new = _take(new, axis, maps[axis], maps[axis].read)
    if label in edit.displacements:
        shift = torch.as_tensor(edit.displacements[label], dtype=torch.float64, device=new.device)
        new = (new.double() + shift).to(old.dtype)
    for axis in columns:
        new = _take(new, axis, maps[axis], maps[axis].read)
    gain = _gain(edit, name, label.partition(".")[2], spec)
    if gain != 1.0:
        new = (new.double() * gain).to(old.dtype)
    for axis, block in blocks.items():
        new = _fill(new, axis, maps[axis], block)
    return new


def _gain(edit: Edit, name: str, key: str, spec: TensorSpec) -> float:
    """Return by how much a tensor makes up for what the op multiplies it with, when that has changed."""
    old = edit.before.tensors(name).get(key)
    return 1.0 if old is None else old.gain / spec.gain


def _origin(edit: Edit, name: str, key: str, spec: TensorSpec) -> str | None:
    """Return the label of the tensor that a tensor continues; None when it is new or of another layout."""
    if edit.is_new(name) or type(edit.before.op(name)) is not type(edit.after.op(name)):
        return None
    old = edit.before.tensors(name).get(key)
    if old is None or old.axes != spec.axes:
        return None
    axes = zip(spec.axes, old.shape, spec.shape, strict=True)
    if any(role is None and before != after for role, before, after in axes):
        return None
    return f"{edit.before.node(name).owner}.{key}"


def _block(start: Tensor, axis: int, found: AxisMap) -> Tensor:
    """Return the initial values of those entries of an axis that are fresh."""
    return start.index_select(axis, torch.from_numpy(found.fresh.nonzero()[0]).to(start.device))


def _fill(new: Tensor, axis: int, found: AxisMap, block: Tensor) -> Tensor:
    """Put initial values where units are fresh: rows as they are, and columns times their outgoing coefficient.

    In place: where units are fresh, taking the axis by index has made a new tensor already.
    """
    if not found.fresh.any():
        return new
    places = torch.from_numpy(found.fresh.nonzero()[0]).to(new.device)
    block = block.to(new)
    factor = torch.from_numpy(found.read[found.fresh]).to(new)
    return new.index_copy_(axis, places, block * factor.reshape(_along(axis, new)))


def inherit_state(edit: Edit, state: State) -> dict[str, dict[str, Tensor]]:
    """Return an optimizer's state after an edit.

    Moments of surviving weights are carried over and scaled as their gradients are; those of new weights are zero;
    counters are copied. New nodes have no state, and neither has a changed tensor some of whose state has no axes in
    common with it (it starts anew).

    Args:
        edit: the rewrite.
        state: the state before it.
    """
    gone = set(_owners(edit))
    result = {label: dict(entries) for label, entries in state.items() if label.partition(".")[0] not in gone}
    for name in edit.touched:
        if edit.after.node(name).tie is not None or edit.is_new(name):
            continue
        for key, spec in edit.after.tensors(name).items():
            origin = _origin(edit, name, key, spec)
            if origin is None or origin not in state:
                continue
            shape = edit.before.tensors(name)[key].shape
            factors = {entry: value for entry, value in state[origin].items() if is_factor(entry)}
            entries = {entry: value for entry, value in state[origin].items() if entry not in factors}
            if all(value.ndim == 0 or spans(tuple(value.shape), shape) for value in entries.values()):
                gain = _gain(edit, name, key, spec)
                result[f"{name}.{key}"] = {
                    entry: _moment(edit, name, spec, shape, value, entry, _scaling(entry, entries), gain)
                    for entry, value in entries.items()
                } | inherit_factors(edit, name, spec, shape, factors)
    return result


def spans(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a shape is another one with some axes averaged away to length 1, as Adafactor's factors are."""
    return len(shape) == len(whole) and all(size in (1, full) for size, full in zip(shape, whole, strict=True))


def _scaling(entry: str, entries: Mapping[str, Tensor]) -> Callable[[Factor], Factor]:
    if entry == "momentum_buffer" and "square_avg" in entries:
        return np.sign  # RMSprop's momentum is of updates already divided by the gradient's size
    return _SCALING.get(entry, np.asarray)


def _moment(
    edit: Edit,
    name: str,
    spec: TensorSpec,
    whole: tuple[int, ...],  # shape of the weight before
    old: Tensor,
    entry: str,
    scaling: Callable[[Factor], Factor],
    gain: float,
) -> Tensor:
    new = old
    if gain != 1.0 and old.ndim:
        factor = gain if entry in _AVERAGES else float(scaling(np.array([1.0 / gain]))[0])
        new = (old.double() * factor).to(old.dtype)
    for axis, (role, size) in enumerate(zip(spec.axes, whole, strict=True) if old.ndim else ()):
        if role is not None and old.shape[axis] == size:
            found = edit.axis_map(name, role, size)
            new = _take(new, axis, found, found.read if entry in _AVERAGES else scaling(found.made))
    return new


def _take(old: Tensor, axis: int, found: AxisMap, factor: Factor) -> Tensor:
    """Take an axis by index, times a factor; fresh entries are zero."""
    if found.is_identity:
        return old
    index = torch.from_numpy(found.index.clip(min=0)).to(old.device)
    new = old.index_select(axis, index)
    if found.fresh.any():
        new.index_fill_(axis, torch.from_numpy(found.fresh.nonzero()[0]).to(old.device), 0)
    places = np.flatnonzero((factor != 1.0) & ~found.fresh)
    if not old.is_floating_point() or not len(places):
        return new
    where = torch.from_numpy(places).to(old.device)
    scaled = new.index_select(axis, where).double()
    scaled *= torch.from_numpy(factor[places]).to(old.device).reshape(_along(axis, old))
    return new.index_copy_(axis, where, scaled.to(old.dtype))


def _along(axis: int, tensor: Tensor) -> list[int]:
    """Return the shape in which a vector along an axis of a tensor is multiplied with it."""
    return [-1 if other == axis else 1 for other in range(tensor.ndim)]


def has_fresh(edit: Edit, name: str) -> bool:
    """Whether a node has, or reads, units that continue no old one."""
    node = edit.after.node(name)
    own = [f"{name}.{axis}" for axis in edit.after.inner(name)]
    return any(one in edit.units and edit.units[one].fresh.any() for one in (name, *own, *node.inputs))
