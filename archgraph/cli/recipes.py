"""Recipes from the command line, checked before anything long begins."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import nn

from archgraph.errors import UnknownName
from archgraph.evaluation import Recipe
from archgraph.registry import WEIGHT_OPTIMIZERS
from archgraph.search import read_settings

OWN = tuple(field.name for field in fields(Recipe) if field.name != "options")
_NO_SETTINGS = ("params", "module")  # what an optimizer is given and no text can say


def read_recipe(texts: Mapping[str, str], base: Recipe | None = None) -> Recipe:
    """Build a recipe from text; names that are no field of a recipe are options of its optimizer.

    Args:
        texts: settings by name.
        base: where everything not named comes from; its optimizer's options only if the optimizer stays, and its
            learning rate not if another one divides by curvature, which has a usual one of its own.

    Raises:
        UnknownName: when neither the recipe nor the optimizer knows a name; the nearest is suggested.
        SettingError: when a value cannot be used.
    """
    base = base or Recipe()
    own = read_settings(Recipe, {name: text for name, text in texts.items() if name in OWN})
    kind = WEIGHT_OPTIMIZERS.get(own.get("optimizer", base.optimizer))
    taken = {name: one for name, one in inspect.signature(kind).parameters.items() if name not in _NO_SETTINGS}
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
    options: dict[str, Any] = {}
    for name in texts.keys() - set(OWN):
        if name not in taken and not anything:
            raise UnknownName.among("setting of the recipe", name, {*OWN, *taken})
        options[name] = _literal(texts[name])
    if "optimizer" in own and own["optimizer"] != base.optimizer and "lr" not in own and hasattr(kind, "curvature"):
        own["lr"] = taken["lr"].default  # of steps that the curvature scales, others' rates say nothing
    kept = dict(base.options) if own.get("optimizer", base.optimizer) == base.optimizer else {}
    recipe = base.but(**own, options={**kept, **options})
    recipe.but(decayed="").build(nn.Linear(1, 1))  # says at once what the optimizer would say later
    return recipe


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
