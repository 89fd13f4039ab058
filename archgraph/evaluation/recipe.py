"""How weights are trained, as a value."""

from __future__ import annotations

import inspect
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
        items = self.options.items() if isinstance(self.options, Mapping) else self.options
        object.__setattr__(self, "options", tuple(sorted((str(key), value) for key, value in items)))
        for name, least in (("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(f"recipe: {name} must be a whole number of at least {least}", got=value)
        if not 0.0 < self.lr < float("inf"):
            raise SettingError("recipe: lr must be positive", got=self.lr)
        if not 0.0 <= self.weight_decay < float("inf"):
            raise SettingError("recipe: weight_decay must not be negative", got=self.weight_decay)
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
        return 0.5 * self.lr * (1.0 + float(torch.cos(torch.tensor(torch.pi * step / steps, dtype=torch.float64))))
