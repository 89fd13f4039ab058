"""The house stands: no import of the real tree breaks a wall, and each wall is shown to stop what it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import walls
from tests.house.imports import imports, modules

ROOT = Path(__file__).resolve().parents[2]
Rule = Callable[[Path], list[str]]


def build(root: Path, files: dict[str, str]) -> Path:
    """Write ``files`` under ``root``, with an ``__init__.py`` in each of their folders."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.parents:
            if folder != root and root in folder.parents:
                (folder / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("rule", walls.RULES, ids=lambda rule: rule.__name__)
def test_the_house_stands(rule: Rule) -> None:
    complaints = rule(ROOT)
    assert not complaints, "\n" + "\n".join(complaints)


def test_the_real_tree_is_read() -> None:
    assert {"archgraph", "archgraph.errors", "archgraph.graph", "optimizers"} <= set(modules(ROOT))
    read = {(found.source, found.target) for found in imports(ROOT)}
    assert ("archgraph.registry", "archgraph.errors") in read


UP = "archgraph/moves/split.py"
DRIVER = "optimizers/firefly.py"
BROKEN: list[tuple[str, Rule, dict[str, str], str]] = [
    ("upwards", walls.floors, {"archgraph/graph/a.py": "\nimport archgraph.net.network\n"}, "archgraph/graph/a.py:2:"),
    ("siblings", walls.floors, {UP: "from archgraph.ops import Linear\n"}, f"{UP}:1:"),
    (
        "siblings on floor 4",
        walls.floors,
        {"archgraph/tasks/a.py": "import archgraph.export\n"},
        "archgraph/tasks/a.py:1:",
    ),
    ("siblings on floor 1", walls.floors, {"archgraph/rng.py": "import archgraph.errors\n"}, "archgraph/rng.py:1:"),
    (
        "graph and linalg",
        walls.floors,
        {"archgraph/linalg/a.py": "import archgraph.graph\n"},
        "archgraph/linalg/a.py:1:",
    ),
    ("door is one-way", walls.floors, {"archgraph/report/a.py": "import archgraph.cli\n"}, "archgraph/report/a.py:1:"),
    ("in a function", walls.floors, {UP: "def f():\n    if 1:\n        from archgraph.net import N\n"}, f"{UP}:3:"),
    ("for typing only", walls.floors, {UP: "if TYPE_CHECKING:\n    import archgraph.search.study\n"}, f"{UP}:2:"),
    ("relative", walls.floors, {UP: "from ..net.network import Network\n"}, f"{UP}:1:"),
    ("relative to the package", walls.floors, {UP: "from .. import net\n", "archgraph/net/a.py": ""}, f"{UP}:1:"),
    ("relative in a package", walls.floors, {"archgraph/ops/__init__.py": "from ..net import a\n"}, "__init__.py:1:"),
    ("by name", walls.floors, {UP: "import importlib\nimportlib.import_module('archgraph.net')\n"}, f"{UP}:2:"),
    ("one of several", walls.floors, {UP: "import os, archgraph.graph, archgraph.net\n"}, f"{UP}:1:"),
    ("through the facade", walls.floors, {UP: "import archgraph as ag\n"}, f"{UP}:1:"),
    ("room by facade", walls.floors, {UP: "from archgraph import net\n", "archgraph/net/a.py": ""}, f"{UP}:1:"),
    ("unknown room", walls.floors, {UP: "import archgraph.cellar\n"}, "archgraph.cellar is on no floor"),
    ("archgraph to drivers", walls.floors, {"archgraph/cli/a.py": "import optimizers\n"}, "archgraph/cli/a.py:1:"),
    ("facade to drivers", walls.floors, {"archgraph/__init__.py": "def f():\n    import optimizers.growth\n"}, "py:2:"),
    ("facade's table", walls.floors, {"archgraph/__init__.py": "T = {'A': 'optimizers.a:A'}\n"}, "__init__.py:1:"),
    ("facade too eager", walls.floors, {"archgraph/__init__.py": "import archgraph.cli.main\n"}, "__init__.py:1:"),
    ("driver to driver", walls.floors, {DRIVER: "import optimizers.splitting\n"}, f"{DRIVER}:1:"),
    ("driver to package", walls.floors, {DRIVER: "from optimizers import A\n"}, f"{DRIVER}:1:"),
    ("growth to driver", walls.floors, {"optimizers/growth.py": "import optimizers.firefly\n"}, "growth.py:1:"),
    ("no floor", walls.rooms, {"archgraph/cellar/wine.py": ""}, "archgraph/cellar/wine.py:1:"),
    ("torch in graph", walls.torch_free, {"archgraph/graph/a.py": "def f():\n    import torch.nn\n"}, "graph/a.py:2:"),
    (
        "torch below graph",
        walls.torch_free,
        {"archgraph/rng.py": "from torch import Generator\n"},
        "archgraph/rng.py:1:",
    ),
    (
        "circle of two",
        walls.circles,
        {"archgraph/net/a.py": "import archgraph.net.b\n", "archgraph/net/b.py": "\nfrom archgraph.net.a import x\n"},
        "archgraph/net/b.py:2:",
    ),
    (
        "circle through the package",
        walls.circles,
        {"archgraph/ops/__init__.py": "from archgraph.ops.a import A\n", "archgraph/ops/a.py": "from . import B\n"},
        "archgraph/ops/a.py:1:",
    ),
    ("heap", walls.names, {"archgraph/net/utils.py": ""}, "archgraph/net/utils.py:1:"),
    ("heap of tests", walls.names, {"tests/net/test_helpers.py": ""}, "tests/net/test_helpers.py:1:"),
    ("heap folder", walls.names, {"optimizers/common/a.py": ""}, "optimizers/common:1:"),
    ("too long", walls.lengths, {"archgraph/net/a.py": "x = 1\n" * 401}, "archgraph/net/a.py:401:"),
]


@pytest.mark.parametrize(("rule", "files", "place"), [pytest.param(*case, id=name) for name, *case in BROKEN])
def test_a_broken_wall_is_named(rule: Rule, files: dict[str, str], place: str, tmp_path: Path) -> None:
    complaints = rule(build(tmp_path, files))
    assert any(place in complaint for complaint in complaints), complaints


def test_a_circle_is_reported_import_by_import(tmp_path: Path) -> None:
    ring = {"a": "b", "b": "c", "c": "a"}
    build(tmp_path, {f"archgraph/net/{this}.py": f"import archgraph.net.{other}\n" for this, other in ring.items()})
    assert sorted(walls.circles(tmp_path)) == [
        f"archgraph/net/{this}.py:1: archgraph.net.{this} imports archgraph.net.{other}: a circle"
        for this, other in ring.items()
    ]


def test_a_folder_that_is_no_package_is_named(tmp_path: Path) -> None:
    build(tmp_path, {"archgraph/net/a.py": ""})
    (tmp_path / "archgraph/net/__init__.py").unlink()
    assert [line.partition(":")[0] for line in walls.packages(tmp_path)] == ["archgraph/net/__init__.py"]


def test_what_is_allowed_passes_all_rules(tmp_path: Path) -> None:
    root = build(
        tmp_path,
        {
            "archgraph/__init__.py": "from archgraph import ops\ndef f():\n    import archgraph.cli.main\n",
            "archgraph/errors.py": "import difflib\n",
            "archgraph/rng.py": "",
            "archgraph/registry.py": "from archgraph.errors import SettingError\n",
            "archgraph/graph/node.py": "import archgraph.registry\nfrom .shape import Shape\nimport torchlike\n",
            "archgraph/graph/shape.py": "def f():\n    from archgraph.graph.node import Node\n",  # later: no circle
            "archgraph/linalg/lanczos.py": "import torch\n",
            "archgraph/ops/__init__.py": "from archgraph.ops.linear import Linear\n",
            "archgraph/ops/linear.py": "import torch\nfrom archgraph.graph.node import Node\n",
            "archgraph/evaluation/trainer.py": "from archgraph import errors\nfrom archgraph.tasks import a\n",
            "archgraph/cli/main.py": "import archgraph as ag\nfrom archgraph.report import table\n" + "x = 1\n" * 398,
            "optimizers/__init__.py": "from optimizers.splitting import SplittingDescent\n",
            "optimizers/growth.py": "from archgraph.search import Driver\n",
            "optimizers/splitting.py": "from optimizers.growth import rule\nimport archgraph as ag\n",
        },
    )
    assert [complaint for rule in walls.RULES for complaint in rule(root)] == []
