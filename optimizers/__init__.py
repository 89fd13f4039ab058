"""Drivers and weight optimizers: what searches. archgraph finds them by entry points, like anybody's plug-in."""

from optimizers.random_search import RandomSearch
from optimizers.random_splitting import RandomSplitting
from optimizers.splitting import SplittingDescent

__all__ = ["RandomSearch", "RandomSplitting", "SplittingDescent"]
