"""Spaces by name: entries of the group ``archgraph.spaces``, made for a seed graph from settings as text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from archgraph.errors import ArchGraphError, SettingError, UnknownName
from archgraph.graph import Graph
from archgraph.search.driver import read_value
from archgraph.spaces import Space
from archgraph.spaces.located import located

SPACE = "space"
"""Setting of drivers that names the space."""


SEED = "graph"
"""First argument of a space that is made for a seed graph."""


def find_space(name: str, graph: Graph, settings: Mapping[str, str]) -> Space:
    """Return the space registered as ``name``, made for a seed graph.

    Args:
        name: an entry point of the group ``archgraph.spaces``, or what was added to the registry in this process, or
            ``file.py:name`` or ``module:name``: a space, or a callable whose first argument is the seed graph, if it
            needs one.
        graph: gives the input shape, the number of outputs, or what is varied.
        settings: of the space, as text.

    Raises:
        UnknownName: when there is no such space, or no such setting of it.
        SettingError: when a value cannot be used, or what is registered fails or makes no space.
    """
    entry, known = _entry(name), space_settings(name)
    hints = get_type_hints(vars(entry)["__init__"] if isinstance(entry, type) else entry)
    values: dict[str, Any] = {}
    for one, text in settings.items():
        if one not in known:
            raise UnknownName.among(f"setting of space {name!r}", one, known)
        values[one] = read_value(text, hints.get(one, Any), f"setting {one!r} of space {name!r}", known[one])
    seeds = inspect.signature(entry).parameters.keys() - known.keys()
    try:
        space = entry(*([graph] if seeds else []), **values)
    except ArchGraphError:
        raise
    except Exception as error:
        raise SettingError(
            f"space {name!r} cannot be made: {type(error).__name__}: {error}",
            expected="a Space, or a function that takes the seed graph or nothing and returns one",
            hint="decorate a function that asks for parameters with @archgraph.space",
        ) from error
    if not isinstance(space, Space):
        raise SettingError(f"what is registered as space {name!r} makes none", expected="a Space", got=repr(space))
    return space


def space_settings(name: str) -> dict[str, Any]:
    """Return the settings of the space registered as ``name``, with their defaults.

    Raises:
        UnknownName: when there is no such space.
    """
    arguments = list(inspect.signature(_entry(name)).parameters.values())
    settings = arguments[1:] if arguments and arguments[0].name == SEED else arguments
    return {one.name: one.default for one in settings if one.default is not inspect.Parameter.empty}


def _entry(name: str) -> Any:
    """Return what makes the space, of a space that is there already, too."""
    entry = located(name)
    if isinstance(entry, Space):
        return lambda: entry
    if not callable(entry):
        raise SettingError(f"{name!r} is no space and makes none", expected="a Space, or a function", got=repr(entry))
    return entry
