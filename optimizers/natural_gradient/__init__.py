"""Natural gradient for any network, graph networks among them: a weight optimizer by Kronecker factors.

Martens, Grosse, arXiv 1503.05671 (K-FAC); Eschenhagen et al., arXiv 2311.00636 (weight sharing, of which message
passing is one); for graph networks first Izadi et al., arXiv 2008.09624, whose own form is :class:`SSP`.

Why this is written here: of the maintained libraries none covers graph layers. ``curvlinops`` (3.0.1) multiplies by
exact curvature of any network, and the tests compare with it, but its factors are for ``Linear`` and ``Conv2d`` alone
and it is no optimizer; ``singd`` (0.0.5), ``kfac-pytorch`` and ``nngeometry`` (0.4) have lists of layers that do not
include PyTorch Geometric's (its ``Linear`` is none of torch's), ``n-gao/pytorch-kfac`` and forks of it for graphs are
no ``torch.optim.Optimizer``, ``kfac-jax`` and ``kronfluence`` have other homes or purposes, and the paper's code
stopped with PyTorch Geometric 1.6. What they have in common, damped inverses of two small matrices, is the smaller part
of it; the rest is which rows of a graph count.
"""

from optimizers.natural_gradient.exact import ExactNaturalGradient
from optimizers.natural_gradient.fisher import Fisher
from optimizers.natural_gradient.likelihood import Likelihood, likelihood_of
from optimizers.natural_gradient.optimizer import Information, NaturalGradient
from optimizers.natural_gradient.shares import Shares
from optimizers.natural_gradient.ssp import SSP

__all__ = [
    "SSP",
    "ExactNaturalGradient",
    "Fisher",
    "Information",
    "Likelihood",
    "NaturalGradient",
    "Shares",
    "likelihood_of",
]
