"""The import statements of a source tree, read from its syntax trees without running anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PACKAGES = ("archgraph", "optimizers")
When = Literal["file", "function", "typing"]  # on import of the file, inside a function, under TYPE_CHECKING

_DRIVER_PATH = re.compile(r"optimizers(\.\w+)+(:\w+)?")  # "optimizers.splitting:SplittingDescent" in a lazy table


@dataclass(frozen=True)
class Import:
    """One imported module: ``source`` at ``file:line`` imports ``target``."""

    file: str
    line: int
    source: str
    target: str
    when: When

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.source} imports {self.target}"


def modules(root: Path) -> dict[str, Path]:
    """Map the dotted name of every module of the two import packages under ``root`` to its file."""
    found = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(root: Path) -> list[Import]:
    """Read all imports of the two import packages under ``root``, those inside functions included."""
    known = modules(root)
    return [found for name, file in known.items() for found in _Reader(root, name, file, set(known)).read()]


class _Reader:
    def __init__(self, root: Path, module: str, file: Path, known: set[str]) -> None:
        self.path, self.module, self.file, self.known = str(file.relative_to(root)), module, file, known

    def read(self) -> Iterator[Import]:
        tree = ast.parse(self.file.read_text(encoding="utf-8"), self.path)
        for node, when in _walk(tree, "file"):
            for target in dict.fromkeys(self._targets(node)):
                yield Import(self.path, node.lineno, self.module, target, when)

    def _targets(self, node: ast.stmt | ast.expr) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(names=names):
                base = self._base(node)
                for alias in names:
                    inner = f"{base}.{alias.name}"
                    yield inner if inner in self.known else base
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
                if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                    yield node.args[0].value
            case ast.Constant(value=str(text)) if _DRIVER_PATH.fullmatch(text):
                yield text.partition(":")[0]

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.file.name == "__init__.py"
        parts = self.module.split(".")
        above = parts[: len(parts) - node.level + is_package]
        return ".".join([*above, *([node.module] if node.module else [])])


def _walk(node: ast.AST, when: When) -> Iterator[tuple[ast.stmt | ast.expr, When]]:
    """Yield all statements and expressions under ``node`` with the time at which they run."""
    if isinstance(node, ast.stmt | ast.expr):
        yield node, when
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for statement in node.body:
            yield from _walk(statement, "typing")
        for statement in node.orelse:
            yield from _walk(statement, when)
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        when = "function"
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, when)
