"""Splitting operators on all samples, a batch at a time: what was captured is kept as far as memory allows.

An operator is multiplied by many times, its batch captured once: forward, and backward to the boundaries. Batches
beyond the memory are captured anew for every product, which costs time and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil

import torch
from torch import Tensor

from archgraph.errors import DataError
from archgraph.metrics import macs
from archgraph.net import Captured, Network, Samples, batches, capture, passed
from archgraph.scoring.closure import Closure
from archgraph.scoring.layer import copies_of_columns
from archgraph.scoring.operator import Needs, SplittingOperator, choose_curvature, needs, operator
from archgraph.scoring.settings import Settings
from archgraph.tasks import Loss

BATCH = 512
"""Samples that are captured at once, at most."""

Operators = Mapping[str, SplittingOperator]
"""Splitting operators of one batch's mean loss, by node."""

_BLOCK = 2**24  # bytes of a batch's largest tensor: larger ones leave the cache, and their pages are new every time

_PASSES = 4  # tensors that differentiating a tail twice leaves at each of its nodes

_DIVERGED = "check the data and the weights: the training has probably diverged"


class Captures:
    """The samples of a data set as splitting operators.

    The mean of the operators over batches, weighted by the shares that come with them, is that of all samples' mean
    loss (but for batch norm in train mode, whose statistics are each batch's own).

    Args:
        network: the network; it is left as it is.
        x: inputs; nodes of a graph, all of which are samples here, whatever counts in the loss.
        y: targets.
        loss: the loss, a mean over samples.
        closures: what the nodes' units pass through alone, by node.
        settings: of the criterion; ``memory`` is what all of ``parts`` may keep.
        rows: samples a batch, at most.
        parts: how many share the memory.
    """

    def __init__(
        self,
        network: Network,
        x: Samples,  # [N, ...]
        y: Tensor,  # [N] or [N, ...]
        loss: Loss,
        closures: Mapping[str, Closure],
        settings: Settings,
        *,
        rows: int | None = None,
        parts: int = 1,
    ) -> None:
        self.network, self.closures, self.settings = network, closures, settings
        self.samples, self.macs = passed(x), 0
        self._loss, self._memory = loss, settings.memory // parts
        self._needs = {
            name: needs(network.graph, name, found, mode=settings.mode, curvature=settings.curvature)
            for name, found in closures.items()
        }
        rows = min(rows or BATCH, self._rows())
        rows = ceil(len(x) / ceil(len(x) / rows))  # batches of one size: 128 samples, 126 at once, are 64 and 64
        self._batches = tuple(batches(x, y, rows))
        self._smoothing: float | Mapping[str, float] = 3.0
        self._captured: dict[int, Captured] = {}  # by batch, until the smoothing is known
        self._kept: list[dict[str, SplittingOperator]] | None = None  # of the first batches

    def __len__(self) -> int:
        """Return how many batches there are."""
        return len(self._batches)

    @property
    def whole(self) -> bool:
        """Whether everything is kept, so that another product needs no pass through the network."""
        return self._room() >= len(self)

    def values(self, nodes: Iterable[str]) -> Iterator[Mapping[str, Tensor]]:  # node to [B, ...]
        """Yield the outputs of some nodes, a batch at a time, by passes forward.

        Args:
            nodes: nodes whose values the closures need.

        Raises:
            DataError: when they are not finite.
        """
        wanted = frozenset(nodes)
        if not wanted:
            return
        everything = Needs.union(self._needs.values())
        everything = everything._replace(values=everything.values | wanted)
        whole = self._bytes(*everything) * self.samples <= self._memory  # then the way back is made at once
        for index in range(len(self)):
            found = self._capture(index, everything if whole else Needs(wanted))
            if whole:
                self._captured[index] = found
            yield {name: found.values[name] for name in wanted}

    def smooth(self, smoothing: float | Mapping[str, float]) -> None:
        """Set the sharpness of the softplus that stands in for kinks, by activation or for all; before any product."""
        self._smoothing = smoothing

    def operators(self, names: Sequence[str]) -> Iterator[tuple[Operators, float]]:
        """Yield the operators of some nodes on every batch, with the batch's share of the samples.

        Args:
            names: nodes among the closures.

        Raises:
            DataError: when captured tensors are not finite.
        """
        if self._kept is None:
            self._keep()
        assert self._kept is not None
        for index, (batch, _) in enumerate(self._batches):
            found = self._kept[index] if index < len(self._kept) else self._build(index, names)
            yield {name: found[name] for name in names}, passed(batch) / self.samples

    def _keep(self) -> None:
        names = tuple(self.closures)
        self._kept = []
        for index in range(min(self._room(), len(self)) if names else 0):
            self._kept.append(self._build(index, names, keep=True))

    def _build(self, index: int, names: Sequence[str], *, keep: bool = False) -> dict[str, SplittingOperator]:
        captured = self._captured.pop(index, None)
        if captured is None:
            captured = self._capture(index, Needs.union(self._needs[name] for name in names))
        settings = self.settings
        return {
            name: operator(
                self.network,
                name,
                self.closures[name],
                captured,
                include_bias=settings.include_bias,
                smoothing=self._smoothing,
                mode=settings.mode,
                curvature=settings.curvature,
                keep_graph=keep,
            )
            for name in names
        }

    def _capture(self, index: int, wanted: Needs) -> Captured:
        x, y = self._batches[index]
        dtype, train = self.network.dtype, self.settings.mode == "train"
        targets = y.to(dtype) if y.is_floating_point() else y
        x = x.to(dtype)
        if isinstance(x, Tensor) and x.ndim == 4:  # convolutions of the CPU are faster so
            x = x.contiguous(memory_format=torch.channels_last)
        found = capture(
            self.network,
            x,
            partial(_loss, self._loss, targets),
            values=wanted.values,
            grads=wanted.grads,
            reads=wanted.reads,
            seen=wanted.seen,
            train=train,
        )
        both_ways = 2 if wanted.grads or wanted.reads else 1  # gradients of outputs alone cost as much as the outputs
        self.macs += both_ways * macs(self.network.graph) * passed(x)
        for what, tensors in (("values", found.values), ("gradients", found.grads), ("gradients", found.reads)):
            self._check(what, tensors)
        return found

    def _check(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Refuse tensors that are not finite, the first node first; the sum tells at once where all are."""
        for name in self.network.graph.nodes:
            if name in tensors and not tensors[name].sum().isfinite() and not tensors[name].isfinite().all():
                raise DataError(
                    f"the {what} at node {name!r} are not finite",
                    hint=_DIVERGED,
                    place=str(self.network.graph.node(name)),
                )

    def _rows(self) -> int:
        """Return how many samples to capture at once."""
        if self.settings.mode == "train":
            return BATCH  # the statistics are the batch's own
        largest = max(self._bytes([name]) for name in self.network.graph.nodes)
        return max(1, min(BATCH, _BLOCK // max(1, largest)))

    def _room(self) -> int:
        """Return how many batches can be kept as operators: inputs of layers, curvatures, and all of a tail's graph."""
        graph = self.network.graph
        closed = [name for name in self.closures if self._curvature(name) == "closed"]
        tails = [name for name in self.closures if name not in closed]
        held = {source for name in closed for source in graph.node(name).inputs}
        held |= {node for name in tails for nodes in self._needs[name][:3] for node in nodes}
        along = {use for needs_ in self._needs.values() for use in needs_.seen}
        seen = [graph.node(use).inputs[0] for use in along for _ in range(copies_of_columns(graph, use))]
        graphs = [node for name in tails for node in self.closures[name].tail]
        a_batch = self._bytes(held, seen, closed, *[graphs] * _PASSES) * passed(self._batches[0][0])
        return int(self._memory // max(1, a_batch))

    def _curvature(self, name: str) -> object:
        settings = self.settings
        return choose_curvature(
            self.network.graph, self.closures[name], mode=settings.mode, curvature=settings.curvature
        )

    def _bytes(self, *nodes: Iterable[str]) -> int:
        """Return what a tensor of each node takes for one sample."""
        graph = self.network.graph
        sizes = sum(graph.shape(name).size for some in nodes for name in some)
        return sizes * self.network.dtype.itemsize


def _loss(loss: Loss, targets: Tensor, outputs: Tensor) -> Tensor:
    return loss(outputs, targets)
