"""Symbolic tracing with known shapes: every value is computed twice without memory, on batches of two sizes.

What is no tensor and the same for both sizes is a plain Python value at once, so that code which branches on shapes,
loops over them or does arithmetic with them is traced as it runs; what differs is a multiple of the batch size and
stays symbolic. Only a branch on the contents of a tensor stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from archgraph.errors import DataError, GraphError
from archgraph.reading.factories import symbolic
from archgraph.reading.geometric import calls_as_they_are
from archgraph.reading.in_place import write_in_place
from archgraph.reading.place import Line, place_of
from archgraph.reading.proxy import BATCHES, GRADS, PLACE, VALUES, Untraceable
from archgraph.reading.root import root_of
from archgraph.reading.tracer import Tracer
from archgraph.reading.twin import Evaluating
from archgraph.reading.without_memory import Shapes

__all__ = ["BATCHES", "GRADS", "PLACE", "VALUES", "Shapes", "Traced", "Untraceable", "trace"]


@dataclass(frozen=True)
class Traced:
    """A model's code as it ran.

    Args:
        root: where the graph's targets are found; the model is its submodule ``model``.
        graph: the calls.
        asked: lines of the user's code that asked whether the model is trained.
    """

    root: nn.Module
    graph: fx.Graph
    asked: tuple[Line, ...]


def trace(twin: nn.Module, shapes: Shapes, *, training: bool = False) -> Traced:
    """Trace a model.

    Args:
        twin: the model without memory, in eval mode.
        shapes: of its inputs.
        training: what the user's code finds as ``self.training``.

    Raises:
        DataError: when the code depends on the contents of a tensor.
        Untraceable: when it does something else that cannot be followed.
    """
    root = root_of(twin, tuple(shapes))
    tracer = Tracer(shapes)
    flag = Evaluating(training)
    marked = [module for module in twin.modules() if not tracer.is_leaf(module)]
    for module in marked:
        module.training = flag  # type: ignore[assignment]
    try:
        with torch.no_grad(), symbolic(tracer.create_proxy), calls_as_they_are(), _watched(tracer):
            graph = tracer.trace(root)
    except Untraceable as error:
        raise Untraceable(error.what, hint=error.hint, place=error.place or place_of(error)) from error
    except (DataError, GraphError):
        raise
    except Exception as error:  # whatever the user's code raises on proxies
        raise Untraceable(f"the model's code cannot be traced: {_first_line(error)}", place=place_of(error)) from error
    finally:
        for module in marked:
            module.training = False
    write_in_place(graph)
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    return Traced(root, graph, tuple(dict.fromkeys(flag.asked)))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _watched(tracer: Tracer) -> Iterator[None]:
    """Count how deep the user's code is in ``torch.no_grad()``."""
    kinds: tuple[Any, ...] = (torch.no_grad, torch.inference_mode)
    own = [(kind, kind.__enter__, kind.__exit__) for kind in kinds]

    def watch(kind: Any, enter: Any, leave: Any) -> None:
        def entered(self: Any) -> Any:
            tracer.without_grads += 1
            return enter(self)

        def left(self: Any, *error: Any) -> Any:
            tracer.without_grads -= 1
            return leave(self, *error)

        kind.__enter__, kind.__exit__ = entered, left

    try:
        for kind, enter, leave in own:
            watch(kind, enter, leave)
        yield
    finally:
        for kind, enter, leave in own:
            kind.__enter__, kind.__exit__ = enter, leave
