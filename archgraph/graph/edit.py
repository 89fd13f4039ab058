"""What a rewrite did, as a value: the graphs before and after and where every unit comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from archgraph.graph.axis import Along, AxisMap, Role, node_of, parts_of, product
from archgraph.graph.graph import Graph
from archgraph.graph.size_rule import Absorb
from archgraph.graph.unit_map import UnitMap

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Edit:
    """A rewrite that has been planned: tensors of any kind are carried over from this value alone.

    Args:
        before: the graph that was rewritten.
        after: the graph that came out.
        units: for every node whose output units changed, and every inner axis (``"node.axis"``) that did, where the
            new ones come from.
        displacements: for tensors of split units (``"node.tensor"``), what is added to the copied rows: an array of
            shape ``[new units, *rest of the old tensor]``, in the coordinates of the old inputs.
        initial: for tensors of new nodes (``"node.tensor"``), what they start with instead of torch's default: a
            number, or ``"identity"`` for the weight that hands its input on.
        seed: from which initial values of new nodes and fresh units are drawn.
    """

    before: Graph
    after: Graph
    units: Mapping[str, UnitMap] = field(default_factory=dict)
    displacements: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, float | str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("units", "displacements", "initial"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def unit_map(self, name: str) -> UnitMap:
        """Return where the units of a node or of an inner axis come from: the identity unless they changed."""
        found = self.units.get(name)
        return UnitMap.identity(self.after.units(name)) if found is None else found

    def input_map(self, name: str, position: int = 0) -> UnitMap:
        """Return where the units of an input of a node come from."""
        return self.unit_map(self.after.node(name).inputs[position])

    def axis_map(self, name: str, role: Role, size: int) -> AxisMap:
        """Return where the entries of an axis of a tensor come from.

        Args:
            name: the node that owns the tensor.
            role: of the axis.
            size: of the axis before, for one that runs along no units.
        """
        parts = [product([self._factor(name, one) for one in part]) for part in parts_of(role, size)]
        return AxisMap.concat(parts)

    def _factor(self, name: str, factor: Along | int) -> AxisMap:
        if isinstance(factor, int):
            return AxisMap.of(UnitMap.identity(factor), reads=False)
        if factor.units == "in":
            units = self.input_map(name, factor.position)
        elif factor.units == "out":
            units, rule = self.unit_map(name), self.after.rule(name)
            if isinstance(rule, Absorb) and rule.tiles and f"{name}.{rule.tiles}" in self.units:
                units = UnitMap.identity(len(units) // rule.tile)  # tiles come and go, and what is in each stays
            elif isinstance(rule, Absorb) and rule.tile > 1:
                units = units.untiled(rule.tile)
        else:
            units = self.unit_map(f"{name}.{factor.units}")
        return AxisMap.of(units, reads=factor.reads, inverse=factor.inverse)

    def is_new(self, name: str) -> bool:
        """Whether a node of the new graph continues no node of the old one."""
        return name not in self.before

    def touches(self, name: str) -> bool:
        """Whether tensors of a node may differ from before."""
        return name in self.touched

    @cached_property
    def touched(self) -> Mapping[str, None]:
        """Names of the nodes of the new graph whose tensors may differ from before."""
        before = self.before._nodes
        found = {name: None for name, node in self.after._nodes.items() if before.get(name) is not node}
        for address in self.units:
            name = node_of(address)
            found[name] = None
            if name == address:  # nobody else sees an inner axis
                found.update(dict.fromkeys(self.after.users(name)))
        return found

    @cached_property
    def removed(self) -> tuple[str, ...]:
        """Names of the nodes of the old graph that the new one does not have."""
        return tuple(sorted(self.before._nodes.keys() - self.after._nodes.keys()))


class Rewritable(Protocol):
    """What a move can be applied to: a graph, or a network of weights on a graph."""

    def after(self: T, edit: Edit) -> T:
        """Return what this becomes under ``edit``."""
        ...
