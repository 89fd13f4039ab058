"""Graphs side by side: their features, worked out once each, and the Gram matrices of any of them.

Letters: ``G`` graphs, ``K`` kinds of them, ``L`` Gram matrices, ``R`` and ``C`` graphs asked about.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archgraph.features.colours import colours
from archgraph.features.descriptors import descriptors
from archgraph.features.live_dag import live_dag
from archgraph.graph import Graph
from optimizers.graph_bo.kernels import combined, intersections, radial, read

KEPT = 256
"""Rows of Gram matrices over the whole gallery that are kept at hand."""

Encode = Callable[[Mapping[str, Any]], NDArray[np.float64]]


class Gallery:
    """Graphs by number. It only grows, and what it knows of a graph depends on nothing but the graph.

    Graphs with the same features are of one kind: the kernel cannot tell them apart, so of a kind one is enough.

    Args:
        kernel: how graphs are compared, see :data:`~optimizers.graph_bo.kernels.PARTS`.
        encode: values of a point as numbers; asked only where the kernel has ``values``.
        depth: of the colours.
        direction: of the neighbours that make a colour.

    Raises:
        UnknownName: when the kernel has an unknown part.
    """

    def __init__(self, kernel: str, encode: Encode, *, depth: int = 2, direction: str = "both") -> None:
        self.terms = read(kernel)
        self.parts = {part for term in self.terms for part in term}
        self.depth, self.direction, self._encode = depth, direction, encode
        self.keys: list[str] = []
        self.points: list[tuple[Mapping[str, Any], int | None]] = []
        self.firsts: list[int] = []  # [K] the first graph of every kind
        self._rows: dict[str, int] = {}
        self._kinds: list[int] = []  # [G]
        self._looks: dict[tuple[bytes, ...], int] = {}
        self._numbers: list[dict[str, int]] = [{} for _ in range(depth + 1)]  # a level: the number of a colour
        self._counts: list[list[tuple[Any, ...]]] = [[] for _ in range(depth + 1)]  # places and numbers
        self._columns: dict[str, list[NDArray[np.float64]]] = {"descriptors": [], "values": []}
        self._matrices: dict[tuple[str, int], tuple[int, Any]] = {}
        self._near: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @property
    def kinds(self) -> Tensor:  # [G]
        """Return the number of every graph's kind."""
        held = self._matrices.get(("kinds", 0))
        if held is None or held[0] != len(self):
            held = self._matrices["kinds", 0] = len(self), torch.tensor(self._kinds)
        kinds: Tensor = held[1]
        return kinds

    def row(self, key: str) -> int:
        """Return the number of the graph with a key."""
        return self._rows[key]

    def add(self, key: str, values: Mapping[str, Any], graph: Graph, seed: int | None = None) -> int:
        """Hang up a graph, unless it is there, and return its number.

        Args:
            key: what it is known by.
            values: of the point that it was built from.
            graph: built from them.
            seed: from which it was drawn, where the space is random.
        """
        if key in self._rows:
            return self._rows[key]
        self._rows[key] = len(self.keys)
        self.keys.append(key)
        self.points.append((dict(values), seed))
        look: list[bytes] = []
        if self.parts & {"wl", "wl-oa"}:
            for level, counts in enumerate(colours(live_dag(graph), self.depth, self.direction)):
                known = self._numbers[level]
                numbered = sorted((known.setdefault(colour, len(known)), count) for colour, count in counts.items())
                self._counts[level].append(tuple(zip(*numbered, strict=True)))
                look.append(repr(numbered).encode())
        for part in sorted(self.parts & self._columns.keys()):
            self._columns[part].append(descriptors(graph) if part == "descriptors" else self._encode(values))
            look.append(self._columns[part][-1].tobytes())
        kind = self._looks.setdefault(tuple(look), len(self.firsts))
        if kind == len(self.firsts):
            self.firsts.append(self._rows[key])
        self._kinds.append(kind)
        return self._rows[key]

    # ------------------------------------------------------------------ Gram matrices
    def grams(
        self,
        of: Sequence[int],
        among: Sequence[int] | None = None,
        *,
        seen: Sequence[int],
    ) -> Tensor:  # [L, R, C]
        """Return the Gram matrices of graphs.

        Args:
            of: numbers of the ``R`` graphs.
            among: of the ``C`` others; None for the first graph of every kind, ``C = K``.
            seen: of those whose spread is the unit of distances.
        """
        parts, others = {}, self.firsts if among is None else list(among)
        for part in self.parts:
            if part in self._columns:
                X = torch.from_numpy(np.stack(self._columns[part]))
                spread = X[list(seen)].std(0, unbiased=False)
                parts[part] = radial(X[list(of)], X[others], spread)
            elif part == "wl" and among is None:
                parts[part] = torch.stack([self._row(one) for one in of], 1)
            elif part == "wl":
                parts[part] = self._products(of, others)
            else:
                parts[part] = self._overlaps(of, others)
        return combined(self.terms, parts)

    def colours(self, level: int) -> list[str]:
        """Return the colours of a level, by number."""
        return list(self._numbers[level])

    def counts(self, level: int, *, unit: bool = True) -> Any:  # [G, F] scipy.sparse.csr_matrix
        """Return how often every graph has every colour of a level.

        Args:
            level: from 0 to the depth.
            unit: whether rows are brought to length 1.
        """
        from scipy import sparse

        held = self._matrices.get((f"{unit}", level))
        if held is None or held[0] != len(self):
            rows = self._counts[level]
            ends = np.cumsum([0, *(len(places) for places, _ in rows)])
            places = np.fromiter((place for places, _ in rows for place in places), np.int64)
            numbers = np.fromiter((count for _, counts in rows for count in counts), np.float64)
            matrix = sparse.csr_matrix((numbers, places, ends), (len(rows), len(self._numbers[level])))
            if unit:
                lengths = np.sqrt(_squares(matrix))
                matrix = sparse.diags(1.0 / lengths) @ matrix
            held = self._matrices[f"{unit}", level] = len(self), matrix.tocsr()
        return held[1]

    def _row(self, one: int) -> Tensor:  # [depth + 1, K]
        known = self._near.pop(one, None)
        if known is None or known.shape[1] != len(self.firsts):
            known = self._products([one], self.firsts)[:, 0]
        self._near[one] = known
        if len(self._near) > KEPT:
            self._near.popitem(last=False)
        return known

    def _products(self, of: Sequence[int], among: Sequence[int]) -> Tensor:  # [depth + 1, R, C]
        levels = []
        for level in range(self.depth + 1):
            X = self.counts(level)
            Y = self._firsts(level) if among is self.firsts else X[list(among)]
            levels.append(torch.from_numpy((Y @ X[list(of)].T).toarray().T.copy()))
        return torch.stack(levels)

    def _firsts(self, level: int) -> Any:  # [K, F]
        held = self._matrices.get(("first", level))
        if held is None or held[0] != len(self):
            held = self._matrices["first", level] = len(self), self.counts(level)[self.firsts]
        return held[1]

    def _overlaps(self, of: Sequence[int], among: Sequence[int]) -> Tensor:  # [depth + 1, R, C]
        levels = []
        for level in range(self.depth + 1):
            X = self.counts(level, unit=False)
            left, right = X[list(of)], X[list(among)]
            used = np.unique(left.indices)  # others have no part in an intersection
            totals = torch.outer(_sums(left), _sums(right)).sqrt()
            shared = intersections(_dense(right[:, used]), _dense(left[:, used])).T
            levels.append(shared / totals)
        return torch.stack(levels)


def _squares(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.multiply(matrix).sum(1)).ravel()


def _sums(matrix: Any) -> Tensor:
    return torch.from_numpy(np.asarray(matrix.sum(1)).ravel())


def _dense(matrix: Any) -> Tensor:
    return torch.from_numpy(matrix.toarray())
