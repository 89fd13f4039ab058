"""Recipes from text: every field, options of the optimizer, what a later recipe takes over, and clear refusals."""

from __future__ import annotations

import pytest

from archgraph import Recipe
from archgraph.cli.recipes import read_recipe
from archgraph.errors import ArchGraphError, SettingError, UnknownName

READ: dict[str, tuple[dict[str, str], Recipe]] = {
    "nothing": ({}, Recipe()),
    "numbers": (
        {"lr": "0.5", "epochs": "3", "batch_size": "7", "warmup": "0.1", "ema": "0.99"},
        Recipe(lr=0.5, epochs=3, batch_size=7, warmup=0.1, ema=0.99),
    ),
    "names": (
        {"optimizer": "sgd", "schedule": "step", "keep": "best", "precision": "bfloat16"},
        Recipe(optimizer="sgd", schedule="step", keep="best", precision="bfloat16"),
    ),
    "a switch": ({"compile": "True"}, Recipe(compile=True)),
    "augmentation": ({"augment": "shift:2+flip"}, Recipe(augment=("shift:2", "flip"))),
    "augmentation as a tuple": ({"augment": "('crop:4', 'cutout:8')"}, Recipe(augment=("crop:4", "cutout:8"))),
    "one augmentation": ({"augment": "flip"}, Recipe(augment=("flip",))),
    "options": (
        {"betas": "(0.8, 0.9)", "amsgrad": "True", "eps": "1e-7"},
        Recipe(options={"betas": (0.8, 0.9), "amsgrad": True, "eps": 1e-7}),
    ),
}


@pytest.mark.parametrize(("texts", "wanted"), READ.values(), ids=READ)
def test_texts(texts: dict[str, str], wanted: Recipe) -> None:
    assert read_recipe(texts) == wanted


def test_a_later_recipe_takes_over_what_it_does_not_name() -> None:
    base = Recipe(optimizer="sgd", lr=0.3, ema=0.9, augment="flip", options={"momentum": 0.9})
    assert read_recipe({"lr": "0.1"}, base) == base.but(lr=0.1)
    assert read_recipe({"augment": "", "ema": "None"}, base) == base.but(augment=(), ema=None)
    assert read_recipe({"optimizer": "adam"}, base) == base.but(optimizer="adam", options=())


def test_steps_that_curvature_scales_have_a_learning_rate_of_their_own() -> None:
    base = Recipe(lr=0.01, epochs=7)
    assert read_recipe({"optimizer": "natural-gradient"}, base) == base.but(optimizer="natural-gradient", lr=0.1)
    assert read_recipe({"optimizer": "natural-gradient", "lr": "0.2"}, base).lr == 0.2
    assert read_recipe({"epochs": "9"}, Recipe("natural-gradient", lr=0.3)).lr == 0.3


WRONG: dict[str, tuple[dict[str, str], type[ArchGraphError], list[str]]] = {
    "unknown name": ({"emma": "0.9"}, UnknownName, ["unknown setting of the recipe 'emma'", "did you mean 'ema'"]),
    "unknown augmentation": ({"augment": "flop"}, UnknownName, ["unknown augmentation 'flop'", "'flip'"]),
    "augmentation without its number": ({"augment": "shift"}, SettingError, ["shift takes a number of pixels"]),
    "augmentation as a number": ({"augment": "3"}, SettingError, ["'augment'", "got:      3"]),
    "batches beyond counting": ({"batch_size": "1e20"}, SettingError, ["'batch_size'", "int, for example 128"]),
    "huge batches": ({"batch_size": "1" + "0" * 20}, SettingError, ["batch_size must be a whole", "batch_size=128"]),
    "a rate beyond float32": ({"lr": "1e300"}, SettingError, ["lr must be a number, positive and at most", "lr=0.01"]),
    "a rate beyond floats": ({"lr": "1e999"}, SettingError, ["lr must be a number", "got:      inf"]),
    "a module": ({"optimizer": "natural-gradient", "module": "5"}, UnknownName, ["setting of the recipe 'module'"]),
    "betas": ({"betas": "3"}, SettingError, ["option 'betas' is 2 numbers", "betas=(0.9, 0.999)"]),
    "betas out of range": ({"betas": "(3, 4)"}, SettingError, ["adam", "Invalid beta"]),
    "a switch": ({"compile": "yes"}, SettingError, ["'compile'", "bool, for example False"]),
    "precision": ({"precision": "half"}, SettingError, ["precision must be one of float32, bfloat16, float16"]),
    "a bomb of brackets": ({"betas": "(" * 5000}, SettingError, ["option 'betas' is 2 numbers"]),
}


@pytest.mark.parametrize(("texts", "kind", "said"), WRONG.values(), ids=WRONG)
def test_wrong_texts(texts: dict[str, str], kind: type[ArchGraphError], said: list[str]) -> None:
    with pytest.raises(kind) as caught:
        read_recipe(texts)
    for part in said:
        assert part in str(caught.value)
