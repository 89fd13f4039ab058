"""What a loss takes the outputs to be: the distribution whose Fisher information the natural gradient uses.

For the losses of :mod:`archgraph.tasks` the Fisher information of the outputs is the Hessian of the loss there, which
does not depend on the targets: with softmax ``p`` it is ``diag(p) - p p^T``, with a normal distribution a multiple of
the identity, with a Bernoulli distribution ``p (1 - p)``. The loss of a sample is a mean over its ``P`` positions (for
the last two: entries), so each carries ``1 / P`` of it.

Letters: ``N`` samples, ``T`` classes, ``P`` positions or entries of a sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from archgraph.errors import DataError, UnknownName


class Likelihood(ABC):
    """A distribution of targets given outputs ``[N, ...]``."""

    @abstractmethod
    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss's gradient at the outputs for targets drawn from the distribution, for each sample.

        The second moment of what is drawn is the sample's Fisher information, and its mean is zero.

        Args:
            outputs: ``[N, ...]`` detached.
            generator: of a CPU stream; the same draws on every device.
        """

    @abstractmethod
    def columns(self, outputs: Tensor) -> Iterator[Tensor]:
        """Yield tensors like the outputs whose outer products, summed, are each sample's Fisher information.

        Args:
            outputs: ``[N, ...]`` detached.
        """

    @abstractmethod
    def multiply(self, outputs: Tensor, vectors: Tensor) -> Tensor:
        """Multiply by each sample's Fisher information.

        Args:
            outputs: ``[N, ...]`` detached.
            vectors: of the shape of the outputs.
        """


class Softmax(Likelihood):
    """Classes by their logits ``[N, T, ...]``: cross-entropy."""

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        p = self._probabilities(outputs)
        level = torch.rand(p.shape[:1] + p.shape[2:], generator=generator, dtype=torch.float64).to(p.device)
        sums = p.double().cumsum(1)
        label = (sums < (level * sums[:, -1]).unsqueeze(1)).sum(1, keepdim=True).clamp(max=p.shape[1] - 1)
        return (p - torch.zeros_like(p).scatter_(1, label, 1.0)) / _positions(p) ** 0.5

    def columns(self, outputs: Tensor) -> Iterator[Tensor]:
        p = self._probabilities(outputs)
        for place in product(*map(range, p.shape[2:])):
            for label in range(p.shape[1]):
                column = torch.zeros_like(p)
                here = p[(slice(None), slice(None), *place)]  # type: ignore[index]  # [N, T]
                unit = torch.zeros_like(here)
                unit[:, label] = 1.0
                column[(slice(None), slice(None), *place)] = here[:, label, None].sqrt() * (here - unit)  # type: ignore[index]
                yield column / _positions(p) ** 0.5

    def multiply(self, outputs: Tensor, vectors: Tensor) -> Tensor:
        p = self._probabilities(outputs)
        return p * (vectors - (p * vectors).sum(1, keepdim=True)) / _positions(p)

    def _probabilities(self, outputs: Tensor) -> Tensor:
        if outputs.ndim < 2:
            raise DataError("cross-entropy needs logits", expected="outputs [N, T, ...]", got=list(outputs.shape))
        return outputs.softmax(1)


class Normal(Likelihood):
    """Values with noise: squared error, a mean over the ``P`` entries of a sample, of Hessian ``2 / P``."""

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
        return noise.to(outputs) * self._slope(outputs)

    def columns(self, outputs: Tensor) -> Iterator[Tensor]:
        return _entries(outputs, torch.full_like(outputs, self._slope(outputs)))

    def multiply(self, outputs: Tensor, vectors: Tensor) -> Tensor:
        return vectors * self._slope(outputs) ** 2

    def _slope(self, outputs: Tensor) -> float:
        return (2.0 * len(outputs) / max(outputs.numel(), 1)) ** 0.5


class Bernoulli(Likelihood):
    """Yes or no by its logit, for each of the ``P`` entries of a sample: binary cross-entropy."""

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        p = outputs.sigmoid()
        level = torch.rand(p.shape, generator=generator, dtype=torch.float64).to(p)
        return (p - (level < p).to(p)) / self._entries(p) ** 0.5

    def columns(self, outputs: Tensor) -> Iterator[Tensor]:
        p = outputs.sigmoid()
        return _entries(outputs, (p * (1.0 - p) / self._entries(p)).sqrt())

    def multiply(self, outputs: Tensor, vectors: Tensor) -> Tensor:
        p = outputs.sigmoid()
        return vectors * p * (1.0 - p) / self._entries(p)

    def _entries(self, outputs: Tensor) -> float:
        return max(outputs.numel(), 1) / max(len(outputs), 1)


def likelihood_of(loss: str) -> Likelihood:
    """Return the distribution that belongs to a loss, by the names of :class:`archgraph.tasks.Loss`.

    Raises:
        UnknownName: when none is known for it.
    """
    if loss not in _OF:
        raise UnknownName.among("loss with a Fisher information", loss, _OF)
    return _OF[loss]


_OF: dict[str, Likelihood] = {
    "cross-entropy": Softmax(),
    "mse": Normal(),
    "binary-cross-entropy": Bernoulli(),
}


def _positions(p: Tensor) -> float:
    return max(p[:, :1].numel(), 1) / max(len(p), 1)


def _entries(outputs: Tensor, sizes: Tensor) -> Iterator[Tensor]:
    """Yield, for every entry of a sample, a tensor that is zero elsewhere."""
    for place in range(sizes[0].numel() if len(sizes) else 0):
        column = torch.zeros_like(outputs).reshape(len(outputs), -1)
        column[:, place] = sizes.reshape(len(outputs), -1)[:, place]
        yield column.reshape(outputs.shape)
