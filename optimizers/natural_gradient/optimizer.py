"""Natural gradient by Kronecker factors, as a ``torch.optim.Optimizer``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from archgraph import rng
from archgraph.errors import SettingError, UnknownName
from optimizers.natural_gradient.attachment import Attachment
from optimizers.natural_gradient.blocks import Block, Kronecker, Settings, State
from optimizers.natural_gradient.damping import adapted, predicted
from optimizers.natural_gradient.direction import Direction, Divider
from optimizers.natural_gradient.estimate import Look, columns
from optimizers.natural_gradient.likelihood import likelihood_of
from optimizers.natural_gradient.settings import check
from optimizers.natural_gradient.shares import Shares
from optimizers.natural_gradient.velocity import move

_BLIND = (
    "natural gradient saw no forward pass of the module's layers, and uses a diagonal for all parameters: "
    "run it within optimizer.watching(), or build the optimizer by NaturalGradient(model)"
)


@dataclass(frozen=True)
class Information:
    """What the curvature says of one block.

    Args:
        trace: of its Fisher information, ``tr F``.
        gain: ``g^T F^-1 g`` with the damping of its group: twice the fall of the loss that the quadratic model expects
            of a full step; nan where there is no gradient.
    """

    trace: float
    gain: float


class NaturalGradient(Optimizer):
    """Steps along the gradient divided by a block-diagonal Fisher information.

    A step is ``v <- momentum v + nu n``, ``theta <- theta - lr v``, with ``n = (F + damping)^-1 g`` and ``nu`` the clip
    of :func:`~optimizers.natural_gradient.damping.clip`. The curvature is told between the passes::

        optimizer = NaturalGradient(model)
        outputs = model(x, edges)
        loss = cross_entropy(outputs[rows], y[rows])
        optimizer.curvature(outputs, rows=rows)  # does nothing but every `interval` steps
        loss.backward()
        optimizer.step()

    Given parameters alone (as a recipe does) it must be shown the module: :meth:`attach`, :meth:`watching`.

    Args:
        params: a module, whose trainable parameters are taken, or what any torch optimizer takes.
        lr: learning rate; 0.1 is right for most.
        momentum: of the steps.
        damping: added to the Fisher information, split over Kronecker factors; 1e-2 is robust, 3e-3 faster.
        kl_clip: ``kappa``, for the whole step (the least of all groups); 0 for none.
        weight_decay: times the weights, added to their gradients before these are divided; never to vectors.
        mode: of graph layers with a fixed propagation: ``"conv"``, inputs after it; ``"lin"``, before it; ``"reduce"``,
            one row a sample over its neighbourhood (:mod:`~optimizers.natural_gradient.reduction`) or, in other layers,
            its positions. ``"auto"`` is reduce where a network is a chain of graph layers whose neighbourhoods are not
            too large (:data:`~optimizers.natural_gradient.estimate.CHEAP`), and conv elsewhere.
        ema: decay of the averages of factors from one look at the curvature to the next.
        interval: steps from one look to the next.
        inverse_interval: looks from one inversion to the next.
        input_interval: looks from one reading to the next of sparse features that stay the same but for dropout: what
            is drawn anew in between is noise, and costs more than all else of a look.
        rank: rows that wide input factors are compressed to; 0 for no limit.
        every_row: whether input factors are means over all nodes, not over those alone that carry the loss.
        fisher: ``"sample"``, ``"exact"`` (as many backward passes as classes) or ``"empirical"``.
        samples: targets drawn a look, for ``"sample"``.
        unlabelled: weight in the Fisher information of each row without a label, those with one having 1.
        adaptive: whether the damping follows the model's trust; then :meth:`step` needs a closure.
        seed: of the targets that are drawn; the draw depends on it and the step alone.
        module: whose parameters ``params`` are, where these are groups; :meth:`attach` does the same later.

    Raises:
        SettingError: when a setting cannot be used.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        damping: float = 1e-2,
        kl_clip: float = 1e-2,
        weight_decay: float = 0.0,
        mode: str = "auto",
        ema: float = 0.3,
        interval: int = 5,
        inverse_interval: int = 1,
        input_interval: int = 4,
        rank: int = 512,
        every_row: bool = False,
        fisher: str = "sample",
        samples: int = 1,
        unlabelled: float = 0.0,
        adaptive: bool = False,
        seed: int = 0,
        module: nn.Module | None = None,
    ) -> None:
        if isinstance(params, nn.Module):
            module, params = params, [one for one in params.parameters() if one.requires_grad]
        group: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping, "kl_clip": kl_clip}
        group |= {"weight_decay": weight_decay, "unlabelled": unlabelled}
        group |= {"mode": mode, "ema": ema, "interval": interval, "inverse_interval": inverse_interval, "rank": rank}
        group |= {"input_interval": input_interval, "every_row": every_row, "fisher": fisher, "samples": samples}
        super().__init__(params, group | {"adaptive": adaptive, "seed": seed})
        if module is not None:
            self.attach(module)
            self._attached.recorder.keep(module)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; layers of the attached module that it trains are looked at from the next forward pass on.

        Raises:
            SettingError: when a setting of the group cannot be used.
        """
        check(self.defaults | param_group)
        super().add_param_group(param_group)
        if self._attachment is not None:
            root, kept = self._attachment.root, self._attachment.recorder.kept
            self.attach(root)
            if kept:
                self._attached.recorder.keep(root)

    # ------------------------------------------------------------------ the module
    _attachment: Attachment | None = None

    def attach(self, module: nn.Module) -> None:
        """Learn to which layers the parameters belong; hooks are set by :meth:`watching` or by the constructor.

        Args:
            module: one whose parameters are in the groups.

        Raises:
            SettingError: when none of them is.
        """
        self.remove_hooks()
        self._attachment = Attachment(module, self.param_groups)

    def watching(self) -> AbstractContextManager[None]:
        """Return a context within which forward passes of the module are recorded."""
        return self._attached.recorder.installed(self._attached.root)

    def remove_hooks(self) -> None:
        """Take all hooks off the module."""
        if self._attachment is not None:
            self._attachment.recorder.remove()

    def reset_state(self, module: nn.Module) -> None:
        """Forget what is known of a module's parameters, for example because their shapes changed."""
        for parameter in module.parameters():
            self.state.pop(parameter, None)
        self._attached.looked.clear()
        self._attached.recorder.wanted = True

    @property
    def _attached(self) -> Attachment:
        if self._attachment is None:
            raise SettingError(
                "natural gradient needs to see the module", hint="NaturalGradient(model), or optimizer.attach(model)"
            )
        return self._attachment

    # ------------------------------------------------------------------ the curvature
    @property
    def steps(self) -> int:
        """Steps taken."""
        if self._counted is not None:
            one, tensor, version, count = self._counted
            if self.state.get(one, {}).get("step") is tensor and tensor._version == version:
                return count  # nobody has loaded another state since
        return max((int(state["step"]) for state in self.state.values() if "step" in state), default=0)

    _counted: tuple[Parameter, Tensor, int, int] | None = None
    """A parameter that was moved last, its counter with the version of that, and the steps taken."""

    @property
    def due(self) -> bool:
        """Whether this step looks at the curvature."""
        steps = self.steps
        return any(_is_due(group, steps) for group in self.param_groups) or any(
            self._is_new(block) for block in self._attached.every()
        )

    def _is_new(self, block: Block) -> bool:
        """Whether nothing is known of a block, and no look has been tried: its layer came with an edit."""
        return block not in self._attached.looked and not block.known(self.state.get(block.parameters[0], {}))

    def curvature(
        self,
        outputs: Tensor,  # [N, ...]
        value: Tensor | None = None,  # []
        *,
        loss: str = "cross-entropy",
        rows: Tensor | None = None,  # [K]
        weights: Tensor | None = None,  # [K]
        reduction: str = "mean",
        scale: float = 1.0,
    ) -> None:
        """Look at the curvature, if it is due, between the forward and the backward pass.

        Outputs that are not finite are passed over: the step keeps what it knew.

        Args:
            outputs: of the forward pass that was recorded, their graph still alive, before any scaling of the loss.
            value: the loss; for the empirical Fisher.
            loss: what it is, by the names of :class:`archgraph.tasks.Loss`.
            rows: which outputs it is of, as places or a mask; all by default.
            weights: of these rows.
            reduction: ``"mean"`` over (weighted) rows, or ``"sum"``.
            scale: what the loss is multiplied by.

        Raises:
            DataError: when rows or weights do not fit the outputs.
            SettingError: when no module is attached.
            UnknownName: when no Fisher information is known for the loss.
        """
        recorder, likelihood, first = self._attached.recorder, likelihood_of(loss), self.param_groups[0]
        if recorder.wanted and self.due and outputs.requires_grad:
            others, rows = first["unlabelled"], rows if rows is None else torch.as_tensor(rows)
            told, count = self._attached.told, len(outputs)
            told.moving |= first.get("outputs", count) != count  # which is known after going on from a state, too
            shares = told.shares(outputs, rows=rows, weights=weights, reduction=reduction, scale=scale, others=others)
            first["outputs"] = -1 if told.moving else count
            if torch.isfinite(outputs.detach()).all():
                generator = torch.Generator().manual_seed(rng.derive(first["seed"], "targets", self.steps))
                fisher, samples = first["fisher"], first["samples"]
                found = columns(fisher, likelihood, outputs, shares, generator, samples=samples, value=value)
                self._look(outputs, found, shares)
        recorder.clear()

    def _look(self, outputs: Tensor, found: Iterator[Tensor], shares: Shares) -> None:
        attached, steps, states = self._attached, self.steps, cast("Mapping[Parameter, State]", self.state)
        settings: dict[Parameter, Settings] = {one: group for group in self.param_groups for one in group["params"]}
        wanted = {
            block for block in attached.every() if _is_due(settings[block.parameters[0]], steps) or self._is_new(block)
        }
        blocks = {site: block for site, block in attached.blocks.items() if block in wanted}
        loose = {one: block for one, block in attached.loose.items() if block in wanted}
        records = attached.recorder.records()
        if attached.blocks and not records and not attached.warned:
            attached.warned = True
            warnings.warn(_BLIND, stacklevel=3)
        look = Look(attached.root, blocks, loose, states, settings, steps, attached.told.moving)
        look.take(records, outputs, found, shares)
        attached.looked |= wanted
        for block in wanted:
            state, group = states[block.parameters[0]], settings[block.parameters[0]]
            if (steps // group["interval"]) % group["inverse_interval"] == 0 or "output_inverse" not in state:
                block.finish(state, group)

    def information(self) -> dict[str, Information]:
        """Return what the curvature says of each block, by the name of its module (or parameter).

        After a backward pass the gains belong to its gradients: what a layer, or more units in it, might gain.
        """
        grads, found = dict(self._grads()), {}
        for name, block in self._attached.named():
            state = self.state.get(block.parameters[0], {})
            if block.known(state) and not block.strange(state):
                whole = all(one in grads for one in block.parameters)
                parts = self._divider().directions(block, grads) if whole else []
                gain = float(sum(part.inner for part in parts)) if parts else float("nan")
                found[name] = Information(block.trace(state), gain)
        return found

    def spectra(self, name: str) -> tuple[Tensor, Tensor]:  # [D], [U]
        """Return the eigenvalues of the input and the output factor of a layer.

        Raises:
            UnknownName: when no layer with Kronecker factors is called so.
        """
        layers = {
            one: block
            for one, block in self._attached.named()
            if isinstance(block, Kronecker) and "output_factor" in self.state.get(block.parameters[0], {})
        }
        if name not in layers:
            raise UnknownName.among("layer with Kronecker factors", name, layers)
        return layers[name].spectra(self.state[layers[name].parameters[0]])

    # ------------------------------------------------------------------ the step
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step.

        Args:
            closure: computes the loss anew, with its gradients; it may call :meth:`curvature`.

        Returns:
            What the closure returned, before the step.

        Raises:
            SettingError: when the damping is adaptive and there is no closure, or the curvature was never told.
        """
        adaptive, value = self.param_groups[0]["adaptive"], None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        elif adaptive:
            raise SettingError("adaptive damping needs the loss after the step", hint="optimizer.step(closure)")
        looks = adaptive and self.due
        directions = self._directions()
        count = self.steps + 1
        move(self.param_groups, self.state, directions, float(count))
        if directions:
            one = directions[0].parameters[0]
            self._counted = one, self.state[one]["step"], self.state[one]["step"]._version, count
        if looks and closure is not None:
            self._adapt(closure, _number(value), directions)
        self._attached.recorder.clear()
        self._attached.recorder.wanted = self.due  # in the next forward pass
        return value

    def _directions(self) -> list[Direction]:
        grads, divider = dict(self._grads()), self._divider()
        found = [part for block in self._attached.every() for part in divider.directions(block, grads)]
        if (
            found
            and not any(part.known for part in found)
            and all(bool(grad.isfinite().all()) for grad in grads.values())  # else outputs were no numbers: it diverged
        ):
            raise SettingError(
                "natural gradient was told no curvature", hint="optimizer.curvature(outputs) before loss.backward()"
            )
        return found

    def _divider(self) -> Divider:
        return Divider(self.param_groups, self._attached.group, cast("Mapping[Any, State]", self.state))

    def _grads(self) -> Iterator[tuple[Parameter, Tensor]]:
        for group in self.param_groups:
            for one in group["params"]:
                if one.grad is None:
                    continue
                grad = one.grad.to_dense() if one.grad.is_sparse else one.grad
                decay = group["weight_decay"] if one.ndim > 1 else 0.0
                yield one, grad.add(one.detach(), alpha=decay) if decay else grad

    def _adapt(self, closure: Callable[[], Any], before: float, directions: Sequence[Direction]) -> None:
        grads = {one: grad for part in directions for one, grad in zip(part.parameters, part.grads, strict=True)}
        moved = {one: -self._group(one)["lr"] * self.state[one]["velocity"] for one in grads}
        damping = {one: self._group(one)["damping"] for one in grads}
        states = cast("Mapping[Parameter, State]", self.state)
        expected = predicted(self._attached.every(), states, moved, grads, damping)
        self._attached.recorder.wanted = False
        with torch.enable_grad():
            after = _number(closure())
        ratio = (after - before) / expected if expected < 0.0 else 0.0
        for group in self.param_groups:
            group["damping"] = adapted(group["damping"], ratio, group["interval"])

    def _group(self, parameter: Parameter) -> dict[str, Any]:
        return self.param_groups[self._attached.group[parameter]]

    # ------------------------------------------------------------------ the state
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; factors stay in the type they were saved in, whatever that of the parameters is."""
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        parameters = [one for group in self.param_groups for one in group["params"]]
        for number, one in zip(numbers, parameters, strict=False):
            held = state_dict["state"].get(number, {})
            shape = held["velocity"].shape if "velocity" in held else one.shape
            rows = held["output_factor"].shape[-1] if "output_factor" in held else one.shape[:1].numel()
            if shape != one.shape or rows != one.shape[:1].numel():
                raise SettingError("the state is of other parameters", expected=list(one.shape), got=list(shape))
        super().load_state_dict(state_dict)
        if self._attachment is not None:
            self._attachment.recorder.wanted = True
        for number, one in zip(numbers, parameters, strict=True):
            for name, saved in state_dict["state"].get(number, {}).items():
                if isinstance(saved, Tensor):
                    self.state[one][name] = saved.detach().clone().to(one.device if saved.ndim else saved.device)


def _is_due(group: Mapping[str, Any], steps: int) -> bool:
    return bool(steps % group["interval"] == 0)


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)
