"""``unit i -> i, i' with half the outgoing weights each``, the second in a slot of its own: units that may part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archgraph.continual.chapter import Chapter
from archgraph.continual.plan import Plan, Use
from archgraph.errors import MoveRefused
from archgraph.moves import Move, Split
from archgraph.net import Network, State, inherit_state

Twins = Mapping[str, Mapping[int, int]]
"""For every home, slots and the slots of their twins."""


@dataclass(frozen=True, eq=False)
class Twinned:
    """A network in which some units stand twice, and how that was done.

    Args:
        network: computes what it did.
        plan: with the twins' slots, of the task's own version.
        state: the optimizer's state, carried over.
        moves: what was done, in order.
    """

    network: Network
    plan: Plan
    state: State | None = None
    moves: tuple[Move, ...] = ()


def twinned(network: Network, plan: Plan, twins: Twins, task: int, *, state: State | None = None) -> Twinned:
    """Give units twins.

    Args:
        network: the task's.
        plan: the task's.
        twins: slots of units and the free slots that their twins get, by home.
        task: the number of the task.
        state: the optimizer's state, to be carried over.

    Raises:
        MoveRefused: when a unit may not be split.
    """
    done = Twinned(network, plan, state)
    for home, pairs in twins.items():
        if pairs:
            done = _at(done, home, pairs, task)
    return done


def twin_slots(draft: Chapter, taken: Mapping[str, Sequence[int]]) -> dict[str, dict[int, int]]:
    """Return for all units that may part free slots for their twins.

    They may where everything that reads them is free: a frozen unit would have to read the twin.

    Args:
        draft: the task as it stands.
        taken: slots by home that are used elsewhere.
    """
    found = {}
    for home in draft.homes.growable:
        slots = draft.plan.slots(home)
        move = Split(home, draft.homes.first_units(home, range(len(slots))))
        if not _readers_free(draft, home) or not _legal(move, draft):
            continue
        first = max((*slots, *taken.get(home, ())), default=-1) + 1
        found[home] = {slot: first + number for number, slot in enumerate(slots)}
    return found


def _at(done: Twinned, home: str, pairs: Mapping[int, int], task: int) -> Twinned:
    draft = Chapter("", task, done.network.graph, done.plan, {})
    uses = draft.plan.uses[home]
    chosen = [number for number, use in enumerate(uses) if use.slot in pairs]
    move = Split(home, draft.homes.first_units(home, chosen))
    edit = move.plan(done.network.graph)
    network = done.network.after(edit)
    before = [address.number for address in draft.homes.addresses(home)]
    after = Chapter("", task, network.graph, Plan({**draft.plan.uses, home: _twice(uses, pairs)}), {}).homes
    found: dict[int, Use] = {}
    seen: set[int] = set()
    for address, source in zip(after.addresses(home), edit.unit_map(home).index.tolist(), strict=True):
        if address.home == home and address.number not in found:
            use = uses[before[source]]
            found[address.number] = use if use.slot not in seen else Use(pairs[use.slot], task)
            seen.add(use.slot)
    plan = Plan({**done.plan.uses, home: tuple(found[number] for number in range(len(found)))})
    state = None if done.state is None else inherit_state(edit, done.state)
    return replace(done, network=network, plan=plan, state=state, moves=(*done.moves, move))


def _twice(uses: Sequence[Use], pairs: Mapping[int, int]) -> tuple[Use, ...]:
    """Return as many uses as there will be, to be put in order."""
    return (*uses, *(use for use in uses if use.slot in pairs))


def _legal(move: Split, draft: Chapter) -> bool:
    try:
        move.plan(draft.graph)
    except MoveRefused:
        return False
    return True


def _readers_free(draft: Chapter, home: str) -> bool:
    """Whether every row that has columns for the units of a home is the task's own."""
    for node in draft.graph:
        specs = draft.graph.tensors(node.name) if node.tie is None else {}
        for spec in specs.values():
            at = draft.homes.columns(node.name, spec)
            reads = at is not None and any(one.home == home for one in draft.addresses(at[1]))
            shared = reads and node.name in draft.homes.makers
            if shared and any(version != draft.number for version in draft.versions(node.name)):
                return False
    return True
