"""How well scores rank the second of two classes above the first: the area under the ROC curve.

It is the share of pairs, one sample of each class, that are ranked rightly, ties by half: with ``R`` the sum of the
ranks of the ``n1`` samples of the second class among all, ``(R - n1 (n1 + 1) / 2) / (n0 n1)``, where equal scores have
the mean of their ranks. Hanley and McNeil, Radiology 143 (1982).

Letters: ``N`` samples, ``D`` outputs that are probabilities each, ``...`` positions within a sample (often none).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archgraph.errors import DataError


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores beside what is true; of batches they are kept, as ranks are among all samples.

    Args:
        scores: ``[N, D]`` for every batch; the higher, the rather the second class.
        second: ``[N, D]`` bool for every batch, whether it is the second class.
    """

    scores: tuple[Tensor, ...]
    second: tuple[Tensor, ...]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        outputs: Tensor,  # [N, 2, ...]  logits; or [N, ...] logits of the second class
        targets: Tensor,  # [N, ...]     labels 0 and 1; or [N, ...] probabilities of the second class
    ) -> Ranking:
        """Keep scores and classes of a batch; a probability above one half stands for the second class.

        Raises:
            DataError: when the shapes do not fit, or there are other classes than two.
        """
        if targets.is_floating_point() and outputs.shape == targets.shape and outputs.ndim:
            return cls((outputs.reshape(len(outputs), -1),), (targets.reshape(len(targets), -1) > 0.5,))
        fits = outputs.ndim > 1 and outputs.shape[1] == 2 and targets.shape == (len(outputs), *outputs.shape[2:])
        if not fits or targets.is_floating_point() or bool(((targets != 0) & (targets != 1)).any()):
            raise DataError(
                "roc-auc is of two classes",
                expected="outputs [N, 2, ...] and labels [N, ...] of 0 and 1",
                got=f"outputs {list(outputs.shape)} and targets {list(targets.shape)}",
            )
        difference = outputs[:, 1].double() - outputs[:, 0].double()
        return cls((difference.reshape(-1, 1),), (targets.reshape(-1, 1) == 1,))

    def __add__(self, other: Ranking) -> Ranking:
        return Ranking(self.scores + other.scores, self.second + other.second)

    def area(self) -> Tensor:  # []
        """Return the area, the mean over outputs; NaN where one class is missing, or a score is NaN."""
        scores, second = torch.cat(self.scores), torch.cat(self.second)
        return torch.stack([_area(*column) for column in zip(scores.T, second.T, strict=True)]).mean()


def _area(scores: Tensor, second: Tensor) -> Tensor:  # [N], [N] bool -> []
    if bool(scores.isnan().any()):
        return torch.full((), torch.nan, dtype=torch.float64, device=scores.device)
    _, place, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2.0).double()[place]  # from 1; the mean of those that are equal
    ones = second.sum().double()
    return (ranks[second].sum() - ones * (ones + 1.0) / 2.0) / (ones * (len(scores) - ones))


@torch.no_grad()
def roc_auc(
    outputs: Tensor,  # [N, 2, ...] or [N, ...]
    targets: Tensor,  # [N, ...]
) -> float:
    """Return the area under the ROC curve, in ``[0, 1]``; one half says that scores tell nothing.

    Raises:
        DataError: when the shapes do not fit, or there are other classes than two.

    >>> roc_auc(torch.tensor([[0.0, 3.0], [0.0, 1.0], [0.0, 2.0]]), torch.tensor([1, 0, 0]))
    1.0
    """
    return float(Ranking.of(outputs, targets).area())
