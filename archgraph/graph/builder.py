"""Writing graphs by hand: a chain in one call, anything else with a builder."""

from __future__ import annotations

from archgraph.errors import GraphError
from archgraph.graph.graph import Graph
from archgraph.graph.node import Node
from archgraph.graph.op import Op


class GraphBuilder:
    """Collects nodes one after the other; names are made from the ops' names (``conv2d1``, ``conv2d2``, ...).

    >>> # build = GraphBuilder()
    >>> # image = build(ops.Input((1, 8, 8)))
    >>> # wide = build(ops.Conv2d(4, kernel_size=3, padding=1), image)
    >>> # total = build(ops.Add(), wide, build(ops.ReLU(), wide))
    >>> # graph = build.graph(total)
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, op: Op, *inputs: str, name: str | None = None, tie: str | None = None) -> str:
        """Add a node and return its name.

        Raises:
            GraphError: when the name is taken.
        """
        if name is None:
            stem = type(op).__name__.lower()
            number = self._numbers.get(stem, 0) + 1
            while f"{stem}{number}" in self._nodes:
                number += 1
            self._numbers[stem] = number
            name = f"{stem}{number}"
        if name in self._nodes:
            raise GraphError(f"two nodes are called {name!r}", place=str(self._nodes[name]))
        self._nodes[name] = Node(name, op, tuple(inputs), tie)
        return name

    def graph(self, *outputs: str) -> Graph:
        """Return the graph with these outputs.

        Raises:
            GraphError: when it would not be valid.
        """
        return Graph(self._nodes.values(), outputs)


def chain(*ops: Op) -> Graph:
    """Return the graph in which every op reads the one before it; the first takes no input, the last is returned.

    Raises:
        GraphError: when the graph would not be valid.
    """
    build = GraphBuilder()
    last: str | None = None
    for op in ops:
        last = build(op) if last is None else build(op, last)
    if last is None:
        raise GraphError("a chain needs at least one op", hint="start with ops.Input(shape)")
    return build.graph(last)
