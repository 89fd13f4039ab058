"""A loss as a value: its name says what is computed, so that it can be printed, stored, hashed and compared.

Letters: ``N`` samples, ``T`` classes, ``...`` positions within a sample (often none).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from archgraph.errors import DataError, SettingError, UnknownName
from archgraph.metrics.predictions import PREDICTION_METRICS, evaluate_batches

Reduction = Literal["mean", "sum", "none"]


@dataclass(frozen=True)
class Loss:
    """A loss function, known by its name.

    Args:
        name: ``"cross-entropy"`` (outputs are logits ``[N, T, ...]``, targets int64 labels ``[N, ...]``), ``"mse"``
            (outputs and targets of one shape ``[N, ...]``) or ``"binary-cross-entropy"`` (outputs are logits, targets
            probabilities of one shape ``[N, ...]``). Networks that return one number a sample, ``[N]``, fit values
            ``[N, 1]`` too.
        more: metrics of predictions that are to be measured besides, by name, such as ``"roc-auc"`` of two classes.

    Raises:
        UnknownName: when no loss, or no metric of predictions, is called so.

    >>> loss = Loss("mse")
    >>> loss(torch.tensor([[1.0, 3.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 2.0]]))
    tensor(2.)
    """

    name: str
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in _FORMULAS:
            raise UnknownName.among("loss", self.name, _FORMULAS)
        more = (self.more,) if isinstance(self.more, str) else tuple(self.more)
        for name in more:
            if name not in PREDICTION_METRICS:
                raise UnknownName.among("metric of predictions", name, PREDICTION_METRICS)
        object.__setattr__(self, "more", more)

    @classmethod
    def named(cls, name: str | Loss) -> Loss:
        """Return the loss called ``name``; a loss is returned as it is.

        Raises:
            UnknownName: when no loss is called so; the nearest name is suggested.
        """
        return name if isinstance(name, Loss) else cls(name)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that belong to this loss, ``"loss"`` first, and of those to be measured besides."""
        return tuple(dict.fromkeys((*_FORMULAS[self.name].metrics, *self.more)))

    @property
    def probabilities(self) -> bool:
        """Whether the targets are probabilities and the outputs logits."""
        return _FORMULAS[self.name].probabilities

    @property
    def classifies(self) -> bool:
        """Whether the targets are class labels and the outputs logits."""
        return _FORMULAS[self.name].classifies

    def __call__(
        self,
        outputs: Tensor,  # [N, ...]
        targets: Tensor,  # [N] or [N, ...]
        reduction: Reduction = "mean",
    ) -> Tensor:  # [] or, with "none", [N]
        """Compute the loss of each sample, a mean over its entries, then reduce over samples.

        Args:
            outputs: what the network said, ``[N, T, ...]`` logits or ``[N, ...]`` values.
            targets: labels ``[N, ...]``, or values of the shape of ``outputs`` (``[N, 1]`` for outputs ``[N]``).
            reduction: over samples: ``"mean"``, ``"sum"``, or ``"none"`` for one loss a sample.

        Raises:
            DataError: when the shapes do not fit; nothing is broadcast.
            SettingError: when there is no such reduction.
        """
        samples = _FORMULAS[self.name].per_sample(outputs, _fitted(outputs, targets))
        match reduction:
            case "mean":
                return samples.mean()
            case "sum":
                return samples.sum()
            case "none":
                return samples
        raise SettingError("the reduction is not known", expected="mean, sum or none", got=repr(reduction))

    @torch.no_grad()
    def evaluate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Evaluate all :attr:`metrics` over batches, as if they were one batch, without gradients.

        Args:
            batches: pairs of outputs ``[N, ...]`` and targets ``[N, ...]``; ``N`` may differ. They are drawn once and
                not kept.

        Returns:
            The value of each name in :attr:`metrics`; the loss is a mean over samples, summed in float64.

        Raises:
            DataError: when there are no samples or the shapes do not fit.
        """
        sums: list[Tensor] = []
        samples = 0

        def summed() -> Iterator[tuple[Tensor, Tensor]]:
            nonlocal samples
            for outputs, targets in batches:
                sums.append(self(outputs, targets, reduction="none").double().sum())
                samples += len(targets)
                yield outputs, _fitted(outputs, targets)

        others = evaluate_batches(self.metrics[1:], summed())  # draws every batch once
        return {"loss": float(torch.stack(sums).sum()) / samples, **others}


class _Formula(NamedTuple):
    per_sample: Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> [N]
    metrics: tuple[str, ...]
    classifies: bool = False
    probabilities: bool = False


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.ndim < 2 or targets.shape != (outputs.shape[0], *outputs.shape[2:]):
        raise _unfit("cross-entropy", "outputs [N, T, ...] and labels [N, ...]", outputs, targets)
    entries = functional.cross_entropy(outputs, targets, reduction="none")  # [N, ...]
    return entries.flatten(1).mean(1) if entries.ndim > 1 else entries


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape != targets.shape or outputs.ndim < 1:
        # [N, 1] against [N] would broadcast to [N, N] and train on nonsense
        raise _unfit("mse", "outputs and targets of one shape [N, ...]", outputs, targets)
    entries = (outputs - targets).square()
    return entries.flatten(1).mean(1) if entries.ndim > 1 else entries


def _binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape != targets.shape or outputs.ndim < 1 or not targets.is_floating_point():
        wanted = "logits and floating-point probabilities of one shape [N, ...]"
        raise _unfit("binary-cross-entropy", wanted, outputs, targets)
    entries = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return entries.flatten(1).mean(1) if entries.ndim > 1 else entries


def _fitted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return targets without their axis of one value where the outputs are one number a sample."""
    return targets.squeeze(1) if outputs.ndim == 1 and targets.shape == (len(outputs), 1) else targets


def _unfit(name: str, expected: str, outputs: Tensor, targets: Tensor) -> DataError:
    return DataError(
        f"the targets do not fit the outputs of loss {name!r}",
        expected=expected,
        got=f"outputs {list(outputs.shape)} and targets {list(targets.shape)}",
    )


_FORMULAS: dict[str, _Formula] = {
    "cross-entropy": _Formula(_cross_entropy, ("loss", "error", "accuracy"), classifies=True),
    "mse": _Formula(_squared_error, ("loss", "relative-mse")),
    "binary-cross-entropy": _Formula(_binary_cross_entropy, ("loss", "error", "accuracy"), probabilities=True),
}
