"""Natural gradient without factors: the exact Fisher information and conjugate gradients.

The reference to compare factors with, and for small networks: each step costs ``2 iterations + 2`` more passes than one
of gradient descent, and what the data determine weakly is followed further.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from archgraph.errors import SettingError
from archgraph.linalg import conjugate_gradients
from optimizers.natural_gradient.damping import clip
from optimizers.natural_gradient.fisher import Fisher
from optimizers.natural_gradient.likelihood import likelihood_of
from optimizers.natural_gradient.settings import check
from optimizers.natural_gradient.shares import Shares


class ExactNaturalGradient(Optimizer):
    """Steps along ``(F + damping I)^-1 g``, solved by conjugate gradients from the last solution.

    The direction is computed in :meth:`curvature`, from the loss that it is told, while the forward pass is alive; what
    a backward pass leaves in ``.grad`` only says which parameters move.

    Args:
        params: a module, or what any torch optimizer takes.
        lr: learning rate.
        momentum: of the steps.
        damping: added to the Fisher information.
        kl_clip: bound of the step, as in :func:`~optimizers.natural_gradient.damping.clip`; 0 for none.
        weight_decay: times the weights, added to their gradients; never to vectors.
        iterations: of conjugate gradients.
        tolerance: relative residual at which they stop before.
        warm: share of the last solution that they begin at.
        unlabelled: weight in the Fisher information of each row without a label.

    Raises:
        SettingError: when a setting cannot be used.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        *,
        momentum: float = 0.0,
        damping: float = 1e-2,
        kl_clip: float = 0.1,
        weight_decay: float = 0.0,
        iterations: int = 10,
        tolerance: float = 0.0,
        warm: float = 0.95,
        unlabelled: float = 0.0,
    ) -> None:
        if isinstance(params, nn.Module):
            params = [one for one in params.parameters() if one.requires_grad]
        group = {"lr": lr, "momentum": momentum, "damping": damping, "kl_clip": kl_clip, "weight_decay": weight_decay}
        group |= {"iterations": iterations, "tolerance": tolerance, "warm": warm, "unlabelled": unlabelled}
        check(group)
        super().__init__(params, group)

    _found: dict[Parameter, tuple[Tensor, Tensor]] | None = None
    due = True

    def attach(self, module: nn.Module) -> None:
        """Do nothing: the outputs alone are needed."""

    def watching(self) -> AbstractContextManager[None]:
        """Return an empty context: the outputs alone are needed."""
        return nullcontext()

    def curvature(
        self,
        outputs: Tensor,  # [N, ...]
        value: Tensor,  # []
        *,
        loss: str = "cross-entropy",
        rows: Tensor | None = None,  # [K]
        weights: Tensor | None = None,  # [K]
        reduction: str = "mean",
        scale: float = 1.0,
    ) -> None:
        """Compute the direction of the next step.

        Where gradients are not finite it is the gradient.

        Args:
            outputs: of the forward pass, their graph still alive.
            value: the loss, without any scaling for low precision.
            loss: what it is, by the names of :class:`archgraph.tasks.Loss`.
            rows: which outputs it is of, as places or a mask; all by default.
            weights: of these rows.
            reduction: ``"mean"`` over (weighted) rows, or ``"sum"``.
            scale: what the loss is multiplied by.

        Raises:
            DataError: when rows or weights do not fit the outputs.
            UnknownName: when no Fisher information is known for the loss.
        """
        first = self.param_groups[0]
        trained = [(one, group) for group in self.param_groups for one in group["params"] if one.requires_grad]
        parameters = [one for one, _ in trained]
        shares = Shares.of(
            outputs, rows=rows, weights=weights, reduction=reduction, scale=scale, others=first["unlabelled"]
        )
        fisher = Fisher(outputs, parameters, likelihood_of(loss), shares)
        slopes = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        with torch.no_grad():
            grads = [
                (torch.zeros_like(one) if slope is None else slope).add(
                    one, alpha=group["weight_decay"] if one.ndim > 1 else 0.0
                )
                for (one, group), slope in zip(trained, slopes, strict=True)
            ]
            if not all(bool(grad.isfinite().all()) for grad in grads):  # the training has diverged, as it then shows
                self._found = {one: (grad, grad) for one, grad in zip(parameters, grads, strict=True)}
                return
            last = [self.state[one].get("natural", torch.zeros_like(one)) for one in parameters]
            solution = conjugate_gradients(
                lambda vector: fisher(vector) + first["damping"] * vector,
                fisher.join(grads),
                start=first["warm"] * fisher.join(last),
                steps=first["iterations"],
                tolerance=first["tolerance"],
            )
        directions = fisher.apart(solution.x)
        self._found = dict(zip(parameters, zip(directions, grads, strict=True), strict=True))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make the step.

        Args:
            closure: computes the loss anew, with its gradients, and calls :meth:`curvature`.

        Raises:
            SettingError: when the curvature was not told since the last step.
        """
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        if self._found is None:
            raise SettingError(
                "exact natural gradient was told no curvature",
                hint="optimizer.curvature(outputs, loss) before loss.backward()",
            )
        found, self._found = self._found, None
        moved = {one: found[one] for one in found if one.grad is not None}
        inner = sum(self._rate(one) ** 2 * float((n * g).sum()) for one, (n, g) in moved.items())
        nu = clip(inner, min(group["kl_clip"] for group in self.param_groups))
        for group in self.param_groups:
            for one in group["params"]:
                if one in moved:
                    state, natural = self.state[one], moved[one][0]
                    state["natural"] = natural
                    state["velocity"] = group["momentum"] * state.get("velocity", torch.zeros_like(one)) + nu * natural
                    state["step"] = torch.tensor(float(state.get("step", 0.0)) + 1.0)
                    one.sub_(state["velocity"], alpha=group["lr"])
        return value

    def _rate(self, parameter: Parameter) -> float:
        owners = (group for group in self.param_groups if any(one is parameter for one in group["params"]))
        return float(next(owners)["lr"])
