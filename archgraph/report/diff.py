"""What differs between two graphs, node by node, as a value: the two sides of a rewrite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType

from archgraph.graph import Graph, Node, Op

ASPECTS = ("op", "inputs", "tie", "shape", "weights", "output")


@dataclass(frozen=True, eq=False)
class Diff:
    """What differs between two graphs; nodes are the same when they have the same name.

    Args:
        before: one graph.
        after: the other.
        added: names of nodes that only ``after`` has, in its order.
        removed: names of nodes that only ``before`` has, in its order.
        changed: for nodes that both have, in the order of ``after``, what differs, in the order of ``ASPECTS``: the
            ``op``, the ``inputs``, the ``tie`` to another node's weights, the output ``shape``, the shapes of its
            ``weights``, whether it is an ``output``. A node that differs in none is missing here.
    """

    before: Graph
    after: Graph
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "changed", MappingProxyType(dict(self.changed)))

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def status(self, name: str) -> str:
        """Return ``"added"``, ``"removed"``, ``"changed"``, ``"resized"`` or ``"same"`` for a node of either graph.

        A node is resized when it is the same op on the same inputs, and only sizes differ: it follows another's change.

        Raises:
            UnknownName: when neither graph has it.
        """
        if name not in self.after:
            self.before.node(name)
            return "removed"
        if name not in self.before:
            return "added"
        aspects = set(self.changed.get(name, ()))
        return "same" if not aspects else "resized" if aspects <= {"shape", "weights"} else "changed"

    def is_new_edge(self, source: str, target: str) -> bool:
        """Whether ``target`` reads ``source`` in the graph after, but not in the graph before."""
        return target not in self.before or source not in self.before.node(target).inputs

    def op(self, name: str) -> str:
        """Return the op of a node of either graph, with what changed: ``"Conv2d(4 → 6, kernel_size=3)"``."""
        sides = [graph.node(name) for graph in (self.before, self.after) if name in graph]
        text = op_change(sides[0].op, sides[-1].op)
        ties = [f" @ {node.tie}" if node.tie else "" for node in sides]
        return text + (ties[0] if ties[0] == ties[-1] else f"{ties[0]} →{ties[-1] or ' own weights'}")

    def inputs(self, name: str) -> str:
        """Return the inputs of a node of either graph, with what changed: ``"relu1 → relu1, add1"``."""
        return _pair(*(", ".join(graph.node(name).inputs) for graph in (self.before, self.after) if name in graph))

    def shape(self, name: str) -> str:
        """Return the output shape of a node of either graph, with what changed: ``"4x8x8 → 6x8x8"``."""
        return _pair(*(str(graph.shape(name)) for graph in (self.before, self.after) if name in graph))

    def __str__(self) -> str:
        lines = [f"- {self.before.node(name)}" for name in self.removed]
        lines += [f"+ {self.after.node(name)}" for name in self.added]
        for name, aspects in self.changed.items():
            facts = [
                f"{aspect} {getattr(self, aspect)(name)}" for aspect in ("op", "inputs", "shape") if aspect in aspects
            ]
            facts += [aspect for aspect in aspects if aspect not in ("op", "inputs", "shape")]
            lines.append(f"~ {name}: {'; '.join(facts)}")
        return "\n".join(lines) + "\n" if lines else ""

    def __repr__(self) -> str:
        return f"<Diff: {len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed>"


def graph_diff(before: Graph, after: Graph) -> Diff:
    """Compare two graphs node by node.

    >>> from archgraph import ops
    >>> from archgraph.graph import chain
    >>> narrow, wide = (chain(ops.Input((3,)), ops.Linear(units), ops.ReLU(), ops.Linear(2)) for units in (4, 6))
    >>> print(graph_diff(narrow, wide))
    ~ linear1: op Linear(4 → 6); shape 4 → 6; weights
    ~ relu1: shape 4 → 6
    ~ linear2: weights
    """
    return Diff(
        before,
        after,
        tuple(name for name in after.nodes if name not in before),
        tuple(name for name in before.nodes if name not in after),
        {name: aspects for name in after.nodes if name in before and (aspects := _aspects(before, after, name))},
    )


def _aspects(before: Graph, after: Graph, name: str) -> tuple[str, ...]:
    facts = []
    for graph in (before, after):
        node: Node = graph.node(name)
        shapes = {key: spec.shape for key, spec in graph.tensors(name).items()}
        facts.append((node.op, node.inputs, node.tie, graph.shape(name), shapes, name in graph.outputs))
    return tuple(aspect for aspect, old, new in zip(ASPECTS, *facts, strict=True) if old != new)


def op_change(old: Op, new: Op) -> str:
    """Return both ops in one text, their common parts once.

    >>> from archgraph.ops import Conv2d, ReLU, SiLU
    >>> op_change(Conv2d(4, kernel_size=3), Conv2d(6, kernel_size=3, bias=False))
    'Conv2d(4 → 6, kernel_size=3, bias=True → False)'
    >>> op_change(ReLU(), SiLU()), op_change(ReLU(), ReLU())
    ('ReLU() → SiLU()', 'ReLU()')
    """
    if old == new or type(old) is not type(new) or type(new).__repr__ is not Op.__repr__:
        return _pair(repr(old), repr(new))
    shown = []
    for position, field in enumerate(fields(new)):
        first, second = getattr(old, field.name), getattr(new, field.name)
        required = field.default is MISSING
        if required or first != field.default or second != field.default:
            value = _pair(repr(first), repr(second))
            shown.append(value if required and position == 0 else f"{field.name}={value}")
    return f"{type(new).__name__}({', '.join(shown)})"


def _pair(old: str, new: str | None = None) -> str:
    return old if new is None or old == new else f"{old} → {new}"
