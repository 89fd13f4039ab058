"""What makes a graph valid, as a list of tiny rules checked on the nodes that an edit touched."""

from __future__ import annotations

import heapq
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archgraph.errors import GraphError, ShapeError
from archgraph.graph.node import Node
from archgraph.graph.shape import Shape


@dataclass
class Draft:
    """A graph under construction: mutable, possibly invalid, never seen by users.

    ``nodes`` is in topological order once settled; ``users`` and ``ties`` are derived (``ties`` has an entry only for
    weights used more than once) and in the order of ``nodes``. ``touched`` names what the rules must look at again,
    ``added`` the nodes that have no place in the order yet, ``readers`` the users that changed since it was settled.
    """

    nodes: dict[str, Node]
    outputs: tuple[str, ...]
    shapes: dict[str, Shape] = field(default_factory=dict)
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    added: dict[str, None] = field(default_factory=dict)
    readers: dict[str, dict[str, None]] = field(default_factory=dict)
    ordered: bool = False

    @classmethod
    def of(cls, nodes: Iterable[Node], outputs: Iterable[str]) -> Draft:
        """Start a draft from nodes in any order, all of them touched."""
        table: dict[str, Node] = {}
        for node in nodes:
            if node.name in table:
                raise GraphError(f"two nodes are called {node.name!r}", place=f"{table[node.name]}\n{node}")
            table[node.name] = node
        draft = cls(table, tuple(outputs), touched=set(table))
        members: dict[str, list[str]] = {}
        for node in table.values():
            members.setdefault(node.owner, []).append(node.name)
            for source in node.inputs:
                draft.readers.setdefault(source, {})[node.name] = None
        draft.ties = {owner: tuple(names) for owner, names in members.items() if len(names) > 1}
        return draft

    def users_of(self, name: str) -> tuple[str, ...]:
        """Return who reads a node, changes that are not settled yet included."""
        return tuple(self.readers[name]) if name in self.readers else self.users.get(name, ())

    def place(self, name: str) -> str:
        """Show a node in the graph text, below the nodes it reads."""
        node = self.nodes[name]
        lines = []
        for source in dict.fromkeys(node.inputs):
            if source in self.nodes:
                shape = f"   # {self.shapes[source]}" if source in self.shapes else ""
                lines.append(f"{self.nodes[source]}{shape}")
        return "\n".join([*lines, str(node), "^" * len(name)])


Rule = Callable[[Draft, Node], Iterator[str]]

_NUMBER = "a sample is one number here; Unsqueeze(1) makes it a vector of one unit"


def _name_is_identifier(draft: Draft, node: Node) -> Iterator[str]:
    if not node.name.isidentifier() or keyword.iskeyword(node.name) or not node.name.isascii():
        yield f"node name {node.name!r} is not a Python identifier"
    elif node.name.startswith("__"):
        yield f"node name {node.name!r} starts with two underscores"


def _inputs_exist(draft: Draft, node: Node) -> Iterator[str]:
    for source in node.inputs:
        if source not in draft.nodes:
            yield f"node {node.name!r} reads {source!r}, which does not exist"


def _arity_is_right(draft: Draft, node: Node) -> Iterator[str]:
    least, most = node.op.arity
    if len(node.inputs) < least or (most is not None and len(node.inputs) > most):
        wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        yield f"node {node.name!r}: {type(node.op).__name__} takes {wanted} inputs, not {len(node.inputs)}"


def _no_dead_end(draft: Draft, node: Node) -> Iterator[str]:
    if not draft.users_of(node.name) and node.name not in draft.outputs and node.op.arity != (0, 0):
        yield f"the output of node {node.name!r} is neither read nor returned"


def _tie_is_owner(draft: Draft, node: Node) -> Iterator[str]:
    if node.tie is None:
        return
    owner = draft.nodes.get(node.tie)
    if owner is None:
        yield f"node {node.name!r} uses the weights of {node.tie!r}, which does not exist"
    elif owner.tie is not None:
        yield f"node {node.name!r} uses the weights of {node.tie!r}, which has none of its own"


RULES: tuple[Rule, ...] = (_name_is_identifier, _inputs_exist, _arity_is_right, _no_dead_end, _tie_is_owner)


def settle(draft: Draft) -> Draft:
    """Verify what was touched, order the nodes and infer shapes downstream; return the draft, now valid.

    Raises:
        GraphError: for the first rule that is broken, with the place in the graph text.
    """
    if not draft.outputs:
        raise GraphError("a graph needs at least one output")
    for name in draft.outputs:
        if name not in draft.nodes:
            raise GraphError(f"output {name!r} does not exist", hint="name a node of the graph")
    whole = len(draft.touched) >= len(draft.nodes)
    for name in draft.nodes if whole else sorted(draft.touched):
        node = draft.nodes.get(name)
        if node is None:
            continue
        for rule in RULES:
            for message in rule(draft, node):
                raise GraphError(message, place=draft.place(name))
    if not draft.ordered:
        _arrange(draft)
    _infer(draft)
    draft.touched = set()
    return draft


def _arrange(draft: Draft) -> None:
    """Bring nodes, users and ties into topological order; what is in order already keeps its place."""
    if draft.added:
        draft.nodes = _placed(draft)
    rank = dict(zip(draft.nodes, range(len(draft.nodes)), strict=True))
    kept = _is_ordered(draft, rank)
    if not kept:
        draft.nodes = _order(draft)
        rank = {name: position for position, name in enumerate(draft.nodes)}
    for name in draft.readers if kept else {**draft.users, **draft.readers}:
        users = draft.users_of(name)
        if users:
            draft.users[name] = tuple(sorted(users, key=rank.__getitem__)) if len(users) > 1 else users
        else:
            draft.users.pop(name, None)
    draft.ties = {owner: tuple(sorted(names, key=rank.__getitem__)) for owner, names in draft.ties.items()}
    draft.added, draft.readers, draft.ordered = {}, {}, True


def _placed(draft: Draft) -> dict[str, Node]:
    """Put every added node right behind the last node it needs, and added inputs behind the last input."""
    old = list(draft.nodes)[: -len(draft.added)]  # what is added stands at the end
    rank = dict(zip(old, range(len(old)), strict=True))
    behind: dict[int, list[str]] = {}
    for name in draft.added:
        node = draft.nodes[name]
        before = node.inputs if node.tie is None else (*node.inputs, node.tie)
        rank[name] = max(rank.get(source, -1) for source in before) if before else _last_source(draft, old)
        behind.setdefault(rank[name], []).append(name)
    names: list[str] = []
    start = 0
    for position in sorted(behind):
        names += old[start : position + 1]
        names += behind[position]
        start = position + 1
    names += old[start:]
    return dict(zip(names, map(draft.nodes.__getitem__, names), strict=True))


def _last_source(draft: Draft, names: Sequence[str]) -> int:
    """Return the place of the last node that takes an input of the network; -1 when there is none."""
    return max((place for place, name in enumerate(names) if draft.nodes[name].op.arity == (0, 0)), default=-1)


def _is_ordered(draft: Draft, rank: Mapping[str, int]) -> bool:
    """Whether every node that was touched stands behind what it reads; the others do since they were settled."""
    return all(
        rank[source] < rank[name]
        for name in draft.touched
        if name in draft.nodes
        for source in draft.nodes[name].inputs
    )


def _order(draft: Draft) -> dict[str, Node]:
    """Sort topologically, keeping the given order where it is free (Kahn's algorithm with a heap)."""
    rank = {name: position for position, name in enumerate(draft.nodes)}
    names = list(rank)
    waiting = {name: len(set(node.inputs)) for name, node in draft.nodes.items()}
    ready = [rank[name] for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    ordered: dict[str, Node] = {}
    while ready:
        name = names[heapq.heappop(ready)]
        ordered[name] = draft.nodes[name]
        for user in draft.users_of(name):
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, rank[user])
    if len(ordered) < len(draft.nodes):
        stuck = [name for name in draft.nodes if name not in ordered]
        raise GraphError(
            f"the graph has a cycle through {_cycle(draft, stuck)}",
            place="\n".join(str(draft.nodes[name]) for name in stuck[:6]),
        )
    return ordered


def _cycle(draft: Draft, stuck: list[str]) -> str:
    left = set(stuck)
    path: dict[str, None] = {}
    name = stuck[0]
    while name not in path:
        path[name] = None
        name = next(source for source in draft.nodes[name].inputs if source in left)
    loop = list(path)[list(path).index(name) :]
    return " <- ".join([*loop, name])


def _infer(draft: Draft) -> None:
    """Infer shapes of touched nodes, and of whatever they reach, for as long as shapes change."""
    stale = {name for name in draft.touched if name in draft.nodes}
    if not stale:
        return
    whole = len(stale) == len(draft.nodes)
    rank = None if whole else dict(zip(draft.nodes, range(len(draft.nodes)), strict=True))
    queue = list(draft.nodes) if rank is None else sorted(stale, key=rank.__getitem__)
    heap = [] if rank is None else [(rank[name], name) for name in queue]
    tied: set[str] = set()
    position = 0
    while heap or (whole and position < len(queue)):
        if rank is None:
            name, position = queue[position], position + 1
        else:
            name = heapq.heappop(heap)[1]
            stale.discard(name)
        node = draft.nodes[name]
        shapes = [draft.shapes[source] for source in node.inputs]
        try:
            shape = node.op.output(*shapes)
        except ShapeError as error:
            raise ShapeError(
                f"node {name!r}: {error.what}",
                expected=error.expected,
                got=error.got,
                hint=error.hint or (None if all(shape.dims for shape in shapes) else _NUMBER),
                place=draft.place(name),
            ) from None
        if node.owner in draft.ties:
            tied.add(node.owner)
        changed = draft.shapes.get(name) != shape
        draft.shapes[name] = shape
        if changed and rank is not None:
            for user in draft.users.get(name, ()):
                if user not in stale:
                    stale.add(user)
                    draft.touched.add(user)  # an attempt that fails half-way must look at it again
                    heapq.heappush(heap, (rank[user], user))
    for owner in tied:
        _ties_agree(draft, owner)


def _ties_agree(draft: Draft, owner: str) -> None:
    """Nodes that share weights must need the same tensors."""
    first = draft.nodes[owner]
    wanted = first.op.tensors(*(draft.shapes[source] for source in first.inputs))
    if not wanted:
        others = ", ".join(name for name in draft.ties[owner] if name != owner)
        raise GraphError(f"node {owner!r} has no weights that {others} could use", place=str(first))
    for name in draft.ties[owner]:
        node = draft.nodes[name]
        if type(node.op) is not type(first.op):
            raise GraphError(
                f"node {name!r} cannot use the weights of {owner!r}: another kind of op",
                place=f"{first}\n{node}",
            )
        needed = node.op.tensors(*(draft.shapes[source] for source in node.inputs))
        if needed != wanted:
            raise ShapeError(
                f"node {name!r} cannot use the weights of {owner!r}: it needs other tensors",
                expected={key: spec.shape for key, spec in wanted.items()},
                got={key: spec.shape for key, spec in needed.items()},
                place=f"{first}\n{draft.place(name)}",
            )
