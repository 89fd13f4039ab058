"""One op in its place: a name, the names of its inputs, and whose weights it uses."""

from __future__ import annotations

from dataclasses import dataclass

from archgraph.graph.op import Op


@dataclass(frozen=True, repr=False)
class Node:
    """A named op applied to the outputs of other nodes.

    Args:
        name: a Python identifier, unique in its graph.
        op: what is computed.
        inputs: names of the nodes whose outputs it reads, in order.
        tie: name of the node whose weights this one uses; None when it has its own.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    tie: str | None = None

    @property
    def owner(self) -> str:
        """Name of the node that owns the weights: its own name unless tied."""
        return self.tie or self.name

    def __str__(self) -> str:
        text = f"{self.name} = {self.op!r}"
        if self.inputs:
            text += f"({', '.join(self.inputs)})"
        return text if self.tie is None else f"{text} @ {self.tie}"

    def __repr__(self) -> str:
        return f"Node({str(self)!r})"
