"""How far the weights of proposed units are turned up: a ladder of factors, each measured, none trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Calibrate
from archgraph.net import Network
from archgraph.scoring.additions import Additions, running_statistics
from optimizers.growth.asking import Asking, training_loss
from optimizers.growth.ladder import climb


class Tried(NamedTuple):
    """A factor, the network there, and by how much its training loss differs."""

    factor: float
    network: Network
    measured: float


@dataclass(frozen=True, eq=False)
class FactorSearch:
    """Measures how far weights are turned up, as :class:`optimizers.growth.LineSearch` measures steps.

    Args:
        additions: the new units.
        before: the training loss without them, in double precision.
        first: where it starts.
        ladder: whether any other factor is tried.
    """

    additions: Additions
    before: float
    first: float
    ladder: bool

    def best(self) -> Asking[Tried]:
        """Return the factor, of those tried, after which the training loss is lowest; it may be higher than before.

        Raises:
            EvaluationFailed: when a loss cannot be measured, or statistics not be estimated.
        """
        statistics = yield from self._statistics(self.additions.at(0.0))
        first = yield from self._try(self.first, statistics)
        best = first
        if self.ladder:
            best = yield from climb(first, lambda factor: self._try(self.first * factor, statistics))
        if statistics and not self.additions.unheard_first:  # rows have moved since: what they say elsewhere too
            statistics = yield from self._statistics(best.network)
            best = yield from self._try(best.factor, statistics)
        return best

    def _try(self, factor: float, statistics: Mapping[str, Tensor]) -> Asking[Tried]:
        network = self.additions.at(factor, statistics)
        after = yield from training_loss(network)
        return Tried(factor, network, after - self.before)

    def _statistics(self, network: Network) -> Asking[dict[str, Tensor]]:
        """Return the running statistics of batch norm, with those of new units estimated."""
        request = Calibrate.after(network, self.additions.edits)
        if not request.units:
            return {}
        report = yield request
        if not report.ok:
            raise EvaluationFailed(report.failure)
        return running_statistics(report.network)
