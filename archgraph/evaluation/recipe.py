"""How weights are trained, as a value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn

from archgraph.errors import SettingError
from archgraph.evaluation.arithmetic import PRECISIONS
from archgraph.evaluation.augmentation import Augmentation, read_augmentations
from archgraph.evaluation.curvature import looks
from archgraph.evaluation.decay import decay_groups
from archgraph.evaluation.schedule import SCHEDULES, factor
from archgraph.evaluation.self_training import FORMS, SelfTraining
from archgraph.registry import WEIGHT_OPTIMIZERS
from archgraph.tasks.neighborhood import ALL

MOST = 10**9
"""The most epochs, and samples in a batch."""

LARGEST = 1e30
"""The largest learning rate, weight decay and number among an optimizer's options: float32 holds their products."""

_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: 0.0 < value <= LARGEST, f"positive and at most {LARGEST:g}"),
    "weight_decay": (lambda value: 0.0 <= value <= LARGEST, f"0 or more and at most {LARGEST:g}"),
    "warmup": (lambda value: 0.0 <= value <= 1.0, "0 to 1: a share of all steps"),
    "ema": (lambda value: 0.0 <= value < 1.0, "from 0 to below 1"),
}
_USUAL = {"lr": 0.01, "weight_decay": 0.0001, "warmup": 0.1, "ema": 0.999}

Options = Mapping[str, Any] | tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Recipe:
    """Optimizer, learning rate, schedule, epochs, batch size, and what else changes a training.

    Args:
        optimizer: name of a weight optimizer: ``"adam"``, ``"sgd"``, ``"adamw"``, or one that a plug-in adds.
        lr: learning rate at its highest.
        epochs: passes over the training split.
        batch_size: samples in a batch; a last batch of a single sample joins the one before it. Of the nodes of one
            graph all are trained on at once, whatever it says, by a network that reads edges, unless ``neighbors`` asks
            for batches.
        schedule: ``"cosine"`` or ``"linear"`` (to zero over all steps), ``"step"`` (a tenth from halfway on, a
            hundredth from three quarters on) or ``"constant"``.
        weight_decay: passed to the optimizer.
        keep: ``"last"`` returns the weights after the last epoch, ``"best"`` those of the epoch with the lowest
            validation loss.
        options: more arguments for the optimizer, for example ``{"momentum": 0.9}``.
        warmup: share of all steps over which the learning rate first rises linearly, from 0 to 1.
        ema: decay of a running average of the weights, from 0 to below 1, such as 0.999; then the metrics and the
            network are those of the average, and how far the weights in training are from it goes into the optimizer's
            state (:mod:`archgraph.evaluation.averaging`). None for no average.
        augment: changes of training images, made in this order: ``"shift:2"``, ``"crop:4"``, ``"flip"``,
            ``"cutout:8"`` (:mod:`archgraph.evaluation.augmentation`); a tuple, or one text with ``+`` between them.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` for mixed precision in training
            (:mod:`archgraph.evaluation.arithmetic`); predictions are always measured in the network's own type.
        compile: whether the network is compiled with :func:`torch.compile` for training.
        self_training: a second term of the loss, of nodes without a label, such as ``"pseudo-label:1"`` or
            ``"entropy:2"`` (:mod:`archgraph.evaluation.self_training`); empty for none.
        decayed: what ``weight_decay`` is for: ``"first"`` for the first layers, or names of nodes with ``+`` between
            them (:mod:`archgraph.evaluation.decay`); empty for all.
        neighbors: where samples are nodes of one graph: a batch is ``batch_size`` of them, with so many neighbours
            drawn for each, hop after hop, ``"15+10"`` or ``(15, 10)``; -1 for all
            (:mod:`archgraph.tasks.neighborhood`). Metrics are measured on the whole graph. Graph convolutions that
            normalise edges count those that were drawn: of all neighbours they need one hop more than there are layers
            to compute what they do on the whole graph. Empty for the whole graph at once.

    Raises:
        SettingError: when a value cannot be used.
        UnknownName: when no augmentation is called so.

    >>> Recipe(optimizer="sgd", lr=0.1, options={"momentum": 0.9}).options
    (('momentum', 0.9),)
    >>> Recipe(augment="shift:2+flip").augment
    ('shift:2', 'flip')
    >>> Recipe(batch_size=512, neighbors="15+10").neighbors
    (15, 10)
    """

    optimizer: str = "adam"
    lr: float = 1e-2
    epochs: int = 5
    batch_size: int = 128
    schedule: str = "cosine"
    weight_decay: float = 0.0
    keep: str = "last"
    options: Options = ()
    warmup: float = 0.0
    ema: float | None = None
    augment: str | tuple[str, ...] = ()
    precision: str = "float32"
    compile: bool = False
    self_training: str = ""
    decayed: str = ""
    neighbors: str | int | tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _options(self.options))
        object.__setattr__(self, "augment", tuple(map(str, read_augmentations(self.augment))))
        if not isinstance(self.optimizer, str):
            raise SettingError("recipe: optimizer must be a name", got=repr(self.optimizer))
        for name, least in (("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
                usual = self.__dataclass_fields__[name].default
                raise SettingError(
                    f"recipe: {name} must be a whole number of at least {least}",
                    expected=f"{least} to {MOST}",
                    got=repr(value),
                    hint=f"{name}={usual}",
                )
        for name in ("lr", "weight_decay", "warmup", *(["ema"] if self.ema is not None else [])):
            value = getattr(self, name)
            fits, bound = _RANGES[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
                raise SettingError(
                    f"recipe: {name} must be a number, {bound}", got=repr(value), hint=f"{name}={_USUAL[name]}"
                )
            object.__setattr__(self, name, float(value))  # equal recipes print alike
        for name, known in (("schedule", tuple(SCHEDULES)), ("keep", ("last", "best")), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise SettingError(f"recipe: {name} must be one of {', '.join(known)}", got=getattr(self, name))
        for name, forms in (
            ("self_training", FORMS),
            ("decayed", "first, or names of nodes with + between; empty for all"),
        ):
            if not isinstance(getattr(self, name), str):
                raise SettingError(f"recipe: {name} must be a text", expected=forms, got=repr(getattr(self, name)))
        SelfTraining.read(self.self_training)
        if not isinstance(self.compile, bool):
            raise SettingError("recipe: compile must be True or False", got=repr(self.compile))
        object.__setattr__(self, "neighbors", _numbers(self.neighbors))
        if self.neighbors and self.compile:
            raise SettingError(
                "recipe: batches of neighbours differ in size, and so are not compiled", hint="compile=False"
            )
        if self.neighbors and self.self_training:
            raise SettingError("recipe: self-training needs the whole graph", hint="no neighbors")

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
            UnknownName: when no optimizer is called so, or no node whose weights shall decay.
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
        for name, value in dict(self.options).items():
            if name in taken:
                _check_option(self.optimizer, name, value, taken[name].default)
        parameters: list[Any] = list(module.parameters())
        if self.weight_decay and self.decayed:
            parameters = decay_groups(module, settings.pop("weight_decay"), self.decayed)
        try:
            optimizer: torch.optim.Optimizer = kind(parameters, **settings)
            if looks(optimizer):
                optimizer.attach(module)
        except (TypeError, ValueError, RuntimeError) as error:
            raise SettingError(f"weight optimizer {self.optimizer!r}: {error}") from error
        return optimizer

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step (from 0) out of all ``steps`` of a training."""
        return self.lr * factor(self.schedule, step, steps, warmup=self.warmup)

    @property
    def own_targets(self) -> SelfTraining | None:
        """What :attr:`self_training` says, as a value."""
        return SelfTraining.read(self.self_training)

    @property
    def hops(self) -> tuple[int, ...]:
        """What :attr:`neighbors` says, as numbers."""
        return _numbers(self.neighbors)

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """What :attr:`augment` says, as values."""
        return read_augmentations(self.augment)


def _check_option(optimizer: str, name: str, value: Any, usual: Any) -> None:
    """Raise unless an option looks like its default does: a number, True or False, or as many numbers in a row."""
    if isinstance(usual, bool):
        fits, wanted = isinstance(value, bool), "True or False"
    elif isinstance(usual, int | float):
        fits, wanted = _is_number(value), "a number"
    elif isinstance(usual, tuple | list):
        wanted = f"{len(usual)} numbers"
        fits = isinstance(value, tuple) and len(value) == len(usual) and all(map(_is_number, value))
    else:
        return
    if not fits:
        raise SettingError(
            f"weight optimizer {optimizer!r}: option {name!r} is {wanted}", got=repr(value), hint=f"{name}={usual!r}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _numbers(given: Any) -> tuple[int, ...]:
    """Return numbers of neighbours, hop by hop, from ``"15+10"``, ``15`` or several in a row."""
    try:
        if isinstance(given, bool):
            raise TypeError
        hops = given.split("+") if isinstance(given, str) and given else given
        found = tuple(int(one) for one in ((hops,) if isinstance(hops, int) else hops))
    except (TypeError, ValueError):
        found = (0,)
    if not all(one == ALL or 0 < one <= MOST for one in found):
        raise SettingError(
            "recipe: neighbors are numbers, one a hop, with + between them",
            expected=f"from 1 on, or {ALL} for all",
            got=repr(given),
            hint="neighbors=15+10",
        )
    return found


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
