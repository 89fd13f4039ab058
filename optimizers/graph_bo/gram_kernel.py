"""The GPyTorch kernel of graphs: its input is the number of a graph, what it knows are Gram matrices.

Letters: ``G`` graphs, ``L`` Gram matrices, ``N`` and ``M`` inputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optimizers.bayesian.alone import load_botorch

load_botorch()  # before the import below, which warns otherwise

# ruff: noqa: E402
from gpytorch.kernels import Kernel


class GramKernel(Kernel):
    """A kernel whose inputs are the numbers of graphs: ``k(i, j) = sum_l softmax(w)_l K_l[i, j]``.

    Its diagonal is 1; put it in a ``ScaleKernel``. In sums and products with others give ``active_dims``, the column
    of numbers.

    Args:
        grams: [L, G, G] with diagonals of ones.
        weights: [L] of the softmax, before it; equal ones by default. They are a parameter.
        settings: of ``gpytorch.kernels.Kernel``.
    """

    def __init__(self, grams: Tensor, weights: Tensor | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("grams", grams)
        start = torch.zeros(len(grams), dtype=grams.dtype) if weights is None else weights.clone()
        self.register_parameter("weights", torch.nn.Parameter(start))

    def forward(
        self,
        x1: Tensor,  # [..., N, 1]
        x2: Tensor,  # [..., M, 1]
        diag: bool = False,
        last_dim_is_batch: bool = False,
        **settings: Any,
    ) -> Tensor:  # [..., N, M], or [..., N] of the diagonal
        """Return the covariances of graphs."""
        gram = torch.tensordot(self.weights.softmax(0), self.grams, 1)
        rows, columns = x1[..., 0].round().long(), x2[..., 0].round().long()
        return gram[rows, columns] if diag else gram[rows[..., :, None], columns[..., None, :]]
