"""What drivers share that model what they have seen: surrogates, noise, acquisitions and their maximisation."""

from optimizers.bayesian.alone import alone
from optimizers.bayesian.belief import Belief
from optimizers.bayesian.cube import Cube, sobol
from optimizers.bayesian.hyperparameters import Hyperparameters, fit
from optimizers.bayesian.observations import Observations, gather
from optimizers.bayesian.outcomes import Scale, Standard, reference_point
from optimizers.bayesian.surrogate import Surrogate
from optimizers.bayesian.trainable import Trainable

__all__ = [
    "Belief",
    "Cube",
    "Hyperparameters",
    "Observations",
    "Scale",
    "Standard",
    "Surrogate",
    "Trainable",
    "alone",
    "fit",
    "gather",
    "reference_point",
    "sobol",
]
