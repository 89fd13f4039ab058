"""Several graphs that are the samples: features of all nodes, edges, a label a graph, and which are of which split.

Letters: ``G`` graphs, ``N`` nodes of all of them, ``D`` features of a node, ``E`` directed edges, ``B`` graphs of a
batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.tasks.neighborhood import ranges
from archgraph.tasks.node_graph import finite
from archgraph.tasks.split import SPLITS, Split


@dataclass(frozen=True, eq=False, repr=False)
class GraphSet:
    """Graphs side by side, as if they were one whose parts are not connected.

    Args:
        x: features of all nodes, ``[N, D]`` floating point.
        y: labels of the graphs, ``[G]`` int64.
        edge_index: edges between nodes of one graph, numbered through, ``[2, E]`` int64.
        membership: the graph of every node, ``[N]`` int64, in order: 0 first; every graph has a node.
        rows: the graphs of each split, ``[count]`` int64, in the order of the split's samples.

    Raises:
        DataError: when shapes or types differ from these, features are no numbers, an edge leaves its graph, a graph
            has no nodes, or is in two splits.
    """

    x: Tensor
    y: Tensor
    edge_index: Tensor
    membership: Tensor
    rows: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        for what, right, expected, got in self._rules():
            if not right:
                raise DataError(f"a set of graphs has wrong {what}", expected=expected, got=got)

    def _rules(self) -> Iterator[tuple[str, bool, object, object]]:
        tensors = {"features": self.x, "labels": self.y, "edges": self.edge_index, "membership": self.membership}
        for what, given in tensors.items():
            yield what, isinstance(given, Tensor), "a tensor", type(given).__name__
            yield what, given.layout == torch.strided, "a dense tensor: to_dense()", given.layout
        yield "features", self.x.ndim == 2, "[N, D] floating point", list(self.x.shape)
        yield "labels", self.y.ndim == 1, "[G] int64", _kind(self.y)
        nodes, graphs, edges, own = len(self.x), len(self), self.edge_index, self.membership
        yield "features", self.x.ndim == 2 and self.x.is_floating_point(), "[N, D] floating point", _kind(self.x)
        yield "features", finite(self.x), "numbers", "NaN or inf"
        yield "labels", self.y.ndim == 1 and self.y.dtype == torch.int64, "[G] int64", _kind(self.y)
        yield "membership", own.shape == (nodes,) and own.dtype == torch.int64, f"[{nodes}] int64", _kind(own)
        here = torch.arange(graphs, device=own.device)
        ordered = bool((own[1:] >= own[:-1]).all()) and torch.equal(own.unique(), here)
        yield "membership", ordered, f"graphs 0 to {graphs - 1} in order, each with nodes", "others"
        yield "edges", edges.ndim == 2 and len(edges) == 2 and edges.dtype == torch.int64, "[2, E] int64", _kind(edges)
        inside = not edges.numel() or (int(edges.min()) >= 0 and int(edges.max()) < nodes)
        yield "edges", inside, f"nodes 0 to {nodes - 1}", "others"
        yield "edges", torch.equal(own[edges[0]], own[edges[1]]), "edges between nodes of one graph", "others"
        yield "splits", set(self.rows) == set(SPLITS), ", ".join(SPLITS), ", ".join(self.rows)
        for name, rows in self.rows.items():
            where = f"rows of split {name!r}"
            yield where, rows.ndim == 1 and rows.dtype == torch.int64, "[count] int64", _kind(rows)
            inside = not rows.numel() or (int(rows.min()) >= 0 and int(rows.max()) < graphs)
            yield where, inside, f"graphs 0 to {graphs - 1}", "others"
        every = torch.cat(list(self.rows.values()))
        yield "splits", len(every) == len(every.unique()), "every graph in one split at most", "a graph twice"

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        size = f"{len(self)} graphs, {len(self.x)} nodes, {self.edge_index.shape[1]} edges"
        return f"<GraphSet {size}, {self.x.shape[1]} features>"

    @property
    def degree(self) -> int:
        """How many edges end at a node, on the average, as :class:`archgraph.ops.Edges` has it."""
        return max(1, round(self.edge_index.shape[1] / max(1, len(self.x))))

    def splits(self) -> dict[str, Split]:
        """Return the splits as samples, one a graph: the mean of its nodes' features."""
        total = torch.zeros(len(self), self.x.shape[1], dtype=torch.float64).index_add(
            0, self.membership, self.x.double()
        )
        means = (total / self._sizes[:, None]).to(self.x.dtype)
        return {name: Split(means[rows], self.y[rows]) for name, rows in self.rows.items()}

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors in a fixed order."""
        yield from (self.x, self.y, self.edge_index, self.membership, *(self.rows[name] for name in SPLITS))

    def to(self, device: torch.device | str) -> GraphSet:
        """Return the graphs on ``device``; a copy is made once and kept."""
        device = torch.device(device)
        if self.x.device == device:
            return self
        copies: dict[torch.device, GraphSet] = self.__dict__.setdefault("_copies", {})
        if device not in copies:
            rows = {name: rows.to(device) for name, rows in self.rows.items()}
            edges, membership = self.edge_index.to(device), self.membership.to(device)
            copies[device] = GraphSet(self.x.to(device), self.y.to(device), edges, membership, rows)
        return copies[device]

    def __reduce__(self) -> tuple[object, ...]:
        return (GraphSet, (self.x, self.y, self.edge_index, self.membership, dict(self.rows)))  # without the copies

    # ------------------------------------------------------------------ batches
    def batch(self, graphs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Put graphs side by side, by indexing alone.

        Args:
            graphs: which, ``[B]`` int64.

        Returns:
            Features of their nodes, edges between them, and the membership: 0 for the nodes of ``graphs[0]``.
        """
        sizes, counts = self._sizes[graphs], self._counts[graphs]
        nodes = ranges(self._starts[graphs], sizes)
        here = torch.arange(len(graphs), device=graphs.device)
        shift = sizes.cumsum(0) - sizes - self._starts[graphs]  # [B], from the old number of a node to the new
        edges = self._edges[:, ranges(self._edge_starts[graphs], counts)] + shift.repeat_interleave(counts)
        return self.x[nodes], edges, here.repeat_interleave(sizes)

    @cached_property
    def _sizes(self) -> Tensor:  # [G], nodes of every graph
        return torch.bincount(self.membership, minlength=len(self))

    @cached_property
    def _starts(self) -> Tensor:  # [G]
        return self._sizes.cumsum(0) - self._sizes

    @cached_property
    def _edges(self) -> Tensor:  # [2, E], in the order of graphs
        return self.edge_index[:, self.membership[self.edge_index[0]].argsort(stable=True)]

    @cached_property
    def _counts(self) -> Tensor:  # [G], edges of every graph
        return torch.bincount(self.membership[self.edge_index[0]], minlength=len(self))

    @cached_property
    def _edge_starts(self) -> Tensor:  # [G]
        return self._counts.cumsum(0) - self._counts


def _kind(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
