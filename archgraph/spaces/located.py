"""Spaces by where they are written: a registered name, ``file.py:name`` or ``package.module:name``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from archgraph.errors import ArchGraphError, SpaceError, UnknownName
from archgraph.registry import SPACES


def located(place: str) -> Any:
    """Return what a name stands for: a space, or what makes one.

    A file is run, as Python runs it on import, once in a process.

    Args:
        place: a registered name; or a Python file or module, a colon and the name of what it defines.

    Raises:
        UnknownName: when nothing is registered so, or the file or module defines nothing of that name.
        SpaceError: when there is no such file or module, it fails, or a file is named without what it defines.
    """
    where, colon, name = place.rpartition(":")
    if not colon and place.endswith(".py"):
        raise SpaceError(f"{place!r} names a file, and no space in it", expected="file.py:name")
    if not colon:
        return SPACES.get(place)
    try:
        module = _run(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except ArchGraphError:
        raise
    except Exception as error:
        raise SpaceError(
            f"space {place!r} cannot be read: {type(error).__name__}: {error}",
            expected=None if where.endswith(".py") else "file.py:name or package.module:name",
        ) from error
    if not hasattr(module, name):
        raise UnknownName.among(f"name in {where}", name, [one for one in vars(module) if not one.startswith("_")])
    return getattr(module, name)


def _run(file: Path) -> Any:
    if not file.is_file():
        raise SpaceError(f"there is no file {str(file)!r}", expected="file.py:name")
    path = file.resolve()
    name = f"{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
