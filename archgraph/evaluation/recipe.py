"""How weights are trained, as a value."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn

from archgraph.errors import SettingError
from archgraph.registry import WEIGHT_OPTIMIZERS

SCHEDULES = ("cosine", "constant")
Options = Mapping[str, Any] | tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Recipe:
    """Optimizer, learning rate, schedule, epochs and batch size.

    Args:
        optimizer: name of a weight optimizer: ``"adam"``, ``"sgd"``, ``"adamw"``, or one that a plug-in adds.
        lr: learning rate at the start.
        epochs: passes over the training split.
        batch_size: samples in a batch; a last batch of a single sample joins the one before it.
        schedule: ``"cosine"`` (to zero over all steps) or ``"constant"``.
        weight_decay: passed to the optimizer.
        keep: ``"last"`` returns the weights after the last epoch, ``"best"`` those of the epoch with the lowest
            validation loss.
        options: more arguments for the optimizer, for example ``{"momentum": 0.9}``.

    Raises:
        SettingError: when a value cannot be used.

    >>> Recipe(optimizer="sgd", lr=0.1, options={"momentum": 0.9}).options
    (('momentum', 0.9),)
    """

    optimizer: str = "adam"
    lr: float = 1e-2
    epochs: int = 5
    batch_size: int = 128
    schedule: str = "cosine"
    weight_decay: float = 0.0
    keep: str = "last"
    options: Options = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _options(self.options))
        if not isinstance(self.optimizer, str):
            raise SettingError("recipe: optimizer must be a name", got=repr(self.optimizer))
        for name, least in (("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(f"recipe: {name} must be a whole number of at least {least}", got=value)
        for name in ("lr", "weight_decay"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0.0 <= value < float("inf") or (name == "lr" and value == 0.0):
                bound = "positive" if name == "lr" else "0 or more"
                raise SettingError(f"recipe: {name} must be a number, {bound}", got=repr(value))
            object.__setattr__(self, name, float(value))  # equal recipes print alike
        for name, known in (("schedule", SCHEDULES), ("keep", ("last", "best"))):
            if getattr(self, name) not in known:
                raise SettingError(f"recipe: {name} must be one of {', '.join(known)}", got=getattr(self, name))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Recipe:
        """Build a recipe from named settings; names that are no field go to the optimizer.

        Raises:
            SettingError: when a value cannot be used.
        """
        own = {field.name for field in fields(cls)} - {"options"}
        extra = {key: value for key, value in settings.items() if key not in own and key != "options"}
        kept = {key: value for key, value in settings.items() if key in own}
        return cls(**kept, options={**dict(settings.get("options", {})), **extra})

    def but(self, **changes: Any) -> Recipe:
        """Return this recipe with some fields changed."""
        return replace(self, **changes)

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of a module's parameters.

        Raises:
            UnknownName: when no optimizer is called so.
            SettingError: when it does not take the options.
        """
        kind = WEIGHT_OPTIMIZERS.get(self.optimizer)
        settings = {"lr": self.lr, **dict(self.options)}
        if self.weight_decay:
            settings["weight_decay"] = self.weight_decay
        taken = inspect.signature(kind).parameters
        unknown = [name for name in settings if name not in taken]
        if unknown and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
            raise SettingError(
                f"weight optimizer {self.optimizer!r} has no option {unknown[0]!r}",
                expected=f"some of {', '.join(name for name in taken if name != 'params')}",
            )
        parameters: Iterator[nn.Parameter] | list[nn.Parameter] = list(module.parameters())
        try:
            return kind(parameters, **settings)
        except (TypeError, ValueError) as error:
            raise SettingError(f"weight optimizer {self.optimizer!r}: {error}") from error

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step (from 0) out of all ``steps`` of a training."""
        if self.schedule == "constant" or steps == 0:
            return self.lr
        return 0.5 * self.lr * (1.0 + math.cos(math.pi * step / steps))


def _options(given: Any) -> tuple[tuple[str, Any], ...]:
    """Return options as sorted pairs of name and value, lists as tuples, so that a recipe can be hashed."""
    try:
        pairs = [(str(key), _frozen(value)) for key, value in (given.items() if isinstance(given, Mapping) else given)]
    except (TypeError, ValueError):
        raise SettingError("recipe: options must be names with values", got=repr(given)) from None
    names = [name for name, _ in pairs]
    for name in names:
        if name in ("params", "lr", "weight_decay"):
            raise SettingError(f"recipe: {name} is no option of the optimizer", hint="Recipe(lr=..., weight_decay=...)")
        if names.count(name) > 1:
            raise SettingError(f"recipe: option {name!r} is given twice")
    return tuple(sorted(pairs, key=lambda pair: pair[0]))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
