"""One graph whose nodes are the samples: features, links, labels, and which nodes belong to which split.

Letters: ``N`` nodes, ``D`` features of a node, ``E`` directed edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.tasks.neighborhood import Arrivals
from archgraph.tasks.split import SPLITS, Split

_PIECE = 4096

UNKNOWN = -1
"""The label of a node whose class is not known; it is in no split."""


@dataclass(frozen=True, eq=False, repr=False)
class NodeGraph:
    """A static graph for tasks that label its nodes: all that a graph layer needs beside the samples of a split.

    Learning is transductive: features and edges of all nodes may be seen in training, labels only of ``rows["train"]``.

    Args:
        x: features of all nodes, ``[N, D]`` floating point.
        y: labels of all nodes, ``[N]`` int64; :data:`UNKNOWN` where there is none.
        edge_index: edges from ``edge_index[0]`` to ``edge_index[1]``, ``[2, E]`` int64, as PyTorch Geometric has them;
            an undirected link is there in both directions.
        edge_weight: one number an edge, ``[E]`` floating point; None where all count alike.
        rows: the nodes of each split, ``[count]`` int64, in the order of the split's samples.

    Raises:
        DataError: when shapes or types differ from these, there are no nodes or features, features are no numbers, an
            edge or row is out of range, a node is in two splits, or one in a split has no label.
    """

    x: Tensor
    y: Tensor
    edge_index: Tensor
    rows: Mapping[str, Tensor]
    edge_weight: Tensor | None = None

    def __post_init__(self) -> None:
        for what, right, expected, got in self._rules():
            if not right:
                raise DataError(f"a graph of nodes has wrong {what}", expected=expected, got=got)

    def _rules(self) -> Iterator[tuple[str, bool, object, object]]:
        tensors: dict[str, Any] = {"features": self.x, "labels": self.y, "edges": self.edge_index}
        if self.edge_weight is not None:
            tensors["weights of edges"] = self.edge_weight
        for what, given in tensors.items():
            yield what, isinstance(given, Tensor), "a tensor", type(given).__name__
            yield what, given.layout == torch.strided, "a dense tensor: to_dense()", given.layout
        yield "features", self.x.ndim == 2 and self.x.numel() > 0, "[N, D] floating point", list(self.x.shape)
        nodes, edges = len(self), self.edge_index
        yield "features", self.x.ndim == 2 and self.x.is_floating_point(), "[N, D] floating point", _kind(self.x)
        yield "features", finite(self.x), "numbers", "NaN or inf"
        yield "labels", self.y.shape == (nodes,) and self.y.dtype == torch.int64, f"[{nodes}] int64", _kind(self.y)
        yield "edges", edges.ndim == 2 and len(edges) == 2 and edges.dtype == torch.int64, "[2, E] int64", _kind(edges)
        yield "edges", _within(edges, nodes), f"nodes 0 to {nodes - 1}", _span(edges)
        if (weight := self.edge_weight) is not None:
            fits = weight.shape == edges.shape[1:] and weight.is_floating_point()
            yield "weights of edges", fits, f"[{edges.shape[1]}] floating point", _kind(weight)
            yield "weights of edges", bool(weight.isfinite().all()), "numbers", "NaN or inf"
        yield "splits", set(self.rows) == set(SPLITS), ", ".join(SPLITS), ", ".join(self.rows)
        for name, rows in self.rows.items():
            where = f"rows of split {name!r}"
            yield where, rows.ndim == 1 and rows.dtype == torch.int64, "[count] int64", _kind(rows)
            yield where, _within(rows, nodes), f"nodes 0 to {nodes - 1}", _span(rows)
            unlabelled = int((self.y[rows] == UNKNOWN).sum())
            yield where, unlabelled == 0, "nodes with labels", f"{unlabelled} without"
        every = torch.cat(list(self.rows.values()))
        yield "splits", len(every) == len(every.unique()), "every node in one split at most", "a node twice"

    @classmethod
    def of(cls, data: Any, split: int = 0) -> NodeGraph:
        """Return the graph of a :class:`torch_geometric.data.Data`.

        Args:
            data: with ``x``, ``y``, ``edge_index``, ``train_mask``, ``val_mask``, ``test_mask`` and, where edges have
                them, ``edge_weight``.
            split: which column of masks ``[N, splits]`` to take, where there are several.

        Raises:
            DataError: when something is missing, a mask is none, or the graph cannot be used (see the class).
        """
        masks = [f"{name}_mask" for name in SPLITS]
        missing = [name for name in ("x", "y", "edge_index", *masks) if getattr(data, name, None) is None]
        if missing:
            raise DataError(f"the graph has no {', '.join(missing)}", expected=f"x, y, edge_index, {', '.join(masks)}")
        rows = {
            name: _chosen(getattr(data, mask), mask, split, len(data.x))
            for name, mask in zip(SPLITS, masks, strict=True)
        }
        y = data.y.squeeze(1) if data.y.ndim == 2 and data.y.shape[1] == 1 else data.y
        return cls(data.x, y, data.edge_index, rows, getattr(data, "edge_weight", None))

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"<NodeGraph {len(self)} nodes, {self.edge_index.shape[1]} edges, {self.x.shape[1]} features>"

    def mask(self, split: str) -> Tensor:  # [N] bool
        """Return which nodes belong to a split."""
        mask = torch.zeros(len(self), dtype=torch.bool, device=self.x.device)
        mask[self.rows[split]] = True
        return mask

    def splits(self) -> dict[str, Split]:
        """Return the splits as samples, one a labelled node, without their links."""
        return {name: Split(self.x[rows], self.y[rows]) for name, rows in self.rows.items()}

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors in a fixed order."""
        yield from (self.x, self.y, self.edge_index, *(self.rows[name] for name in SPLITS))
        if self.edge_weight is not None:
            yield self.edge_weight

    @property
    def degree(self) -> int:
        """How many edges end at a node, on the average, as :class:`archgraph.ops.Edges` has it."""
        return max(1, round(self.edge_index.shape[1] / max(1, len(self))))

    @property
    def arrivals(self) -> Arrivals:
        """The edges by the nodes at which they end, to draw parts of the graph; sorted once."""
        return Arrivals.of(self.edge_index, len(self))

    def features(self, dtype: torch.dtype) -> Tensor:  # [N, D]
        """Return the features in a floating-point type; they are converted once."""
        if self.x.dtype == dtype:
            return self.x
        known: dict[torch.dtype, Tensor] = self.__dict__.setdefault("_features", {})
        return known.setdefault(dtype, self.x.to(dtype))

    def to(self, device: torch.device | str) -> NodeGraph:
        """Return the graph on ``device``; a copy is made once and kept."""
        device = torch.device(device)
        if self.x.device == device:
            return self
        copies: dict[torch.device, NodeGraph] = self.__dict__.setdefault("_copies", {})
        if device not in copies:
            rows = {name: rows.to(device) for name, rows in self.rows.items()}
            weight = None if self.edge_weight is None else self.edge_weight.to(device)
            copies[device] = NodeGraph(self.x.to(device), self.y.to(device), self.edge_index.to(device), rows, weight)
        return copies[device]

    def __reduce__(self) -> tuple[object, ...]:
        return (NodeGraph, (self.x, self.y, self.edge_index, dict(self.rows), self.edge_weight))  # without the copies


def _chosen(mask: Tensor, name: str, split: int, nodes: int) -> Tensor:  # [N] or [N, splits] bool -> [count]
    tensor = isinstance(mask, Tensor)
    if tensor and mask.ndim == 2 and 0 <= split < mask.shape[1]:
        mask = mask[:, split]
    if not tensor or mask.dtype != torch.bool or mask.shape != (nodes,):
        got = _kind(mask) if tensor else type(mask).__name__
        wanted = f"[{nodes}] or [{nodes}, splits] bool"
        raise DataError(f"{name} tells no nodes of split {split}", expected=wanted, got=got)
    return mask.nonzero().squeeze(1)


def undirected(edges: Tensor) -> Tensor:  # [2, E] -> [2, E']
    """Return links in both directions, once each and without loops, sorted.

    >>> undirected(torch.tensor([[0, 2, 1, 1], [1, 0, 0, 1]]))
    tensor([[0, 0, 1, 2],
            [1, 2, 0, 0]])
    """
    pairs = edges[:, edges[0] != edges[1]]
    return torch.cat([pairs, pairs.flip(0)], dim=1).unique(dim=1)


def shares(x: Tensor) -> Tensor:  # [N, D]
    """Divide the features of every node by their sum; a row of zeros stays as it is."""
    total = x.sum(1, keepdim=True)
    return x / torch.where(total == 0, torch.ones_like(total), total)


def finite(x: Tensor) -> bool:
    """Whether all entries are numbers; looked at in pieces, to spare memory."""
    return all(bool(part.isfinite().all()) for part in x.split(_PIECE))


def _kind(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _within(indices: Tensor, nodes: int) -> bool:
    return indices.numel() == 0 or (int(indices.min()) >= 0 and int(indices.max()) < nodes)


def _span(indices: Tensor) -> str:
    return f"{int(indices.min())} to {int(indices.max())}" if indices.numel() else "none"
