"""Search with one driver, then grow the best networks with another."""

from optimizers.grow_best.driver import GrowBest

__all__ = ["GrowBest"]
