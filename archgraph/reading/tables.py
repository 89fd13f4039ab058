"""The tables of calls that can be read: layers of ``torch.nn`` by class, functions and methods of torch by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from archgraph.errors import SettingError, UnknownName
from archgraph.graph import Op
from archgraph.reading.reader import NotRead
from archgraph.registry import OPS

Rule = Callable[..., Any]

FUNCTIONS: dict[str, Rule] = {}
"""By name: how a call becomes nodes; called with the reader and the call's arguments."""

MODULES: dict[type[nn.Module], Rule] = {}
"""By class: how a layer becomes nodes; called with the reader, the layer and the call's arguments."""


def function(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for functions and methods of these names; an in-place variant ``name_`` is meant too."""

    def enter(rule: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        return rule

    return enter


def layer(*kinds: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Enter a rule for layers of these classes (not of their subclasses)."""

    def enter(rule: Rule) -> Rule:
        MODULES.update(dict.fromkeys(kinds, rule))
        return rule

    return enter


def make(name: str, *arguments: Any, **options: Any) -> Op:
    """Return an op of the op set by name.

    Raises:
        NotRead: when it does not take these arguments.
    """
    try:
        op = OPS.get(name)(*arguments, **options)
    except (SettingError, UnknownName) as error:
        raise NotRead(f"does not fit the op set ({error.what})") from None
    assert isinstance(op, Op)
    return op
