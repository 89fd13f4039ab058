"""Bayesian optimisation of the parameters of a space, of network generators above all."""

from optimizers.generator_bo.driver import GeneratorBO
from optimizers.generator_bo.lessons import Lessons
from optimizers.generator_bo.source import GeneratorSource

__all__ = ["GeneratorBO", "GeneratorSource", "Lessons"]
