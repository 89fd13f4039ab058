"""The propagation of a graph layer, of which only the rows that are needed are computed.

A layer computes ``Z = P X W^T + 1 b^T``: with the rows ``R`` wanted, ``P_R X`` costs as much as there are edges into
them. Products ``E_R P_L ... P_l`` of the propagations of several layers stay as sparse as the neighbourhoods are small.

Letters: ``N`` nodes, ``E`` edges, ``K`` wanted rows, ``M`` entries that are not zero, ``D`` inputs.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archgraph.evaluation.sparse_matrix import compressed_rows
from optimizers.natural_gradient.entries import Pattern, remember
from optimizers.natural_gradient.pairs import Pairs, expanded
from optimizers.natural_gradient.recorder import Record

PAIRS = 2**22
"""Pairs of entries that meet in a product with sparse features, up to which they are remembered."""


@dataclass(frozen=True, eq=False)
class Propagation:
    """A sparse matrix, ``[K, N]``, by its entries; several entries of one place add up.

    Args:
        row: ``[M]`` where each entry goes to.
        node: ``[M]`` the node it reads.
        weight: ``[M]`` what it multiplies with.
        count: ``K``.
    """

    row: Tensor
    node: Tensor
    weight: Tensor
    count: int

    @classmethod
    def selecting(cls, rows: Tensor | None, nodes: int, like: Tensor) -> Propagation:
        """Return the matrix that takes rows: ones at ``(k, rows[k])``.

        Args:
            rows: ``[K]``; None for all.
            nodes: ``N``.
            like: a tensor of the values' type and device.
        """
        places = torch.arange(nodes, device=like.device) if rows is None else rows
        count = torch.arange(len(places), device=like.device)
        weight = torch.ones(len(places), dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
        return cls(count, places, weight, len(places))

    @classmethod
    def of(cls, record: Record) -> Propagation | None:
        """Return the ``[N, N]`` matrix that a call of a site multiplied with; None for the identity."""
        if record.site.kind != "propagating":
            return None
        layer: Any = record.site.module
        edges, weight = _edges(layer, record)
        row, col = (edges[1], edges[0]) if layer.flow == "source_to_target" else (edges[0], edges[1])
        values = torch.ones(len(row), device=row.device) if weight is None else weight.detach()
        kind = torch.promote_types(record.inputs.dtype, torch.float32)
        return cls(row, col, values.to(kind), record.inputs.shape[0])

    @classmethod
    def reaching(cls, rows: Tensor | None, record: Record) -> Propagation:
        """Return the wanted rows of what a call multiplied with, kept for the next call on the same edges.

        Args:
            rows: ``[K]``; None for all.
            record: of a propagating site.
        """
        read, kept = _Read.of(record), record.site.kept
        if kept.get("read") != read or not _equal(kept["rows"], rows):
            taken = cls.selecting(rows, record.inputs.shape[0], record.inputs).times(cls.of(record))
            kept.update(read=read, rows=rows, taken=taken)
        found: Propagation = kept["taken"]
        return found

    @classmethod
    def starting(cls, rows: Tensor | None, record: Record, like: Tensor) -> Propagation:
        """Return :meth:`selecting` of a call's outputs, kept for the next call with the same rows."""
        told, kept = (record.shape[0], like.dtype), record.site.kept
        if kept.get("started") != told or not _equal(kept["start rows"], rows):
            start = cls.selecting(rows, record.shape[0], like)
            kept.update({"started": told, "start rows": rows, "start": start})
        found: Propagation = kept["start"]
        return found

    def through(self, record: Record, most: int | None = None) -> Propagation | None:
        """Return the product with what a call multiplied with, kept for the next call on the same edges.

        Args:
            record: the call.
            most: entries of the product, a node or edge of the graph, from which on there is none; no limit by default.
        """
        if record.site.kind != "propagating":
            return self
        read, kept = _Read.of(record), record.site.kept
        if kept.get("before") is not self or kept.get("read on the way") != read or kept["most"] != most:
            whole = Propagation.of(record)
            many = whole is not None and most is not None and self.work(whole) > most * (whole.count + len(whole.row))
            product = None if many else self.times(whole)
            kept.update({"before": self, "read on the way": read, "most": most, "through": product})
        found: Propagation | None = kept["through"]
        return found

    def work(self, other: Propagation) -> int:
        """Return how many entries of the product with an ``[N, N]`` matrix there are before they are added up."""
        return int(torch.bincount(other.row, minlength=other.count)[self.node].sum())

    def applied(self, record: Record) -> Tensor:  # [K, D]
        """Return the product with what a call read; of features that stay the same it is computed twice, and kept."""
        kept = record.site.kept
        if not self._same_features(record):
            return self.apply(record.inputs)
        if "propagated" not in kept:
            kept["propagated"] = self.apply(record.inputs)
        known: Tensor = kept["propagated"]
        return known

    def factor(
        self,
        record: Record,
        portions: Tensor | None = None,  # [K]
        ones: Tensor | None = None,  # [K]
        *,
        again: bool = False,
    ) -> Tensor | None:  # [K, D + 1]
        """Return the rows of a call's input factor: :meth:`applied`, what its bias reads, times roots of weights.

        Args:
            record: the call.
            portions: weights of the rows, which sum to 1; equal ones by default.
            ones: what the bias reads in each row; ones by default.
            again: whether those of the last call will do, and None is returned, where it read the same sparse features
                but for dropout; or where there was no call, and what is known is from a run that goes on here.
        """
        kept, told = record.site.kept, (portions, ones)
        if record.inputs.layout == torch.sparse_csr:
            places = record.inputs.crow_indices(), record.inputs.col_indices()
            if again and self._is_last(record, places, told):
                return None
            kept["last"] = self, places, told
        rows, made = self.applied(record), kept.get("factor")
        if made is not None and all(a is b for a, b in zip(kept["factor of"], told, strict=True)):
            known: Tensor = made
            return known
        if portions is None:
            portions = rows.new_full((len(rows),), 1.0 / max(len(rows), 1))
        found = rows if record.site.bias is None else _beside(rows, ones)
        found = found * portions.to(rows.dtype).sqrt().unsqueeze(1)
        if kept.get("propagated") is rows:
            kept.update({"factor": found, "factor of": told})
        elif record.inputs.layout == torch.sparse_csr and (pattern := self._pattern(found.shape)) is not None:
            remember(found, pattern)
        return found

    def _is_last(self, record: Record, places: tuple[Tensor, ...], told: tuple[Any, ...]) -> bool:
        by, before, said = record.site.kept.get("last", (self, places, told))
        same = all(a.shape == b.shape and a.data_ptr() == b.data_ptr() for a, b in zip(places, before, strict=True))
        return by is self and same and all(a is b for a, b in zip(told, said, strict=True))

    def _pattern(self, shape: torch.Size) -> Pattern | None:
        """Return where the product with sparse features has entries, and with what a bias reads beside them."""
        known: Pairs | None = self.__dict__.get("_pairs")
        if known is None or known.goals is None:
            return None
        pairs, pattern = self.__dict__.get("_patterns", (None, None))
        if pairs is not known or pattern.shape != shape:
            (count, width), wide = known.shape, shape[1]
            flat = known.goals // width * wide + known.goals % width
            if wide > width:
                flat = torch.cat((flat, torch.arange(width, count * wide, wide, device=flat.device))).sort().values
            pattern = Pattern.of(flat, (count, wide))
            self.__dict__["_patterns"] = known, pattern
        found: Pattern = pattern
        return found

    def _same_features(self, record: Record) -> bool:
        """Whether a call read what the last one read that this was multiplied with, of which else nothing is kept."""
        kept, version = record.site.kept, record.inputs._version
        features, when, by = kept.get("features", (None, 0, None))
        if record.inputs.requires_grad:
            kept.pop("features", None)
        elif features is not None and features() is record.inputs and when == version and by is self:
            return True
        else:
            kept["features"] = (weakref.ref(record.inputs), version, self)
        kept.pop("propagated", None), kept.pop("factor", None)
        return False

    def times(self, other: Propagation | None) -> Propagation:
        """Return the product with an ``[N, N]`` matrix; None is the identity.

        Every entry ``(k, n)`` here meets all entries ``(n, m)`` there.
        """
        if other is None:
            return self
        wanted = torch.zeros(other.count, dtype=torch.bool, device=self.node.device)
        wanted[self.node] = True
        there = wanted[other.row].nonzero().squeeze(1)
        there = there[torch.argsort(other.row[there], stable=True)]
        degree = torch.bincount(other.row[there], minlength=other.count)
        begin = degree.cumsum(0) - degree
        mine, place = expanded(begin[self.node], degree[self.node])
        theirs = there[place]
        weight = self.weight[mine] * other.weight[theirs].to(self.weight.dtype)
        return Propagation(self.row[mine], other.node[theirs], weight, self.count)._summed(other.count)

    def _summed(self, nodes: int) -> Propagation:
        """Add up the entries of one place: walks between two nodes are many, their ends are few."""
        places, which = torch.unique(self.row * nodes + self.node, return_inverse=True)
        weight = self.weight.new_zeros(len(places)).index_add_(0, which, self.weight)
        return Propagation(places // nodes, places % nodes, weight, self.count)

    def apply(self, values: Tensor) -> Tensor:  # [N, D] -> [K, D]
        """Return the product with what the nodes have, dense or sparse."""
        held = values.detach()
        if held.layout != torch.strided:
            return self._apply_sparse(held)
        if held.dtype == self.weight.dtype and held.ndim == 2:
            return torch.sparse.mm(self._matrix(len(held)), held)
        picked = held.index_select(0, self.node).to(self.weight.dtype) * self.weight.unsqueeze(1)
        return picked.new_zeros(self.count, values.shape[1]).index_add_(0, self.row, picked)

    def _apply_sparse(self, held: Tensor) -> Tensor:
        known: Pairs | None = self.__dict__.get("_pairs")
        if known is not None and held.layout == torch.sparse_csr and known.fits(held):
            return known.product(held.values())
        if held.layout != torch.sparse_csr:
            coo = held.to_sparse_coo().coalesce()
            row, column = coo.indices()
            starts = torch.searchsorted(row, torch.arange(len(held) + 1, device=row.device))
            held = compressed_rows(starts, column, coo.values(), (len(held), held.shape[1]))
        if int(held.crow_indices().diff()[self.node].sum()) <= PAIRS:
            known = Pairs.of(self.row, self.node, self.weight, self.count, held)
            self.__dict__["_pairs"] = known  # features that are dropped have the same places the next time
            return known.product(held.values())
        made = self._matrix(len(held))
        (row, node), starts = made.indices(), torch.arange(self.count + 1, device=self.row.device)
        first = compressed_rows(torch.searchsorted(row, starts), node, made.values(), (self.count, len(held)))
        return torch.sparse.mm(first, held.to(first.dtype)).to_dense()

    def _matrix(self, nodes: int) -> Tensor:  # [K, N]
        """Return the matrix as torch has sparse ones; made once."""
        made: Tensor | None = self.__dict__.get("_made")
        if made is None or made.shape[1] != nodes:
            places = torch.stack((self.row, self.node))
            size = (self.count, nodes)
            made = torch.sparse_coo_tensor(places, self.weight, size, check_invariants=False).coalesce()
            self.__dict__["_made"] = made
        return made

    def sums(self) -> Tensor:  # [K]
        """Return the sum of every row; made once."""
        made: Tensor | None = self.__dict__.get("_summed_up")
        if made is None:
            made = self.__dict__["_summed_up"] = self.weight.new_zeros(self.count).index_add_(0, self.row, self.weight)
        return made


@dataclass(frozen=True, eq=False)
class _Read:
    """The edges that a call read; equal to another when the tensors are the same and were not changed in between."""

    edges: tuple[Any, ...]
    versions: tuple[int, ...]
    told: tuple[Any, ...]

    @classmethod
    def of(cls, record: Record) -> _Read:
        edges = (record.arguments["edge_index"], record.arguments.get("edge_weight"))
        versions = tuple(getattr(one, "_version", 0) for one in edges)
        return cls(edges, versions, (record.inputs.shape[0], record.inputs.dtype))

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, _Read) and (self.versions, self.told) == (other.versions, other.told)
        return same and all(a is b for a, b in zip(self.edges, other.edges, strict=True))  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]


def _edges(layer: Any, record: Record) -> tuple[Tensor, Tensor | None]:
    """Return edges ``[2, E]`` and weights ``[E]`` after the layer's normalisation."""
    from torch_geometric.nn.conv.gcn_conv import gcn_norm
    from torch_geometric.utils import is_torch_sparse_tensor, to_edge_index

    edges, weight = record.arguments["edge_index"], record.arguments.get("edge_weight")
    if layer.normalize:
        cached = layer._cached_edge_index if isinstance(edges, Tensor) else layer._cached_adj_t
        if cached is not None:
            edges, weight = cached if isinstance(cached, tuple) else (cached, None)
        else:
            nodes, kind = record.inputs.shape[layer.node_dim], record.inputs.dtype
            made = gcn_norm(edges, weight, nodes, layer.improved, layer.add_self_loops, layer.flow, kind)
            edges, weight = made if isinstance(made, tuple) else (made, None)
    if not isinstance(edges, Tensor):  # torch_sparse.SparseTensor
        row, col, value = edges.coo()
        return torch.stack((col, row)), value
    if is_torch_sparse_tensor(edges):  # [targets, sources]
        found, value = to_edge_index(edges)
        return found.flip(0), value
    return edges, weight


def _beside(rows: Tensor, column: Tensor | None) -> Tensor:  # [K, D], [K] -> [K, D + 1]
    """Return rows with one more number each; 1 by default."""
    column = rows.new_ones(len(rows)) if column is None else column.to(rows.dtype)
    return torch.cat((rows, column.unsqueeze(1)), dim=1)


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))
