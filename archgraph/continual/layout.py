"""Which number of which tensor each gate moves, and by which number of the directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archgraph.continual.chapter import Chapter, by_rows
from archgraph.continual.gains import Unit
from archgraph.continual.homes import Address
from archgraph.continual.twinned import Twins

KINDS = ("unlock", "new", "split")


class Offer(NamedTuple):
    """What one gate opens.

    Args:
        kind: ``"unlock"``, ``"new"`` or ``"split"``.
        unit: which.
    """

    kind: str
    unit: Unit

    @property
    def name(self) -> str:
        """The offer in words that do not depend on the others."""
        return f"{self.kind} {self.unit.home} {self.unit.slot}"


class Reach(NamedTuple):
    """The numbers of a tensor that gates reach.

    Args:
        places: ``[E]`` in the flattened tensor.
        sources: ``[E]`` in the flat vector of directions.
        gates: ``[E]`` number of the gate.
        signs: ``[E]`` -1 for what moves the other way: a twin.
        gated: ``[E]`` whether the gate is a factor; it is none of the rows that make a new unit.
    """

    places: Tensor
    sources: Tensor
    gates: Tensor
    signs: Tensor
    gated: Tensor


class Layout:
    """The gates of all that a task may set free, and what they reach, tensor by tensor.

    Args:
        draft: the task as it stands, with twins and new units.
        kinds: what may be set free.
        probed: the slots of new units by home.
        twins: slots of units that may part, and those of their twins.
        only: names of the offers that there are; None for all.
    """

    def __init__(
        self,
        draft: Chapter,
        kinds: Sequence[str],
        probed: Mapping[str, Sequence[int]],
        twins: Twins,
        only: Collection[str] | None = None,
    ) -> None:
        self.draft = draft
        self.probed = {Unit(home, slot) for home, slots in probed.items() for slot in slots}
        self.twins = {Unit(home, two): Unit(home, one) for home, pairs in twins.items() for one, two in pairs.items()}
        gates: list[Offer] = []
        for home in draft.homes.shared:
            for use in draft.plan.uses[home]:
                unit = Unit(home, use.slot)
                if unit in self.probed:
                    gates += [Offer("new", unit)] if "new" in kinds else []
                elif unit not in self.twins:
                    gates += [Offer("unlock", unit)] if use.version != draft.number and "unlock" in kinds else []
                    gates += [Offer("split", unit)] if unit in self.twins.values() else []
        self.gates = tuple(gate for gate in gates if only is None or gate.name in only)
        self.number = {gate: number for number, gate in enumerate(self.gates)}
        self.balls: list[int] = []
        self.born: dict[str, Tensor] = {}

    def reach(self, label: str) -> Reach | None:
        """Return what gates reach of a tensor, None for nothing."""
        node, _, key = label.partition(".")
        spec, homes = self.draft.graph.tensors(node)[key], self.draft.homes
        head = homes.is_head(node)
        if not spec.trainable or "out" not in spec.axes or not (head or node in homes.makers):
            return None
        at = homes.columns(node, spec)
        places = by_rows(
            torch.arange(spec.size).reshape(spec.shape), (spec.axes.index("out"), None if at is None else at[0])
        )
        places = places.reshape(len(places), 1 if at is None else places.shape[1], -1)  # [R, C, K]
        rows = self.draft.addresses(node)
        self.born[label] = places[[unit_of(row) in self.probed for row in rows]].reshape(-1)
        columns = [None] if at is None else [unit_of(one) for one in self.draft.addresses(at[1])]
        parts = list(self._rows(rows, columns, places)) if not head else []
        parts += list(self._columns(rows, columns, places, head))
        if not parts:
            return None
        return Reach(*(torch.cat([part[number] for part in parts]) for number in range(5)))

    def _rows(
        self, rows: Sequence[Address], columns: Sequence[Unit | None], places: Tensor
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield what moves the rows of units: all columns but those of new ones."""
        plain = torch.tensor([column for column, unit in enumerate(columns) if unit not in self.probed])
        firsts: dict[tuple[Offer, Address], int] = {}
        for row, address in enumerate(rows):
            unit = unit_of(address)
            origin = self.twins.get(unit, unit)
            for kind in KINDS:
                offer = Offer(kind, origin)
                if offer in self.number and len(plain):
                    own = places[row, plain].reshape(-1)
                    known = offer, address._replace(number=origin.slot)
                    sign = -1 if kind == "split" and unit != origin else 1
                    first = firsts.setdefault(known, self._drawn(offer, 0, len(own)) if known not in firsts else -1)
                    yield self._part(own, first, offer, sign, kind != "new")

    def _columns(
        self, rows: Sequence[Address], columns: Sequence[Unit | None], places: Tensor, head: bool
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield what reads new units: the rows that are free."""
        made = self.draft.plan.made(self.draft.number)
        own = {home: set(slots) for home, slots in made.items()}
        firsts: dict[tuple[Offer, int, Address], int] = {}
        seen: Counter[Unit | None] = Counter()
        for column, unit in enumerate(columns):
            seen[unit] += 1
            offer = Offer("new", unit) if unit is not None else None
            if offer is None or offer not in self.number:
                continue
            for row, address in enumerate(rows):
                reader = unit_of(address)
                origin = self.twins.get(reader, reader)
                if head or (reader not in self.probed and origin.slot in own.get(origin.home, ())):
                    found = places[row, column]
                    known = offer, seen[unit], address._replace(number=origin.slot)
                    first = firsts.setdefault(known, self._drawn(offer, 1, len(found)) if known not in firsts else -1)
                    yield self._part(found, first, offer, 1, True)

    def _drawn(self, offer: Offer, side: int, count: int) -> int:
        """Return the first of some numbers more in the vector of directions."""
        first = len(self.balls)
        self.balls += [2 * self.number[offer] + side] * count
        return first

    def _part(self, places: Tensor, first: int, offer: Offer, sign: int, gated: bool) -> tuple[Any, ...]:
        gate = torch.full_like(places, self.number[offer])
        sources = torch.arange(first, first + len(places))
        return places, sources, gate, torch.full_like(places, sign), torch.full_like(places, gated, dtype=torch.bool)


def unit_of(address: Address) -> Unit:
    """Return the unit at an address."""
    return Unit(address.home, address.number)
