"""Changing a graph: an editor collects changes to a draft, and the result is verified when it is left."""

from __future__ import annotations

from collections.abc import Container
from types import TracebackType
from typing import Self

from archgraph.errors import GraphError, UnknownName
from archgraph.graph.graph import Graph
from archgraph.graph.node import Node
from archgraph.graph.op import Op
from archgraph.graph.verify import Draft, settle


class Editor:
    """Collects changes; on leaving the ``with`` block the new graph is verified and stands in :attr:`graph`.

    The graph it was made from is never changed. What an edit costs grows with what it touches.

    >>> # with graph.edit() as edit:
    >>> #     name = edit.insert("relu1", ops.Dropout(0.5))
    >>> # new = edit.graph
    """

    def __init__(self, graph: Graph) -> None:
        self._before = graph
        self._draft = Draft(
            dict(graph._nodes), graph._outputs, dict(graph._shapes), dict(graph._users), dict(graph._ties), ordered=True
        )
        self._numbers: dict[str, int] = {}
        self._graph: Graph | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()

    @property
    def graph(self) -> Graph:
        """The new graph.

        Raises:
            GraphError: when the ``with`` block has not been left yet.
        """
        if self._graph is None:
            raise GraphError("the edit is not finished", hint="read .graph after the `with graph.edit()` block")
        return self._graph

    def finish(self) -> Graph:
        """Verify and return the new graph (leaving the ``with`` block does this).

        Raises:
            GraphError: when it would not be valid.
        """
        if self._graph is None:
            self._graph = Graph._settled(settle(self._draft))
        return self._graph

    def _open(self) -> Draft:
        if self._graph is not None:
            raise GraphError("the edit is finished", hint="start another one with `with graph.edit() as edit:`")
        return self._draft

    # ------------------------------------------------------------------ changes
    def add(self, op: Op, *inputs: str, name: str | None = None, tie: str | None = None) -> str:
        """Add a node that reads ``inputs`` and return its name (made from the op's name unless given).

        Raises:
            GraphError: when the name is taken.
        """
        name = self._new_name(op) if name is None else name
        if name in self._draft.nodes:
            raise GraphError(f"two nodes are called {name!r}", place=str(self._draft.nodes[name]))
        self._put(Node(name, op, tuple(inputs), tie))
        return name

    def replace(self, name: str, op: Op) -> None:
        """Give a node another op; inputs and readers stay."""
        node = self._get(name)
        self._put(Node(name, op, node.inputs, node.tie))

    def rewire(self, name: str, position: int, source: str) -> None:
        """Let input number ``position`` of a node read ``source`` instead.

        Raises:
            GraphError: when the node has no such input.
        """
        node = self._get(name)
        if not 0 <= position < len(node.inputs):
            raise GraphError(f"node {name!r} has no input {position}", place=str(node))
        self.connect(name, *node.inputs[:position], source, *node.inputs[position + 1 :])

    def connect(self, name: str, *inputs: str) -> None:
        """Give a node another list of inputs."""
        node = self._get(name)
        self._put(Node(name, node.op, tuple(inputs), node.tie))

    def insert(self, after: str, op: Op, *, name: str | None = None) -> str:
        """Insert a one-input op on every edge that leaves ``after``, outputs included, and return its name."""
        self._get(after)
        readers = self._draft.users_of(after)
        inserted = self.add(op, after, name=name)
        for reader in readers:
            sources = self._draft.nodes[reader].inputs
            self.connect(reader, *(inserted if source == after else source for source in sources))
        self.outputs(*(inserted if output == after else output for output in self._draft.outputs))
        return inserted

    def is_read(self, name: str, *, but: Container[str] = ()) -> bool:
        """Whether a node's output is read by another node (``but`` for these), or returned, as things stand now."""
        self._get(name)
        return name in self._draft.outputs or any(user not in but for user in self._draft.users_of(name))

    def remove(self, name: str) -> None:
        """Remove a node; whoever read it reads its single input instead.

        Raises:
            GraphError: when it does not have exactly one input and something reads it, or when other nodes use its
                weights.
        """
        node = self._get(name)
        group = self._draft.ties.get(name, ())
        if group:
            raise GraphError(
                f"node {name!r} owns weights that {', '.join(member for member in group if member != name)} use",
                hint="remove those first",
                place=str(node),
            )
        if self.is_read(name):
            if len(node.inputs) != 1:
                raise GraphError(
                    f"node {name!r} has {len(node.inputs)} inputs, so its readers would have nothing to read",
                    hint="rewire its readers first",
                    place=str(node),
                )
            for reader in self._draft.users_of(name):
                sources = self._draft.nodes[reader].inputs
                self.connect(reader, *(node.inputs[0] if source == name else source for source in sources))
            self.outputs(*(node.inputs[0] if output == name else output for output in self._draft.outputs))
        self._drop(name)

    def outputs(self, *names: str) -> None:
        """Say which nodes' outputs the network returns."""
        draft = self._open()
        draft.touched.update(name for name in draft.outputs if name in draft.nodes)
        draft.outputs = tuple(names)

    # ------------------------------------------------------------------ bookkeeping
    def _get(self, name: str) -> Node:
        try:
            return self._draft.nodes[name]
        except KeyError:
            raise UnknownName.among("node", name, self._draft.nodes) from None

    def _new_name(self, op: Op) -> str:
        stem = type(op).__name__.lower()
        number = self._numbers.get(stem, 0) + 1
        while f"{stem}{number}" in self._draft.nodes:
            number += 1
        self._numbers[stem] = number
        return f"{stem}{number}"

    def _put(self, node: Node) -> None:
        draft = self._open()
        old = draft.nodes.get(node.name)
        draft.nodes[node.name] = node
        draft.touched.add(node.name)
        if old is None or old.inputs != node.inputs:
            draft.ordered = False
            for source in set(old.inputs if old else ()) - set(node.inputs):
                self._forget(source, node.name)
            for source in node.inputs:
                self._readers(source)[node.name] = None
        if old is None:
            draft.added[node.name] = None
            self._tie(node)

    def _readers(self, source: str) -> dict[str, None]:
        if source not in self._draft.readers:
            self._draft.readers[source] = dict.fromkeys(self._draft.users.get(source, ()))
        return self._draft.readers[source]

    def _forget(self, source: str, reader: str) -> None:
        self._readers(source).pop(reader, None)
        self._draft.touched.add(source)

    def _tie(self, node: Node) -> None:
        if node.tie is not None:
            self._draft.ties[node.tie] = (*self._draft.ties.get(node.tie, (node.tie,)), node.name)

    def _drop(self, name: str) -> None:
        draft = self._open()
        node = draft.nodes.pop(name)
        draft.ordered = False
        for source in set(node.inputs):
            self._forget(source, name)
        for table in (draft.users, draft.readers, draft.shapes, draft.added):
            table.pop(name, None)
        if node.tie is not None:
            rest = tuple(member for member in draft.ties[node.tie] if member != name)
            if len(rest) > 1:
                draft.ties[node.tie] = rest
            else:
                del draft.ties[node.tie]
