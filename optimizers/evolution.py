"""Regularised evolution: mutate the best of a few, let the oldest die.

Real, Aggarwal, Huang and Le, *Regularized Evolution for Image Classifier Architecture Search* (AAAI 2019), algorithm 1.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from archgraph.errors import SettingError
from archgraph.search import Setting
from archgraph.spaces import Space
from optimizers.proposing import History, Proposal, Proposer, Source, check_count


@dataclass(frozen=True)
class Evolution(Proposer):
    """Train random points first; then, again and again, a child of the best of a few drawn from the youngest.

    The population are the last ``population`` that were trained and have not failed: age decides who dies, not quality,
    so that a lucky training does not stay for ever. What is best is judged by the constraints, then by one objective
    after the other. The paper has 100 and 25, for 20,000 trainings.

    Args:
        population: how many live at once.
        sample: how many are drawn from them, of which the best has a child.
        crossover: probability that the child has two parents, the second the best of another draw; it is mutated too.
    """

    population: int = 20
    sample: int = 5
    crossover: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("population", self.population)
        check_count("sample", self.sample)
        if self.sample > self.population:
            raise SettingError(
                "sample cannot be greater than the population",
                got=f"sample={self.sample}, population={self.population}",
                hint=f"sample={max(1, self.population // 4)}",
            )
        if isinstance(self.crossover, bool) or not 0.0 <= self.crossover <= 1.0:
            raise SettingError("crossover must be a probability", expected="0 to 1", got=repr(self.crossover))

    def source(self, setting: Setting) -> Source:
        return EvolutionSource(self.space, self.population, self.sample, self.crossover)


@dataclass(eq=False)
class EvolutionSource(Source):
    """Proposes children of the best of a few; a function of the history alone."""

    space: Space
    population: int
    sample: int
    crossover: float = 0.0

    def propose(self, history: History) -> Proposal:
        alive = history.good[-self.population :]
        if not alive or len(history.told) + len(history.pending) < self.population:
            return Proposal(self.space.draw(history.seed))
        numbers = random.Random(history.seed)

        def parent() -> int:
            drawn = numbers.sample(range(len(alive)), min(self.sample, len(alive)))
            return min(drawn, key=lambda place: alive[place].rank)

        first = parent()
        values = alive[first].values
        if numbers.random() < self.crossover:
            values = self.space.crossover(values, alive[parent()].values, history.seed)
        return Proposal(self.space.mutate(values, history.seed), note=f"child of {alive[first].number}")
