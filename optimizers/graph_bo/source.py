"""What GraphBO proposes next: a function of the history, so that a search that carries on repeats it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import SpaceError
from archgraph.graph import Graph
from archgraph.search import Setting
from archgraph.spaces.space import shown
from optimizers.bayesian.alone import alone
from optimizers.bayesian.outcomes import Standard
from optimizers.graph_bo.acquisition import SHORTLIST, needs_samples, sampled, screen
from optimizers.graph_bo.belief import Belief, Process
from optimizers.graph_bo.gallery import Gallery
from optimizers.graph_bo.pool import hang, varied, whole
from optimizers.graph_bo.seen import Seen, gather
from optimizers.proposing import Admission, History, Proposal, Source, Told

if TYPE_CHECKING:
    from optimizers.graph_bo.driver import GraphBO

TRIED = 256
"""Graphs, the best first, of which the first is taken that may be trained."""
ALIKE = 2
"""Trainings of graphs that the kernel cannot tell apart, after which others go first."""
NAMED = 4
"""Colours that are told to have mattered."""
SHOWN = 160
"""Characters of a point that are told at most."""


class GraphSource(Source):
    """Proposes random graphs first, then those of greatest acquisition in a pool.

    Args:
        driver: its settings.
        setting: of the search.
    """

    def __init__(self, driver: GraphBO, setting: Setting) -> None:
        self.driver, self.setting, self.space = driver, setting, driver.space
        self._admission = Admission(setting.goal, setting.describe)
        self._known: dict[int, tuple[Proposal, int | None]] = {}

    @cached_property
    def gallery(self) -> Gallery:
        """The graphs that were looked at."""
        driver = self.driver
        if driver.looks_at_all:
            return whole(self.space, driver.compared_by, driver.depth, driver.direction)
        return Gallery(driver.compared_by, self.space.encode, depth=driver.depth, direction=driver.direction)

    def propose(self, history: History) -> Proposal | None:
        done = len(history.told) + len(history.pending)
        if done < self.driver.size:
            place = history.number
            if place < len(self.driver.given):
                return Proposal(self.driver.given[place], note="given")
            return Proposal(self.space.draw(history.seed), note="design")
        with alone(rng.derive(history.seed, "suggestion")):
            return self._suggested(history)

    # ------------------------------------------------------------------ what was learnt
    def seen(self, history: History) -> Seen:
        """Return a history as rows of the gallery."""
        driver = self.driver
        assert driver.lookahead is not None
        settled = max(2, driver.size - driver.lookahead + 1)
        return gather(history, self._row, settled=settled, spent=lambda one: float(one.report.ledger.macs))

    def belief(self, history: History) -> Belief | None:
        """Return what is believed after a history; None while no training has succeeded."""
        seen = self.seen(history)
        return Belief.of(self.gallery, seen) if len(seen) else None

    def effects(self, history: History, level: int = 1) -> dict[str, float]:
        """Return which neighbourhoods of layers make a graph better, or worse, see :meth:`Belief.effects`."""
        with alone(0):
            belief = self.belief(history)
            return {} if belief is None else belief.effects(level)

    def recommend(self, history: History) -> Told | None:
        """Return the trained graph with the best expectation; None while nothing was learnt."""
        with alone(0):
            belief = self.belief(history)
            if belief is None:
                return None
            row = belief.recommended()
        return next((one for one in history.good if self._row(one.proposal) == row), None)

    def summary(self, history: History) -> str:
        best = self.recommend(history)
        if best is None:
            return ""
        effects = list(self.effects(history).items())[:NAMED]
        mattered = "; ".join(f"{colour} ({effect:+.2g})" for colour, effect in effects)
        point = shorten(shown(best.values), SHOWN, placeholder=" ...")
        return f"best expectation at {point}" + (f"; what mattered: {mattered}" if mattered else "")

    # ------------------------------------------------------------------ the next graph
    def _suggested(self, history: History) -> Proposal:
        belief = self.belief(history)
        if belief is None:
            return Proposal(self.space.draw(history.seed), note="random: all has failed so far")
        rows = self._pool(history)
        value = screen(belief, rows, rng.derive(history.seed, "weights")) + self._terms(belief, rows, history)
        if rows is None:  # from kinds to graphs
            value = value[self.gallery.kinds]
        order = value.argsort(descending=True, stable=True).tolist()
        ranked = self._alike_last(order if rows is None else [rows[place] for place in order], belief)
        taken = self._taken(history)
        if needs_samples(belief):
            ranked = self._sampled(belief, ranked, taken, history)
        for row in self._admitted(ranked, taken, history):
            low, high = self._ends(belief, row)
            values, seed = self.gallery.points[row]
            return Proposal(values, seed, note=f"expected {low:.4g} to {high:.4g}")
        return Proposal(self.space.draw(history.seed), note="random: none better may be trained")

    def _pool(self, history: History) -> list[int] | None:
        if self.driver.looks_at_all:
            return None
        seed = rng.derive(history.seed, "pool")
        return hang(self.gallery, self.space, varied(self.space, history, self.driver.pool, seed))

    def _alike_last(self, ranked: list[int], belief: Belief) -> list[int]:
        """Return a ranking with the graphs last that look like one that was trained :data:`ALIKE` times.

        Where like graphs differ by luck alone, the best of them would be proposed in all of its spellings.
        """
        kinds, seen = self.gallery.kinds.numpy(), belief.seen
        times = np.bincount(kinds[[*seen.rows, *seen.bad, *seen.pending]], minlength=len(self.gallery.firsts))
        places = np.array(ranked)
        worn = times[kinds[places]] >= ALIKE
        found: list[int] = np.concatenate([places[~worn], places[worn]]).tolist()
        return found

    def _sampled(self, belief: Belief, ranked: list[int], taken: Counter[int], history: History) -> list[int]:
        """Return the best of a ranking in the order of the sampled acquisition, then the rest."""
        short = [row for row in ranked[: 4 * SHORTLIST] if not self._spent_out(row, taken)][:SHORTLIST]
        if not short:
            return ranked
        value = sampled(belief, short, rng.derive(history.seed, "samples")) + self._terms(belief, short, history)
        order = value.argsort(descending=True, stable=True).tolist()
        return [short[place] for place in order] + ranked

    def _terms(self, belief: Belief, rows: Sequence[int] | None, history: History) -> Tensor:  # [Q]
        """Return what is added to the acquisition: for failures, and for costs."""
        seen, total = belief.seen, torch.zeros(len(self.gallery.firsts if rows is None else rows), dtype=torch.float64)
        if seen.bad:
            labels = [1.0] * len(seen) + [-1.0] * len(seen.bad)
            mean, variance, process, standard = self._learnt((*seen.rows, *seen.bad), labels, rows)
            limit = float(standard.centre / standard.spread)
            total = total + torch.special.log_ndtr((mean + limit) / (variance + process.mixture.noise).sqrt())
        done = len(history.told) + len(history.pending) - self.driver.size
        thrift = max(0.0, 1.0 - done / self.driver.thrift) if self.driver.thrift else 0.0
        known = [place for place, one in enumerate(seen.spent.tolist()) if one > 0.0]
        if thrift > 0.0 and known:
            logs = seen.spent[known].log().tolist()
            mean, _, _, standard = self._learnt([seen.rows[place] for place in known], logs, rows)
            total = total - thrift * standard.back(mean[:, None])[:, 0]
        return total

    def _learnt(
        self, of: Sequence[int], numbers: Sequence[float], among: Sequence[int] | None
    ) -> tuple[Tensor, Tensor, Process, Standard]:
        """Fit a process to numbers of graphs; return its moments at others, standardised, and what standardises."""
        Y = torch.tensor(numbers, dtype=torch.float64)[:, None]
        standard = Standard.of(Y)
        process = Process.fit(self.gallery.grams(of, of, seen=of), standard(Y)[:, 0])
        return *process.moments(self.gallery.grams(of, among, seen=of)), process, standard

    def _ends(self, belief: Belief, row: int) -> tuple[float, float]:
        sign = self.setting.goal.objectives[0].sign
        low, high = sorted(sign * end for end in belief.expected(row))
        return low, high

    # ------------------------------------------------------------------ which may be trained
    def _taken(self, history: History) -> Counter[int]:
        """Return how often every graph was proposed; those that cannot be trained count as often as can be."""
        rows = Counter(self._row(one) for one in (*(one.proposal for one in history.told), *history.pending))
        for one in history.refused:
            rows[self._row(one.proposal)] += self.driver.replicates
        return Counter({row: times for row, times in rows.items() if row is not None})

    def _spent_out(self, row: int, taken: Counter[int]) -> bool:
        return taken[row] >= self.driver.replicates

    def _admitted(self, ranked: Sequence[int], taken: Counter[int], history: History) -> Iterator[int]:
        """Yield the rows that may be trained: of a graph that is pending no second one, whatever its point."""
        awaited = {self._graph(one).hash for one in history.pending}
        tried = 0
        for row in ranked:
            if self._spent_out(row, taken):
                continue
            tried += 1
            if tried > TRIED:
                return
            values, seed = self.gallery.points[row]
            try:
                graph = self.space.build(values, seed or 0)
            except SpaceError:
                continue
            if graph.hash not in awaited and not self._admission.broken(graph)[0]:
                yield row

    def _graph(self, proposal: Proposal) -> Graph:
        return self.space.build(proposal.values, proposal.seed or 0)

    def _row(self, proposal: Proposal) -> int | None:
        """Return the row of a proposal's graph, which is hung up when it is not there; None when it has none."""
        known = self._known.get(id(proposal))
        if known is None:
            rows = hang(self.gallery, self.space, [proposal])
            known = self._known[id(proposal)] = proposal, rows[0] if rows else None  # kept, so that no other has its id
        return known[1]
