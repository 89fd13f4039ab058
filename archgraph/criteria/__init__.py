"""Criteria: pure functions of captured tensors that score the units of a layer.

Splitting matrix and splitting index (S2D, arXiv 1910.02366) in closed form, and the second derivatives of activations
they need.
"""

from __future__ import annotations

from archgraph.criteria.activation import ACTIVATIONS, second_derivative
from archgraph.criteria.splitting import (
    Accumulator,
    batch_norm_scale,
    convolution_patches,
    convolution_splitting_matrix,
    curvature,
    predicted_change,
    predicted_split_change,
    rayleigh,
    splitting_index,
    splitting_matrix,
)

__all__ = [
    "ACTIVATIONS",
    "Accumulator",
    "batch_norm_scale",
    "convolution_patches",
    "convolution_splitting_matrix",
    "curvature",
    "predicted_change",
    "predicted_split_change",
    "rayleigh",
    "second_derivative",
    "splitting_index",
    "splitting_matrix",
]
