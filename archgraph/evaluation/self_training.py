"""A second term of the loss, on samples without a label: the network's own predictions as their targets.

    L(e) = L(labelled) + lambda(e) L(others),    lambda(e) = (e / E)^gamma

in epoch ``e`` of ``E``; Izadi, Fang, Stevenson, Lin, *Optimization of Graph Neural Networks with Natural Gradient
Descent*, arXiv 2008.09624, where the same ``lambda`` also weighs the curvature. Here it is the loss alone, and so any
optimizer may have it: what it gains and what the optimizer gains are told apart.

An early ``lambda`` on a network that has not fitted anything yet may collapse onto one class: a larger ``gamma`` and
more epochs guard against it.

Letters: ``N`` nodes, ``T`` classes, ``K`` nodes with a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from archgraph.errors import SettingError

KINDS = ("pseudo-label", "entropy")
FORMS = "pseudo-label:GAMMA or entropy:GAMMA, with :THRESHOLD behind it or without, such as pseudo-label:1"


@dataclass(frozen=True)
class SelfTraining:
    """The term of the samples without a label.

    Args:
        kind: ``"pseudo-label"``, cross-entropy with the likeliest class; ``"entropy"``, that of the prediction.
        power: ``gamma``; the larger, the later the term sets in.
        threshold: least probability of the likeliest class for a sample to count.

    Raises:
        SettingError: when there is no such kind, or a number is out of range.

    >>> SelfTraining.read("pseudo-label:2").weight(5, 10)
    0.25
    """

    kind: str = "pseudo-label"
    power: float = 1.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingError("no such self-training", expected=FORMS, got=repr(self.kind))
        if not (0.0 <= self.power < 1e6 and 0.0 <= self.threshold < 1.0):
            raise SettingError(
                "self-training cannot be used",
                expected="gamma 0 or more, threshold from 0 to below 1",
                got=f"gamma {self.power:g}, threshold {self.threshold:g}",
                hint=FORMS,
            )

    @classmethod
    def read(cls, text: str) -> SelfTraining | None:
        """Return what a text says: ``"pseudo-label:GAMMA"``, ``"entropy:GAMMA:THRESHOLD"``; None for an empty one.

        Raises:
            SettingError: when it says nothing that can be used.
        """
        if not text:
            return None
        kind, *numbers = text.split(":")
        try:
            return cls(kind, *map(float, numbers))
        except (TypeError, ValueError) as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError("no such self-training", expected=FORMS, got=repr(text)) from None

    def weight(self, epoch: int, epochs: int) -> float:
        """Return ``lambda`` in an epoch (from 1) of so many."""
        return float((epoch / epochs) ** self.power)

    def __call__(
        self,
        outputs: Tensor,  # [N, T]
        labelled: Tensor,  # [K]
    ) -> Tensor:  # []
        """Compute the term, a mean over all samples without a label; 0 where there are none.

        Args:
            outputs: logits of all samples.
            labelled: which of them have a label.
        """
        mask = torch.ones(len(outputs), dtype=torch.bool, device=outputs.device)
        mask[labelled] = False
        logits = outputs[mask]
        if not len(logits):
            return outputs.sum() * 0.0
        logs = functional.log_softmax(logits, dim=1)
        sure, likeliest = logs.detach().exp().max(dim=1)
        if self.kind == "pseudo-label":
            terms = functional.nll_loss(logs, likeliest, reduction="none")
        else:
            terms = -(logs.exp() * logs).sum(dim=1)
        return (terms * (sure > self.threshold)).mean()
