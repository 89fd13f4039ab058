"""Recipes as values: checks, equality, the optimizer they build and the learning rate of every step."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import nn

from archgraph import Graph, Network, Recipe, Train
from archgraph.errors import SettingError, UnknownName
from archgraph.registry import WEIGHT_OPTIMIZERS

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "negative epochs": ({"epochs": -1}, "epochs must be a whole number of at least 0"),
    "half an epoch": ({"epochs": 1.5}, "epochs must be a whole number"),
    "epochs True": ({"epochs": True}, "epochs must be a whole number"),
    "empty batches": ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    "lr of zero": ({"lr": 0.0}, "lr must be a number, positive"),
    "lr NaN": ({"lr": math.nan}, "lr must be a number, positive"),
    "lr infinite": ({"lr": math.inf}, "lr must be a number, positive"),
    "lr as text": ({"lr": "0.1"}, "lr must be a number, positive"),
    "lr True": ({"lr": True}, "lr must be a number, positive"),
    "negative decay": ({"weight_decay": -1e-3}, "weight_decay must be a number, 0 or more"),
    "lr beyond float32": ({"lr": 1e300}, r"lr must be a number, positive and at most 1e\+30"),
    "decay beyond float32": ({"weight_decay": 1e31}, r"weight_decay must be a number, 0 or more and at most 1e\+30"),
    "whole batches as a fraction": ({"batch_size": 1e20}, "batch_size must be a whole number of at least 1"),
    "huge batches": ({"batch_size": 10**20}, "batch_size must be a whole number of at least 1"),
    "epochs without end": ({"epochs": 10**10}, "epochs must be a whole number of at least 0"),
    "warm-up in epochs": ({"warmup": 5}, "warmup must be a number, 0 to 1: a share of all steps"),
    "warm-up NaN": ({"warmup": math.nan}, "warmup must be a number, 0 to 1"),
    "schedule": ({"schedule": "triangle"}, "schedule must be one of cosine, constant, linear, step"),
    "keep": ({"keep": "first"}, "keep must be one of last, best"),
    "optimizer": ({"optimizer": None}, "optimizer must be a name"),
    "options as text": ({"options": "momentum"}, "options must be names with values"),
    "options as number": ({"options": 3}, "options must be names with values"),
    "lr as an option": ({"options": {"lr": 0.1}}, "lr is no option of the optimizer"),
    "option twice": ({"options": (("momentum", 0.1), ("momentum", 0.2))}, "option 'momentum' is given twice"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Recipe(**given)


def test_numbers_out_of_range_come_with_a_way_out() -> None:
    for given, hint in (({"lr": 1e300}, "lr=0.01"), ({"batch_size": 1e20}, "batch_size=128"), ({"epochs": -1}, "=5")):
        with pytest.raises(SettingError) as caught:
            Recipe(**given)
        assert caught.value.hint is not None
        assert hint in caught.value.hint
    assert Recipe(lr=1e30, batch_size=10**9, epochs=10**9, warmup=1).warmup == 1.0


def test_equality_hash_and_repr() -> None:
    one = Recipe(optimizer="sgd", lr=1, options={"nesterov": True, "momentum": 0.9})
    other = Recipe(optimizer="sgd", lr=1.0, options=[["momentum", 0.9], ["nesterov", True]])  # type: ignore[arg-type]
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    assert eval(repr(one), {"Recipe": Recipe}) == one
    assert one != one.but(lr=0.5)
    assert one.but(lr=0.5).but(lr=1.0) == one
    assert hash(Recipe(options={"betas": [0.9, 0.99]})) == hash(Recipe(options={"betas": (0.9, 0.99)}))


def test_of_routes_names_that_are_no_field_to_the_optimizer() -> None:
    recipe = Recipe.of({"optimizer": "sgd", "lr": 0.1, "epochs": 3, "momentum": 0.9, "options": {"dampening": 0.5}})
    assert recipe == Recipe(optimizer="sgd", lr=0.1, epochs=3, options={"momentum": 0.9, "dampening": 0.5})
    with pytest.raises(SettingError, match="lr must be a number"):
        Recipe.of({"lr": "fast"})


BUILT = {
    "sgd": (Recipe(optimizer="sgd", lr=0.1, weight_decay=1e-3, options={"momentum": 0.9}), torch.optim.SGD),
    "adam": (Recipe(lr=0.2, options={"betas": (0.8, 0.9)}), torch.optim.Adam),
    "adamw": (Recipe(optimizer="adamw", lr=0.2, weight_decay=0.05), torch.optim.AdamW),
}


@pytest.mark.parametrize(("recipe", "kind"), BUILT.values(), ids=BUILT)
def test_build(recipe: Recipe, kind: type) -> None:
    module = nn.Linear(3, 2)
    optimizer = recipe.build(module)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert [id(one) for one in group["params"]] == [id(one) for one in module.parameters()]
    assert group["lr"] == recipe.lr
    assert group["weight_decay"] == recipe.weight_decay
    for name, value in dict(recipe.options).items():
        assert group[name] == value


def test_an_adamw_of_no_decay_keeps_its_own() -> None:
    assert Recipe(optimizer="adamw").build(nn.Linear(3, 2)).param_groups[0]["weight_decay"] == 0.01  # torch's default


BUILD_ERRORS: dict[str, tuple[Recipe, type[Exception], str]] = {
    "unknown optimizer": (Recipe(optimizer="adm"), UnknownName, "did you mean 'adam'"),
    "unknown option": (Recipe(options={"momentum": 0.9}), SettingError, "'adam' has no option 'momentum'"),
    "option out of range": (Recipe(options={"eps": -1.0}), SettingError, "'adam': Invalid epsilon"),
    "one number of two": (Recipe(options={"betas": 3}), SettingError, "'adam': option 'betas' is 2 numbers"),
    "three numbers of two": (Recipe(options={"betas": [0.1, 0.2, 0.3]}), SettingError, "'betas' is 2 numbers"),
    "texts for numbers": (Recipe(options={"betas": ("a", "b")}), SettingError, "'betas' is 2 numbers"),
    "a number beyond float32": (Recipe(options={"eps": 1e300}), SettingError, "'adam': option 'eps' is a number"),
    "no number": (Recipe(options={"eps": math.nan}), SettingError, "'adam': option 'eps' is a number"),
    "a text for a number": (
        Recipe(optimizer="sgd", options={"momentum": "high"}),
        SettingError,
        "'sgd': option 'momentum' is a number",
    ),
    "a number for a switch": (Recipe(options={"amsgrad": 2}), SettingError, "option 'amsgrad' is True or False"),
    "options that exclude one another": (
        Recipe(optimizer="sgd", options={"nesterov": True}),
        SettingError,
        "'sgd': Nesterov momentum requires a momentum",
    ),
}


@pytest.mark.parametrize(("recipe", "kind", "message"), BUILD_ERRORS.values(), ids=BUILD_ERRORS)
def test_build_errors(recipe: Recipe, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        recipe.build(nn.Linear(3, 2))


def test_a_plug_in_that_takes_any_option() -> None:
    class Anything(torch.optim.SGD):
        def __init__(self, params: Any, **settings: Any) -> None:
            self.colour = settings.pop("colour")
            super().__init__(params, **settings)

    WEIGHT_OPTIMIZERS.add("anything", Anything)
    try:
        built = Recipe(optimizer="anything", options={"colour": "red"}).build(nn.Linear(3, 2))
        assert isinstance(built, Anything)
        assert built.colour == "red"
    finally:
        WEIGHT_OPTIMIZERS._own.pop("anything")


def test_cosine_schedule() -> None:
    recipe = Recipe(lr=0.4)
    assert recipe.learning_rate(0, 6) == 0.4
    assert recipe.learning_rate(2, 6) == pytest.approx(0.3, rel=1e-12)  # (1 + cos 60 degrees) / 2 = 3/4
    assert recipe.learning_rate(3, 6) == pytest.approx(0.2, rel=1e-12)
    assert recipe.learning_rate(6, 6) == pytest.approx(0.0, abs=1e-16)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    for step in range(7):
        assert recipe.learning_rate(step, 7) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_constant_schedule() -> None:
    recipe = Recipe(lr=0.4, schedule="constant")
    assert {recipe.learning_rate(step, 5) for step in range(5)} == {0.4}


def test_warm_up() -> None:
    recipe = Recipe(lr=0.4, schedule="constant", warmup=0.5)
    assert [recipe.learning_rate(step, 6) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_every_field_is_part_of_what_a_request_is_known_by() -> None:
    """All of them change the result; a field left out of the repr would let the cache give a wrong answer."""
    changed = {
        "optimizer": "sgd",
        "lr": 0.5,
        "epochs": 7,
        "batch_size": 3,
        "schedule": "linear",
        "weight_decay": 0.1,
        "keep": "best",
        "options": {"eps": 1e-3},
        "warmup": 0.1,
        "ema": 0.9,
        "self_training": "pseudo-label:1",
        "decayed": "first",
        "augment": "flip",
        "precision": "bfloat16",
        "compile": True,
        "neighbors": "3+2",
    }
    assert set(changed) == {field.name for field in fields(Recipe)}
    network = Network.init(Graph.parse("x = Input((3,))\ny = Linear(2)(x)\nreturn y"))
    keys = {Train(network, Recipe().but(**{name: value})).key for name, value in changed.items()}
    assert len(keys | {Train(network, Recipe()).key}) == len(changed) + 1
