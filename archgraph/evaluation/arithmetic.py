"""The arithmetic of a training step: in which floating-point type, and whether the network is compiled."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, fx
from torch.optim import Optimizer

from archgraph.errors import EvaluationFailed, SettingError

PRECISIONS = ("float32", "bfloat16", "float16")


class Arithmetic:
    """How a network computes its outputs and makes a step in training.

    With ``"float32"`` the network computes in its own type. With ``"bfloat16"`` and ``"float16"`` it does so under
    :class:`torch.autocast`, which keeps weights, their gradients and the optimizer's state in float32; with
    ``"float16"`` the loss is scaled (:class:`torch.amp.GradScaler`), and a step whose gradients overflow is left out.

    Args:
        module: the network in training.
        precision: one of :data:`PRECISIONS`.
        compiled: whether to compile the network with :func:`torch.compile`.

    Raises:
        SettingError: when the network is not one of float32 and the precision is lower.
    """

    def __init__(self, module: fx.GraphModule, *, precision: str, compiled: bool) -> None:
        weight = next(module.parameters())
        self._own, self._device = weight.dtype, weight.device.type
        if precision != "float32" and self._own != torch.float32:
            raise SettingError(
                f"precision {precision} is for networks of float32",
                got=f"a network of {str(self._own).removeprefix('torch.')}",
                hint="precision='float32', with which a network computes in its own type",
            )
        self._lower = None if precision == "float32" else getattr(torch, precision)
        self._scaler = torch.amp.GradScaler(self._device) if precision == "float16" else None
        self._plain: Callable[..., Tensor] = module
        self._network = _compiled(module) if compiled else self._plain
        self._is_compiled = compiled

    def outputs(self, *inputs: Tensor, plain: bool = False) -> Tensor:
        """Return the network's outputs, in the type of its weights; ``plain`` for one pass that is not compiled."""
        network = self._plain if plain else self._network
        if self._lower is None:
            return network(*inputs)
        with torch.autocast(self._device, dtype=self._lower):
            return network(*inputs).to(self._own)

    def step(self, loss: Tensor, optimizer: Optimizer) -> None:
        """Compute gradients of the loss and make a step."""
        if self._scaler is None:
            loss.backward()
            optimizer.step()
            return
        self._scaler.scale(loss).backward()
        self._scaler.step(optimizer)
        self._scaler.update()

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Say what is wrong when something in this block cannot be compiled.

        Raises:
            EvaluationFailed: with the compiler's reason.
        """
        if not self._is_compiled:
            yield
            return
        import torch._dynamo.exc

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about deprecations inside the compiler
                yield
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join([line.strip() for line in str(error).splitlines() if line.strip()][:2])
            raise EvaluationFailed(f"the network cannot be compiled: {reason}", hint="compile=False") from error

    @property
    def scale(self) -> dict[str, float]:
        """The state of the loss's scale, empty where the loss is not scaled."""
        return {} if self._scaler is None else dict(self._scaler.state_dict())

    def load_scale(self, scale: Mapping[str, float]) -> None:
        """Carry on with a scale of the loss."""
        if self._scaler is not None and scale:
            self._scaler.load_state_dict(dict(scale))


def _compiled(module: fx.GraphModule) -> Callable[..., Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about deprecations inside the compiler
        # each size of batch has code of its own, else what was compiled would depend on which sizes came before, and a
        # training that goes on from a checkpoint would not be the one that was not interrupted
        return torch.compile(module, dynamic=False)
