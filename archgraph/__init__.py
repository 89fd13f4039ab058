"""archgraph: neural-architecture search on editable graphs.

An architecture is a :class:`Graph`, a value. With weights it is a :class:`Network`. Moves rewrite either; drivers
search; one backend evaluates; the best network leaves as plain PyTorch. Heavy parts load when they are first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archgraph import errors, metrics, moves, ops
from archgraph.graph import Edit, Graph, GraphBuilder, Node, Op, Shape, UnitMap, chain
from archgraph.moves import Move
from archgraph.net import Network

__version__ = "0.1.0"

_LATER = {
    "Budget": "archgraph.search",
    "Calibrate": "archgraph.evaluation",
    "Comparison": "archgraph.comparison",
    "Conditions": "archgraph.metrics",
    "Constraint": "archgraph.search",
    "Driver": "archgraph.search",
    "Fidelity": "archgraph.evaluation",
    "Goal": "archgraph.search",
    "Loss": "archgraph.tasks",
    "Measure": "archgraph.evaluation",
    "Objective": "archgraph.search",
    "Recipe": "archgraph.evaluation",
    "Report": "archgraph.evaluation",
    "Score": "archgraph.evaluation",
    "Study": "archgraph.search",
    "Task": "archgraph.tasks",
    "Train": "archgraph.evaluation",
    "breakdown": "archgraph.evaluation",
    "compare": "archgraph.comparison",
    "export": "archgraph.export",
    "from_torch": "archgraph.reading",
    "learn": "archgraph.continual",
    "load_study": "archgraph.search",
    "measure": "archgraph.evaluation.measurement",
    "reproduce": "archgraph.search",
    "score": "archgraph.scoring",
    "search": "archgraph.search",
    "space": "archgraph.spaces",
    "task": "archgraph.tasks.catalogue",
}

if TYPE_CHECKING:
    from archgraph.comparison import Comparison, compare  # type: ignore[no-redef]
    from archgraph.continual import learn  # type: ignore[no-redef]
    from archgraph.evaluation import Calibrate, Fidelity, Measure, Recipe, Report, Score, Train, breakdown
    from archgraph.evaluation.measurement import measure
    from archgraph.export import export  # type: ignore[no-redef]  # a function and a folder: see _Facade
    from archgraph.metrics import Conditions
    from archgraph.reading import from_torch
    from archgraph.scoring import score
    from archgraph.search import (  # type: ignore[no-redef]
        Budget,
        Constraint,
        Driver,
        Goal,
        Objective,
        Study,
        load_study,
        reproduce,
        search,
    )
    from archgraph.spaces import space  # type: ignore[no-redef]
    from archgraph.tasks import Loss, Task
    from archgraph.tasks.catalogue import task


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'archgraph' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


class _Facade(ModuleType):
    """Keeps ``archgraph.search`` and ``archgraph.export`` functions when the folders of those names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _LATER and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


__all__ = [
    "Budget",
    "Calibrate",
    "Comparison",
    "Conditions",
    "Constraint",
    "Driver",
    "Edit",
    "Fidelity",
    "Goal",
    "Graph",
    "GraphBuilder",
    "Loss",
    "Measure",
    "Move",
    "Network",
    "Node",
    "Objective",
    "Op",
    "Recipe",
    "Report",
    "Score",
    "Shape",
    "Study",
    "Task",
    "Train",
    "UnitMap",
    "__version__",
    "breakdown",
    "chain",
    "compare",
    "errors",
    "export",
    "from_torch",
    "learn",
    "load_study",
    "measure",
    "metrics",
    "moves",
    "ops",
    "reproduce",
    "score",
    "search",
    "space",
    "task",
]
