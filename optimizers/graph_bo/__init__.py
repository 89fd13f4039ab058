"""Bayesian optimisation over graphs themselves."""

from optimizers.graph_bo.driver import GraphBO
from optimizers.graph_bo.source import GraphSource

__all__ = ["GraphBO", "GraphSource"]
