"""Samples sent through a network, again and again: what was captured is kept where memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from torch import Tensor

from archgraph.errors import DataError
from archgraph.metrics import macs
from archgraph.net import Captured, Network, Samples, batches, capture, passed
from archgraph.scoring.layer import copies_of_columns
from archgraph.tasks import Loss

BATCH = 512
"""Samples that are captured at once, at most."""

_ALIVE = 3  # tensors of the size of a node's output that are alive at once, on the way back


class Passes:
    """The samples of a data set, a batch at a time, seen from inside a network.

    Args:
        network: the network; it is left as it is.
        x: inputs; nodes of a graph, all of which are samples here, whatever counts in the loss.
        y: targets.
        loss: the loss, a mean over samples.
        values: nodes whose outputs are wanted.
        grads: nodes at whose outputs the gradient of a batch's mean loss is wanted.
        seen: graph convolutions of which is wanted what their units see.
        memory: bytes of captured tensors that are kept, and of those that a batch may take.
        train: whether batch norm takes the statistics of a batch.
    """

    def __init__(
        self,
        network: Network,
        x: Samples,  # [N, ...]
        y: Tensor,  # [N] or [N, ...]
        loss: Loss,
        *,
        values: Iterable[str],
        grads: Iterable[str],
        seen: Iterable[str] = (),
        memory: int,
        train: bool = False,
    ) -> None:
        self.network, self.samples, self.macs = network, passed(x), 0
        self._values, self._grads, self._seen = frozenset(values), frozenset(grads), frozenset(seen)
        self._loss, self._train = loss, train
        graph, size = network.graph, network.dtype.itemsize
        a_pass = _ALIVE * size * sum(graph.shape(name).size for name in graph.nodes)
        rows = BATCH if train else max(1, min(BATCH, memory // max(1, a_pass)))
        self._batches = tuple(batches(x, y, rows))
        along = [graph.node(name).inputs[0] for name in self._seen for _ in range(copies_of_columns(graph, name))]
        kept = size * sum(graph.shape(name).size for name in (*self._values, *self._grads, *along))
        self.per_sample = kept
        """Bytes of captured tensors for one sample."""
        self._keeps = kept * self.samples <= memory
        self._kept: list[Captured] = []

    def __iter__(self) -> Iterator[tuple[Captured, float]]:
        """Yield what each batch left, with its share of the samples.

        Raises:
            DataError: when captured tensors are not finite.
        """
        for index, (inputs, _) in enumerate(self._batches):
            found = self._kept[index] if index < len(self._kept) else self._capture(index)
            if self._keeps and index == len(self._kept):
                self._kept.append(found)
            yield found, passed(inputs) / self.samples

    def _capture(self, index: int) -> Captured:
        inputs, targets = self._batches[index]
        dtype = self.network.dtype
        targets = targets.to(dtype) if targets.is_floating_point() else targets
        objective = partial(_of, self._loss, targets)
        found = capture(
            self.network,
            inputs.to(dtype),
            objective,
            values=self._values,
            grads=self._grads,
            seen=self._seen,
            train=self._train,
        )
        self.macs += 2 * macs(self.network.graph) * passed(inputs)
        for what, tensors in (("values", found.values), ("gradients", found.grads)):
            for name, tensor in tensors.items():
                if not tensor.isfinite().all():
                    raise DataError(
                        f"the {what} at node {name!r} are not finite",
                        hint="check the data and the weights: the training has probably diverged",
                        place=str(self.network.graph.node(name)),
                    )
        return found


def _of(loss: Loss, targets: Tensor, outputs: Tensor) -> Tensor:
    return loss(outputs, targets)
