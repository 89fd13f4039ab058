"""Optimizer state by name: between a torch optimizer, which keeps it per parameter, and ``"node.tensor"`` keys.

With the keys of :class:`~archgraph.net.Network` a state can go through an edit (:func:`~archgraph.net.inherit_state`)
and into another module's optimizer, whatever order its parameters come in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from archgraph.errors import ShapeError, UnknownName
from archgraph.net.factors import factor_fits, is_factor
from archgraph.net.inherit import State, spans
from archgraph.net.lowering import source


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of what ``Network.to_torch`` made, by ``"node.tensor"``."""
    found = {}
    for name, parameter in module.named_parameters():
        node, _, tensor = name.partition(".")
        found[f"{source(node)}.{tensor}"] = parameter
    return found


def state_of(module: nn.Module, optimizer: Optimizer) -> dict[str, dict[str, Tensor]]:
    """Return a copy of an optimizer's state, keyed by ``"node.tensor"``.

    Numbers become scalar tensors. Parameters without state (no step taken yet, or no gradient so far) are left out, and
    so are entries that are neither tensors nor numbers.

    Args:
        module: what ``Network.to_torch`` made.
        optimizer: an optimizer over its parameters.
    """
    result: dict[str, dict[str, Tensor]] = {}
    for label, parameter in parameters_of(module).items():
        entries = {
            entry: torch.as_tensor(value).detach().clone()
            for entry, value in optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor | int | float)
        }
        if entries:
            result[label] = entries
    return result


def load_state(module: nn.Module, optimizer: Optimizer, state: State) -> None:
    """Give an optimizer a state keyed by ``"node.tensor"`` (copied), and so continue where another one stopped.

    What the optimizer knew about the module's parameters is replaced; those that ``state`` does not name start anew.
    Moments go to the device and floating-point type of their parameter, as torch's ``load_state_dict`` does it;
    learning rates and other options stay.

    Args:
        module: what ``Network.to_torch`` made.
        optimizer: an optimizer over its parameters, or over some of them: state of others is passed over.
        state: what :func:`state_of` or ``inherit_state`` returned.

    Raises:
        UnknownName: when the module has no such parameter.
        ShapeError: when an entry does not fit its parameter.
    """
    parameters = parameters_of(module)
    for label, entries in state.items():
        if label not in parameters:
            raise UnknownName.among("parameter", label, parameters)
        for entry, value in entries.items():
            fits = factor_fits if is_factor(entry) else _spans
            if value.ndim and not fits(entry, tuple(value.shape), tuple(parameters[label].shape)):
                raise ShapeError(
                    f"{entry!r} of the optimizer's state does not fit parameter {label!r}",
                    expected=tuple(parameters[label].shape),
                    got=tuple(value.shape),
                )
    known = {id(parameter): label for label, parameter in parameters.items()}
    whole = optimizer.state_dict()
    flat = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(flat):
        label = known.get(id(parameter), "")
        if label in state:
            whole["state"][number] = {entry: value.detach().clone() for entry, value in state[label].items()}
        elif label:
            whole["state"].pop(number, None)
    optimizer.load_state_dict(whole)
    for parameter in flat:  # torch gives counters the parameter's type too; they keep their own, and all their digits
        for entry, value in state.get(known.get(id(parameter), ""), {}).items():
            if value.ndim == 0:
                place = optimizer.state[parameter][entry].device
                optimizer.state[parameter][entry] = value.detach().clone().to(place)


def _spans(entry: str, shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return spans(shape, whole)
