"""``import archgraph`` loads no heavy part; those load when they are used. Modules are counted, not seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"botorch", "torch_geometric", "optuna", "ray", "onnx", "matplotlib", "sklearn", "networkx"}


def loaded_by(statement: str) -> set[str]:
    """Run ``statement`` in a fresh process; return the top-level packages that it left in ``sys.modules``."""
    probe = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_import_archgraph_loads_nothing_heavy() -> None:
    loaded = loaded_by("import archgraph\nassert archgraph.__file__ is not None, 'archgraph/__init__.py is missing'")
    assert "archgraph" in loaded
    assert loaded & HEAVY == set()


def test_the_probe_sees_a_heavy_package() -> None:
    assert loaded_by("import networkx") & HEAVY == {"networkx"}
