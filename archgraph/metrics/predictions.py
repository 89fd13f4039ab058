"""Metrics of predictions: accuracy, error, ranking, mean squared error and its ratio to the variance of the targets.

Letters: ``N`` samples, ``T`` classes, ``D`` outputs of a regression, ``...`` positions within a sample (often none).

Every metric is a function of a tally. Tallies of batches add up to the tally of all samples, so a metric taken over
batches of unequal size is the metric of the whole and not a mean of means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archgraph.errors import DataError, UnknownName
from archgraph.metrics.ranking import Ranking


@dataclass(frozen=True, eq=False)
class Hits:
    """How many labels are right.

    Args:
        labels: the number of labels predicted, one a sample and position.
        correct: scalar int64, how many of them are right; on the device of the outputs, so that adding never waits.
    """

    labels: int
    correct: Tensor

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        outputs: Tensor,  # [N, T, ...]  logits or probabilities; or [N, ...] logits of two classes
        targets: Tensor,  # [N, ...]     integer labels; or [N, ...] probabilities of the second class
    ) -> Hits:
        """Count the labels at which the largest output stands; where an output is NaN the label is wrong.

        Floating-point targets of the shape of the outputs are probabilities of the second of two classes, which an
        output above zero stands for.

        Raises:
            DataError: when the shapes do not fit.
        """
        if targets.is_floating_point() and outputs.shape == targets.shape and outputs.ndim:
            right = ((outputs > 0.0) == (targets > 0.5)) & ~outputs.isnan()
            return cls(targets.numel(), right.sum())
        if outputs.ndim < 2 or targets.shape != (outputs.shape[0], *outputs.shape[2:]):
            raise DataError(
                "the targets do not fit the outputs",
                expected="outputs [N, T, ...] and labels [N, ...]",
                got=f"outputs {list(outputs.shape)} and labels {list(targets.shape)}",
            )
        largest, label = outputs.max(dim=1)
        return cls(targets.numel(), ((label == targets) & ~largest.isnan()).sum())

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.labels + other.labels, self.correct + other.correct)


@dataclass(frozen=True, eq=False)
class Residuals:
    """Squared errors beside the spread of the targets, in float64.

    Args:
        samples: the number of samples, ``N``.
        squared: scalar, the sum of squared errors over samples and outputs.
        mean: the mean target, ``[D]``.
        spread: scalar, the sum over samples and outputs of squared distances of the targets from ``mean``.
    """

    samples: int
    squared: Tensor
    mean: Tensor
    spread: Tensor

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        outputs: Tensor,  # [N, ...]
        targets: Tensor,  # [N, ...]  same shape; all that follows N counts as D outputs
    ) -> Residuals:
        """Sum up errors and targets.

        Raises:
            DataError: when the shapes differ.
        """
        if outputs.shape != targets.shape or outputs.ndim < 1:
            raise DataError(
                "the targets do not fit the outputs",
                expected="outputs and targets of one shape [N, ...]",
                got=f"outputs {list(outputs.shape)} and targets {list(targets.shape)}",
            )
        y = targets.double().reshape(len(targets), -1)
        mean = y.mean(0)
        return cls(len(y), (outputs.double() - targets.double()).square().sum(), mean, (y - mean).square().sum())

    def __add__(self, other: Residuals) -> Residuals:
        """Pool two tallies as Chan, Golub and LeVeque (1979) do, which stays precise when the mean is large."""
        samples = self.samples + other.samples
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.samples / samples)
        spread = self.spread + other.spread + gap.square().sum() * (self.samples * other.samples / samples)
        return Residuals(samples, self.squared + other.squared, mean, spread)


@dataclass(frozen=True)
class PredictionMetric:
    """A metric as a function of a tally.

    Args:
        tally: the kind of tally it is read from.
        value: the metric of a tally, a scalar tensor.
        direction: ``"min"`` if less is better, ``"max"`` if more is.
    """

    tally: type[Any]
    value: Callable[[Any], Tensor]
    direction: str = "min"


PREDICTION_METRICS: dict[str, PredictionMetric] = {
    "accuracy": PredictionMetric(Hits, lambda tally: tally.correct.double() / tally.labels, direction="max"),
    "error": PredictionMetric(Hits, lambda tally: (tally.labels - tally.correct).double() / tally.labels),
    "mse": PredictionMetric(Residuals, lambda tally: tally.squared / (tally.samples * len(tally.mean))),
    "relative-mse": PredictionMetric(Residuals, lambda tally: tally.squared / tally.spread),
    "roc-auc": PredictionMetric(Ranking, Ranking.area, direction="max"),
}


def evaluate(
    names: Sequence[str],
    outputs: Tensor,  # [N, ...]
    targets: Tensor,  # [N, ...]
) -> dict[str, float]:
    """Evaluate several metrics of the same predictions.

    Args:
        names: keys of :data:`PREDICTION_METRICS`.
        outputs: what the network said, ``[N, T, ...]`` for classes and ``[N, ...]`` for values.
        targets: what is true, ``[N, ...]``.

    Returns:
        The metric of each name, in the order of ``names``.

    Raises:
        UnknownName: when a name is no metric of predictions.
        DataError: when there are no samples or the shapes do not fit.

    >>> evaluate(["error", "accuracy"], torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    {'error': 0.5, 'accuracy': 0.5}
    """
    return evaluate_batches(names, [(outputs, targets)])


def evaluate_batches(names: Sequence[str], batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Evaluate metrics over batches, as if they were one batch; none but scores that are to be ranked are kept.

    Args:
        names: keys of :data:`PREDICTION_METRICS`.
        batches: pairs of outputs ``[N, ...]`` and targets ``[N, ...]``; ``N`` may differ, empty batches are passed by.

    Returns:
        The metric of each name, in the order of ``names``.

    Raises:
        UnknownName: when a name is no metric of predictions.
        DataError: when there are no samples at all or the shapes do not fit.
    """
    for name in names:
        if name not in PREDICTION_METRICS:
            raise UnknownName.among("metric of predictions", name, PREDICTION_METRICS)
    kinds = {PREDICTION_METRICS[name].tally for name in names}
    tallies: dict[type[Any], Any] = {}
    filled = False
    for outputs, targets in batches:
        if len(targets) == 0:
            continue
        filled = True
        for kind in kinds:
            batch = kind.of(outputs, targets)
            tallies[kind] = tallies[kind] + batch if kind in tallies else batch
    if not filled:
        raise DataError("metrics of no samples are not defined", expected="at least one sample", got="none")
    return {name: float(PREDICTION_METRICS[name].value(tallies[PREDICTION_METRICS[name].tally])) for name in names}


def accuracy(
    outputs: Tensor,  # [N, T, ...]
    targets: Tensor,  # [N, ...]
) -> float:
    """Return the fraction of labels that are right, in ``[0, 1]``; errors as :func:`evaluate`.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), torch.tensor([0, 1, 1]))
    0.6666666666666666
    """
    return evaluate(["accuracy"], outputs, targets)["accuracy"]


def error(
    outputs: Tensor,  # [N, T, ...]
    targets: Tensor,  # [N, ...]
) -> float:
    """Return the fraction of labels that are wrong, ``1 - accuracy``; errors as :func:`evaluate`.

    >>> error(torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), torch.tensor([0, 1, 1]))
    0.3333333333333333
    """
    return evaluate(["error"], outputs, targets)["error"]


def mean_squared_error(
    outputs: Tensor,  # [N, ...]
    targets: Tensor,  # [N, ...]
) -> float:
    """Return the mean over samples and outputs of the squared error; errors as :func:`evaluate`.

    >>> mean_squared_error(torch.tensor([[1.0], [4.0]]), torch.tensor([[1.0], [2.0]]))
    2.0
    """
    return evaluate(["mse"], outputs, targets)["mse"]


def relative_mean_squared_error(
    outputs: Tensor,  # [N, ...]
    targets: Tensor,  # [N, ...]
) -> float:
    """Return the squared error over the variance of the targets about their mean per output: ``1 - R^2``.

    Predicting the mean gives 1. When the targets are constant the ratio is infinite, or NaN without any error.
    Errors as :func:`evaluate`.

    >>> relative_mean_squared_error(torch.tensor([[1.0], [4.0]]), torch.tensor([[1.0], [3.0]]))
    0.5
    """
    return evaluate(["relative-mse"], outputs, targets)["relative-mse"]
