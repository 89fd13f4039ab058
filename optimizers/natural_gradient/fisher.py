"""The exact Fisher information of all parameters, known by its products: ``F v = J^T (s o H) J v``.

``J`` is the derivative of the outputs, ``H`` the Fisher information of each sample's outputs, ``s`` its share of the
loss. For the losses known here this is the generalised Gauss-Newton matrix (Martens, arXiv 1412.1193, section 9). ``J
v`` comes from differentiating ``J^T u``, which is linear in ``u``, once more: any network that can be differentiated
twice will do, in the forward pass that was made anyway, with its dropout.

Letters: ``N`` samples, ``D`` numbers in all parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from optimizers.natural_gradient.likelihood import Likelihood
from optimizers.natural_gradient.shares import Shares


class Fisher:
    """Multiplies by the Fisher information of a forward pass, as long as its graph is alive.

    Args:
        outputs: ``[N, ...]`` of the network.
        parameters: of which; those that the outputs do not depend on have none.
        likelihood: of the loss.
        shares: who carries it.
    """

    def __init__(
        self, outputs: Tensor, parameters: Sequence[Parameter], likelihood: Likelihood, shares: Shares
    ) -> None:
        self.outputs, self.parameters = outputs, tuple(parameters)
        self._likelihood, self._shares = likelihood, shares
        self._probe = torch.zeros_like(outputs, requires_grad=True)
        with torch.enable_grad():
            pulled = torch.autograd.grad(outputs, self.parameters, self._probe, create_graph=True, allow_unused=True)
        self._pulled = pulled

    @property
    def size(self) -> int:
        """``D``."""
        return sum(one.numel() for one in self.parameters)

    def __call__(self, vector: Tensor) -> Tensor:  # [D] -> [D]
        """Return ``F v``."""
        pushed = self.push(vector)
        held = self._likelihood.multiply(self._shares.pick(self.outputs.detach()), self._shares.pick(pushed))
        sizes = self._shares.sizes.to(held.dtype).reshape(-1, *[1] * (held.ndim - 1))
        return self.pull(self._shares.spread(held * sizes))

    def push(self, vector: Tensor) -> Tensor:  # [D] -> [N, ...]
        """Return ``J v``."""
        parts = self.apart(vector)
        known = [(one, part) for one, part in zip(self._pulled, parts, strict=True) if one is not None]
        if not known:
            return torch.zeros_like(self.outputs)
        ends, weights = [one for one, _ in known], [part for _, part in known]
        (found,) = torch.autograd.grad(ends, self._probe, weights, retain_graph=True)
        return found.detach()

    def pull(self, values: Tensor) -> Tensor:  # [N, ...] -> [D]
        """Return ``J^T u``."""
        found = torch.autograd.grad(self.outputs, self.parameters, values, retain_graph=True, allow_unused=True)
        return self.join(
            [torch.zeros_like(one) if g is None else g for one, g in zip(self.parameters, found, strict=True)]
        )

    def matrix(self) -> Tensor:  # [D, D]
        """Return the whole matrix, a product for each of its columns: for networks of a few numbers."""
        columns = torch.eye(self.size, dtype=self.outputs.dtype, device=self.outputs.device)
        return torch.stack([self(column) for column in columns], dim=1)

    def join(self, parts: Sequence[Tensor]) -> Tensor:  # [D]
        """Return tensors like the parameters as one vector."""
        return torch.cat([part.reshape(-1).to(self.outputs.dtype) for part in parts])

    def apart(self, vector: Tensor) -> list[Tensor]:
        """Return a vector as tensors like the parameters."""
        pieces = vector.split([one.numel() for one in self.parameters])
        return [piece.reshape(one.shape).to(one.dtype) for piece, one in zip(pieces, self.parameters, strict=True)]
