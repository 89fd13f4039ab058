"""What a search over graphs believes: a Gaussian process an outcome, and what follows for graphs it has not seen.

Letters: ``N`` observations, ``M`` objectives, ``C`` constraints, ``L`` Gram matrices, ``Q`` graphs asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from optimizers.bayesian.outcomes import Standard
from optimizers.graph_bo.evidence import Evidence, Mixture
from optimizers.graph_bo.gallery import Gallery
from optimizers.graph_bo.scores import Scores
from optimizers.graph_bo.seen import Seen


@dataclass(frozen=True, eq=False)
class Process:
    """A Gaussian process of one outcome, conditioned on what was seen.

    Args:
        mixture: what was fitted.
        grams: [L, N, N] of the observed graphs.
        y: [N] standardised outcomes.
    """

    mixture: Mixture
    grams: Tensor
    y: Tensor

    @classmethod
    def fit(cls, grams: Tensor, y: Tensor) -> Self:
        """Fit variances to outcomes."""
        return cls(Evidence(grams, y).fit(), grams, y)

    def moments(
        self,
        cross: Tensor,  # [L, N, Q]
        awaited: tuple[Tensor, Tensor] | None = None,  # [L, B, N + B], [L, B, Q]
    ) -> tuple[Tensor, Tensor]:  # [Q], [Q]
        """Return mean and variance of the outcome without noise.

        Args:
            cross: Gram matrices of the observed graphs with those asked about.
            awaited: those of graphs whose outcomes are awaited, with the observed ones and one another, and with those
                asked about: as if they had turned out as expected, which leaves means as they are.
        """
        K, k = self.mixture.gram(self.grams), self.mixture.gram(cross)
        weights = torch.cholesky_solve((self.y - self.mixture.mean)[:, None], self._factor(K))[:, 0]
        mean = self.mixture.mean + weights @ k
        if awaited is not None:
            sides, more = self.mixture.gram(awaited[0]), self.mixture.gram(awaited[1])
            K = torch.cat([torch.cat([K, sides[:, : len(K)].T], 1), sides])
            k = torch.cat([k, more])
        explained = torch.linalg.solve_triangular(self._factor(K), k, upper=False).square().sum(0)
        return mean, (self.mixture.scale - explained).clamp_min(1e-10)

    @property
    def slopes(self) -> Tensor:  # [N]
        """How much of every observed graph's likeness is in the mean: ``mean + sum_i slopes_i k(i, .)``."""
        factor = self._factor(self.mixture.gram(self.grams))
        return torch.cholesky_solve((self.y - self.mixture.mean)[:, None], factor)[:, 0]

    def _factor(self, K: Tensor) -> Tensor:
        A = K.clone()
        A.diagonal().add_(self.mixture.noise + 1e-8)
        return torch.linalg.cholesky(A)


@dataclass(frozen=True, eq=False)
class Belief:
    """Gaussian processes of objectives and constraints, fitted to what was seen.

    Args:
        gallery: has the graphs.
        seen: what was seen.
        scores: of the objectives.
        standard: of the constraints' slack; outcomes are scores, then standardised slack.
        processes: [M + C] one an outcome.
        reference: [M] scores from which the hypervolume counts.
    """

    gallery: Gallery
    seen: Seen
    scores: tuple[Scores, ...]
    standard: Standard
    processes: tuple[Process, ...]
    reference: Tensor

    @classmethod
    def of(cls, gallery: Gallery, seen: Seen) -> Self:
        """Fit the processes to at least one observation."""
        scores = tuple(Scores.of(column) for column in seen.costs.T)
        nothing = seen.slack.new_zeros(0)
        standard = Standard.of(seen.slack) if seen.slack.shape[1] else Standard(nothing, nothing)
        Y = [score(column) for score, column in zip(scores, seen.costs.T, strict=True)]
        Y += list(standard(seen.slack).T)
        grams = gallery.grams(seen.rows, seen.rows, seen=seen.rows)
        design = seen.costs[: max(1, seen.settled)]
        worst, best = design.amax(0), design.amin(0)
        spread = torch.where(worst > best, worst - best, worst.abs().clamp_min(1.0))
        reference = torch.stack([score(cost) for score, cost in zip(scores, worst + 0.1 * spread, strict=True)])
        return cls(gallery, seen, scores, standard, tuple(Process.fit(grams, y) for y in Y), reference)

    @property
    def objectives(self) -> int:
        """How many objectives there are, M."""
        return len(self.scores)

    @property
    def limits(self) -> Tensor:  # [C]
        """The standardised slack above which a constraint is broken."""
        return -self.standard.centre / self.standard.spread

    def moments(self, among: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:  # [Q, M + C], [Q, M + C]
        """Return mean and variance of outcomes, with what is awaited as if it had turned out as expected.

        Args:
            among: rows of the graphs asked about; None for the first of every kind in the gallery.
        """
        rows, pending = self.seen.rows, self.seen.pending
        cross = self.gallery.grams(rows, among, seen=rows)
        awaited = None
        if pending:
            sides = self.gallery.grams(pending, (*rows, *pending), seen=rows)
            awaited = sides, self.gallery.grams(pending, among, seen=rows)
        means, variances = zip(*(process.moments(cross, awaited) for process in self.processes), strict=True)
        return torch.stack(means, 1), torch.stack(variances, 1)

    def expected(self, row: int) -> tuple[float, float]:
        """Return between which costs the first objective of a graph is expected, one standard deviation either way."""
        mean, variance = self.moments([row])
        ends = mean[0, 0] + variance[0, 0].sqrt() * torch.tensor([1.0, -1.0], dtype=torch.float64)
        low, high = self.scores[0].cost(ends).tolist()
        return low, high

    def recommended(self) -> int:
        """Return the row of the observed graph with the best expectation of the first objective.

        Only graphs that are expected to keep the constraints count, if there are any.
        """
        rows = list(dict.fromkeys(self.seen.rows))
        mean, _ = self.moments(rows)
        broken = (mean[:, self.objectives :] - self.limits).clamp_min(0.0).sum(1)
        return rows[int(torch.where(broken <= broken.min(), mean[:, 0], -torch.inf).argmax())]

    def effects(self, level: int = 1) -> dict[str, float]:
        """Return what colours do to the expectation of the first objective, the strongest first.

        With ``q`` the counts of a graph's colours, brought to length 1, the mean of a kernel that is a dot product is
        linear in them, and ``d mu / d q_f = a_l sum_i slopes_i q_if``. Told is this slope times the standard deviation
        of ``q_f`` among the observed graphs: positive where the colour makes the cost smaller. Empty for kernels
        without the term ``wl``.

        Args:
            level: of the colours: 0 for layers, 1 for layers with their neighbours.
        """
        terms, number = self.gallery.terms, 0
        for term in terms:
            if term == ("wl",):
                break
            number += _matrices(term, self.gallery.depth)
        else:
            return {}
        process = self.processes[0]
        counts = self.gallery.counts(level)[list(self.seen.rows)]
        held = torch.from_numpy(counts.toarray())
        slopes = process.mixture.variances[number + level] * (process.slopes @ held)
        strength = slopes * held.std(0, unbiased=False)
        order = strength.abs().argsort(descending=True, stable=True).tolist()
        names = self.gallery.colours(level)
        return {names[place]: float(strength[place]) for place in order if strength[place] != 0.0}


def _matrices(term: tuple[str, ...], depth: int) -> int:
    from optimizers.graph_bo.kernels import LENGTHS

    count = 1
    for part in term:
        count *= depth + 1 if part.startswith("wl") else len(LENGTHS)
    return count
