"""What a rewrite did, as a value: the graphs before and after and where every unit comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from archgraph.graph.graph import Graph
from archgraph.graph.unit_map import UnitMap

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Edit:
    """A rewrite that has been planned: tensors of any kind are carried over from this value alone.

    Args:
        before: the graph that was rewritten.
        after: the graph that came out.
        units: for every node whose output units changed, where the new ones come from.
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
        """Return where the output units of a node come from: the identity unless they changed."""
        found = self.units.get(name)
        return UnitMap.identity(self.after.shape(name).units) if found is None else found

    def input_map(self, name: str, position: int = 0) -> UnitMap:
        """Return where the units of an input of a node come from."""
        return self.unit_map(self.after.node(name).inputs[position])

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
        for name in self.units:
            found[name] = None
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
