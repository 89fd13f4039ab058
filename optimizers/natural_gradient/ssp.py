"""The preconditioner of the paper, as its code computes it, around SGD or Adam: to compare with, not to use.

Izadi, Fang, Stevenson, Lin, *Optimization of Graph Neural Networks with Natural Gradient Descent*, arXiv 2008.09624.
For each layer, with inputs ``x_m`` after the propagation (and a 1) and gradients ``g_m`` of the training loss at its
outputs of width ``c``, over all ``N`` nodes ``m``,

    A = sum_m x_m x_m^T / n,    G = sum_m (c g_m)(c g_m)^T / n,    n = n_L + lambda n_U,
    [W, b] <- (G + sqrt(eps) I)^-1 grad (A + sqrt(eps) I)^-1,

every 50 steps, without averages; then Adam or SGD steps along what is in ``.grad``, weight decay added to that. The
loss is a mean over ``n_L`` nodes, so ``g`` is ``1 / n_L`` of a sample's gradient, which ``c`` does not make good: ``G``
is small against its damping, and weights are nearly multiplied by a number. :class:`NaturalGradient` has the right
scale.

Letters: ``N`` nodes, ``n_L`` with a label, ``n_U`` without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer

from archgraph.errors import SettingError
from optimizers.natural_gradient.attachment import Attachment
from optimizers.natural_gradient.sites import Site
from optimizers.natural_gradient.statistics import moment, propagated, with_one

BASES = ("adam", "sgd")
_KINDS = ("propagating", "linear")
_INVERSES = ("input_inverse", "output_inverse")


class SSP(Optimizer):
    """The paper's preconditioner around Adam or SGD; used like :class:`NaturalGradient`.

    Args:
        params: a module, whose trainable parameters are taken, or what any torch optimizer takes.
        lr: learning rate of the base.
        base: ``"adam"`` or ``"sgd"``.
        epsilon: of the damping ``sqrt(eps)`` of either factor.
        interval: steps between updates of the factors.
        weight_decay: of the base; 5e-4 for Adam and none for SGD by default.
        momentum: of SGD.
        unlabelled: ``lambda`` where :meth:`curvature` is not told another.
        module: whose parameters ``params`` are, where these are groups.

    Raises:
        SettingError: when a setting cannot be used.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        *,
        base: str = "adam",
        epsilon: float = 0.01,
        interval: int = 50,
        weight_decay: float | None = None,
        momentum: float = 0.9,
        unlabelled: float = 0.0,
        module: nn.Module | None = None,
    ) -> None:
        if base not in BASES or epsilon <= 0.0 or interval < 1:
            raise SettingError("ssp cannot be used", expected=f"base {' or '.join(BASES)}, epsilon > 0, interval >= 1")
        if isinstance(params, nn.Module):
            module, params = params, [one for one in params.parameters() if one.requires_grad]
        if base == "adam":
            self._base: Optimizer = Adam(params, lr=lr, weight_decay=5e-4 if weight_decay is None else weight_decay)
        else:
            self._base = SGD(params, lr=lr, momentum=momentum, weight_decay=weight_decay or 0.0)
        own = {"epsilon": epsilon, "interval": interval, "unlabelled": unlabelled, "mode": "auto"}
        super().__init__(self._base.param_groups, {**self._base.defaults, **own})
        self._attachment: Attachment | None = None
        self._fresh: dict[Parameter, dict[str, Tensor]] = {}
        if module is not None:
            self.attach(module)
            self._attached.recorder.install(module)

    def attach(self, module: nn.Module) -> None:
        """Learn to which layers the parameters belong.

        Args:
            module: one whose parameters are in the groups.
        """
        self._attachment = Attachment(module, self.param_groups)

    def watching(self) -> AbstractContextManager[None]:
        """Return a context within which forward passes of the module are recorded."""
        return self._attached.recorder.installed(self._attached.root)

    def remove_hooks(self) -> None:
        """Take all hooks off the module."""
        self._attached.recorder.remove()

    @property
    def _attached(self) -> Attachment:
        if self._attachment is None:
            raise SettingError("ssp needs to see the module", hint="SSP(model), or optimizer.attach(model)")
        return self._attachment

    @property
    def due(self) -> bool:
        """Whether this step computes the factors."""
        steps = max((int(state["step"]) for state in self.state.values() if "step" in state), default=0)
        return bool(steps % self.param_groups[0]["interval"] == 0)

    def curvature(
        self,
        outputs: Tensor,  # [N, ...]
        value: Tensor,  # []
        *,
        loss: str = "cross-entropy",
        rows: Tensor | None = None,  # [K]
        unlabelled: float | None = None,
    ) -> None:
        """Compute the factors and their inverses, if they are due.

        Args:
            outputs: of the forward pass that was recorded.
            value: the training loss, pseudo-labels included: the gradients are its own.
            loss: not used.
            rows: the nodes with a label; all by default.
            unlabelled: ``lambda`` now.
        """
        attached, first = self._attached, self.param_groups[0]
        if self.due:
            records = [record for record in attached.recorder.records() if record.site.kind in _KINDS]
            edges: list[Any] = [record.edge for record in records]
            grads = torch.autograd.grad(value, edges, retain_graph=True, allow_unused=True) if edges else ()
            labelled = len(outputs) if rows is None else len(rows)
            share = first["unlabelled"] if unlabelled is None else unlabelled
            count = labelled + share * (len(outputs) - labelled)
            with torch.no_grad():
                for record, grad in zip(records, grads, strict=True):
                    if grad is not None:
                        scaled = grad.shape[-1] * grad.flatten(0, -2)
                        inputs = with_one(propagated(record, None), record)
                        pair = (moment(inputs) / count, moment(scaled) / count)
                        self._fresh[record.site.weight] = {
                            name: _inverse(factor, first["epsilon"] ** 0.5)
                            for name, factor in zip(_INVERSES, pair, strict=True)
                        }
        attached.recorder.clear()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Precondition what is in ``.grad``, and have the base make its step along it.

        Args:
            closure: computes the loss anew, with its gradients.
        """
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for site in self._attached.blocks:
            self._precondition(site)
        self._base.param_groups, self._base.state = self.param_groups, self.state
        before = {one: float(self.state[one]["step"]) for one in self.state if "step" in self.state[one]}
        self._base.step()
        for one, inverses in self._fresh.items():  # not before: Adam takes a parameter with any state for begun
            self.state[one].update(inverses)
        self._fresh = {}
        if isinstance(self._base, SGD):
            for group in self.param_groups:
                for one in group["params"]:
                    self.state[one]["step"] = torch.tensor(before.get(one, 0.0) + 1.0)
        self._attached.recorder.clear()
        return value

    def _precondition(self, site: Site) -> None:
        inverses = self._fresh.get(site.weight) or self.state.get(site.weight, {})
        if site.weight.grad is None or any(name not in inverses for name in _INVERSES):
            return
        joined = site.weight.grad
        if site.bias is not None and site.bias.grad is not None:
            joined = torch.cat((joined, site.bias.grad.unsqueeze(1)), dim=1)
        natural = inverses["output_inverse"] @ joined @ inverses["input_inverse"]
        site.weight.grad.copy_(natural[:, : site.weight.shape[1]])
        if site.bias is not None and site.bias.grad is not None:
            site.bias.grad.copy_(natural[:, -1])


def _inverse(factor: Tensor, damping: float) -> Tensor:
    return torch.linalg.inv(factor + damping * torch.eye(len(factor), dtype=factor.dtype, device=factor.device))
