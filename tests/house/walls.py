"""The walls of the house: each rule reads a source tree and returns its complaints, one ``file:line: ...`` each.

    10 optimizers/*         cli/       testing/   comparison/
    9  report/   continual/
    8  search/
    7  workers/
    6  evaluation/
    5  scoring/  generators/
    4  export/   tasks/     spaces/    reading/   overgrown/   features/
    3  ops/      net/       moves/     metrics/   criteria/
    2  graph/    linalg/    storage/   registry.py checks.py
    1  errors.py files.py octets.py rng.py

A file imports only from lower floors and from its own folder.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

from tests.house.imports import PACKAGES, Import, imports, modules

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "files", "octets", "rng"),
    ("registry", "checks", "graph", "linalg", "storage"),
    ("ops", "net", "moves", "metrics", "criteria"),
    ("export", "tasks", "spaces", "reading", "overgrown", "features"),
    ("scoring", "generators"),
    ("evaluation",),
    ("workers",),
    ("search",),
    ("report", "continual"),
    ("cli", "testing", "comparison"),
)
FLOOR_OF = {f"archgraph.{room}": floor for floor, rooms in enumerate(FLOORS, start=1) for room in rooms}
TOP = len(FLOORS)

# Doors between two rooms of one floor, each with its reason.
DOORS = {
    ("archgraph.graph", "archgraph.registry"),  # the text form finds ops by their registered names
    ("archgraph.linalg", "archgraph.registry"),  # a plug-in's table is below what it names
    ("archgraph.tasks", "archgraph.spaces"),  # a table is looked up by what the graphs of its space are
    ("archgraph.cli", "archgraph.comparison"),  # the command line runs comparisons
}

TORCH_FREE = {"archgraph.errors", "archgraph.rng", "archgraph.registry", "archgraph.checks", "archgraph.graph"}
TORCH = ("torch", "torchvision", "torchmetrics", "torch_geometric", "botorch", "gpytorch", "safetensors.torch")

SHARED_DRIVER_PARTS = {"optimizers.bayesian", "optimizers.growth", "optimizers.proposing"}
HOMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}
LONGEST = 400
FOLDERS = (*PACKAGES, "tests", "examples", "benchmarks")


def room(module: str) -> str:
    """Return the room that ``module`` is in: the first two parts of its dotted name."""
    return ".".join(module.split(".")[:2])


def floors(root: Path) -> list[str]:
    """Every import goes to a lower floor, to the same room or through a door."""
    return [f"{found}: {why}" for found in imports(root) if (why := _objection(found))]


def _objection(found: Import) -> str | None:
    source, target = room(found.source), room(found.target)
    if source == target:
        return None
    if target.split(".")[0] not in PACKAGES:
        return None
    if source.startswith("optimizers"):
        return _objection_to_driver(source, target)
    if target.startswith("optimizers"):
        return "archgraph never imports optimizers; it finds drivers through entry points"
    if source == "archgraph":  # the facade
        lazy = found.when != "file"
        return None if lazy or FLOOR_OF.get(target, TOP) < TOP else "the facade loads this only lazily"
    if source not in FLOOR_OF:
        return f"{source} is on no floor: give it one in tests/house/walls.py"
    if target == "archgraph":
        return None if FLOOR_OF[source] == TOP else "the facade is only for those above it"
    if target not in FLOOR_OF:
        return f"{target} is on no floor: give it one in tests/house/walls.py"
    if FLOOR_OF[target] < FLOOR_OF[source] or (source, target) in DOORS:
        return None
    return f"floor {FLOOR_OF[target]} is not below floor {FLOOR_OF[source]}"


def _objection_to_driver(source: str, target: str) -> str | None:
    if source == "optimizers" or not target.startswith("optimizers"):  # the face of the package; archgraph is below
        return None
    if target in SHARED_DRIVER_PARTS:
        return None
    return "drivers do not import one another; what they share is in optimizers/growth.py"


def rooms(root: Path) -> list[str]:
    """Every module of archgraph is in a room with a floor."""
    return [
        f"{file.relative_to(root)}:1: {room(module)} is on no floor: give it one in tests/house/walls.py"
        for module, file in modules(root).items()
        if module.startswith("archgraph.") and room(module) not in FLOOR_OF
    ]


def torch_free(root: Path) -> list[str]:
    """Graph values, and what lies below them, load no torch."""
    return [
        f"{found}: {room(found.source)} has no torch"
        for found in imports(root)
        if room(found.source) in TORCH_FREE and any(f"{found.target}.".startswith(f"{name}.") for name in TORCH)
    ]


def circles(root: Path) -> list[str]:
    """No two files need each other to be imported; the first circle found is reported, one line an import."""
    edges = {
        (found.source, found.target): found
        for found in reversed(imports(root))
        if found.when == "file" and found.source != found.target
    }
    sorter: TopologicalSorter[str] = TopologicalSorter()
    known = modules(root)
    for source, target in sorted(edges):
        if target in known:
            sorter.add(source, target)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = error.args[1]  # each is imported by the next
        return [f"{edges[later, earlier]}: a circle" for earlier, later in pairwise(cycle)]
    return []


def packages(root: Path) -> list[str]:
    """Every folder of code has an ``__init__.py``, or the wheel would leave it out."""
    folders = {file.parent for file in modules(root).values()}
    return [
        f"{folder.relative_to(root)}/__init__.py:1: missing, so the wheel leaves this folder out"
        for folder in sorted(folders)
        if not (folder / "__init__.py").is_file()
    ]


def names(root: Path) -> list[str]:
    """No file or folder is a heap: a homeless function names the room that is missing."""
    return [
        f"{path.relative_to(root)}:1: name it for what is in it"
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*"))
        if (path.is_dir() or path.suffix == ".py") and path.stem.removeprefix("test_").strip("_") in HOMELESS
    ]


def lengths(root: Path) -> list[str]:
    """No file of the two import packages is longer than one noun needs."""
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in modules(root).values()}
    return [
        f"{file.relative_to(root)}:{LONGEST + 1}: {count} lines, more than {LONGEST}: it is more than one noun"
        for file, count in lines.items()
        if count > LONGEST
    ]


RULES = (floors, rooms, torch_free, circles, packages, names, lengths)
