"""Drivers and weight optimizers: what searches. archgraph finds them by entry points, like anybody's plug-in."""

from optimizers.continual import Continual
from optimizers.evolution import Evolution
from optimizers.firefly import FireflyDescent
from optimizers.generator_bo import GeneratorBO
from optimizers.graph_bo import GraphBO
from optimizers.grow_best import GrowBest
from optimizers.kde import KernelDensity
from optimizers.local_search import LocalSearch
from optimizers.natural_gradient import SSP, ExactNaturalGradient, NaturalGradient
from optimizers.natural_gradient_search import NaturalGradientSearch
from optimizers.nsga2 import NSGA2
from optimizers.optuna_sampler import OptunaSampler
from optimizers.pruned import Pruned
from optimizers.random_search import RandomSearch
from optimizers.random_splitting import RandomSplitting
from optimizers.signed_splitting import SignedSplittingDescent
from optimizers.sobol import Sobol
from optimizers.splitting import SplittingDescent
from optimizers.successive_halving import SuccessiveHalving
from optimizers.widening import (
    CriterionGrowth,
    GradMax,
    NaturalExpansion,
    Net2Deeper,
    Net2Wider,
    North,
    Sensli,
    Tiny,
    ZeroFanOut,
)

__all__ = [
    "NSGA2",
    "SSP",
    "Continual",
    "CriterionGrowth",
    "Evolution",
    "ExactNaturalGradient",
    "FireflyDescent",
    "GeneratorBO",
    "GradMax",
    "GraphBO",
    "GrowBest",
    "KernelDensity",
    "LocalSearch",
    "NaturalExpansion",
    "NaturalGradient",
    "NaturalGradientSearch",
    "Net2Deeper",
    "Net2Wider",
    "North",
    "OptunaSampler",
    "Pruned",
    "RandomSearch",
    "RandomSplitting",
    "Sensli",
    "SignedSplittingDescent",
    "Sobol",
    "SplittingDescent",
    "SuccessiveHalving",
    "Tiny",
    "ZeroFanOut",
]
