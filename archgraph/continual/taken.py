"""A task's network with those offers that it takes, and without the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from archgraph.continual.chapter import Chapter
from archgraph.continual.homes import Address
from archgraph.continual.offers import Offers
from archgraph.continual.twinned import Twins, twinned
from archgraph.continual.widened import Widened
from archgraph.net import Network
from archgraph.overgrown import Point


def taken(offers: Offers, point: Point, chosen: Collection[int], probed: Widened, twins: Twins) -> Widened:
    """Return what a task becomes by some of its offers: computes what all of them do with the other gates at zero.

    Units that other tasks have made, and that are not among them, keep their rows to the bit.

    Args:
        offers: all there are.
        point: how far the gates are open, and where the directions point.
        chosen: numbers of the gates to take.
        probed: the network on which they were laid, with its new units and the optimizer's state.
        twins: the slots of twins with which they were laid.
    """
    keep, parted, unlock = defaultdict[str, list[int]](list), defaultdict[str, dict[int, int]](dict), set()
    for number in chosen:
        kind, unit = offers.gates[number]
        if kind == "new":
            keep[unit.home].append(unit.slot)
            continue
        unlock.add(unit)
        if kind == "split":
            parted[unit.home][unit.slot] = twins[unit.home][unit.slot]
    task = offers.draft.number
    grown = probed.kept(keep)
    freed: dict[str, list[int]] = defaultdict(list)
    for unit in sorted(unlock):
        freed[unit.home].append(unit.slot)
    done = twinned(grown.network, grown.plan.unlocked(freed, task), parted, task, state=grown.state)
    draft = Chapter("", task, done.network.graph, done.plan, {})
    opened = offers.network(point.only(torch.tensor(sorted(chosen), dtype=torch.int64, device=point.gates.device)))
    weights = {
        label: _read(offers, draft, twins, label, opened.weights[label]).to(done.network.weights[label])
        for label in done.network.weights
    }
    return Widened(
        Network(done.network.graph, weights), done.plan, done.state, (*grown.moves, *done.moves), dict(grown.slots)
    )


def _read(offers: Offers, draft: Chapter, twins: Twins, label: str, tensor: Tensor) -> Tensor:
    """Return the part of a tensor that is left; what heard a twin that is gone hears its unit."""
    node, _, key = label.partition(".")
    spec = draft.graph.tensors(node)[key]
    if "out" in spec.axes:
        places = _places(offers.draft.addresses(node))
        rows = torch.tensor([places[one] for one in draft.addresses(node)], device=tensor.device)
        tensor = tensor.index_select(spec.axes.index("out"), rows)
    at = draft.homes.columns(node, spec)
    if at is None:
        return tensor
    axis, source = at
    places, left = _places(offers.draft.addresses(source)), draft.addresses(source)
    found = tensor.index_select(axis, torch.tensor([places[one] for one in left], device=tensor.device))
    here = set(left)
    columns, lost = [], []
    for column, one in enumerate(left):
        twin = _twin(one, twins)
        if twin is not None and twin in places and twin not in here:
            columns.append(column)
            lost.append(places[twin])
    if lost:
        heard = tensor.index_select(axis, torch.tensor(lost, device=tensor.device))
        found = found.index_add(axis, torch.tensor(columns, device=tensor.device), heard)
    return found + 0.0 if found.is_floating_point() else found


def _places(addresses: list[Address]) -> Mapping[Address, int]:
    return {address: place for place, address in enumerate(addresses)}


def _twin(address: Address, twins: Twins) -> Address | None:
    """Return the address of a unit's twin, None where it has none."""
    slot = twins.get(address.home, {}).get(address.number)
    return None if slot is None else address._replace(number=slot)
