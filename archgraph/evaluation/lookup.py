"""Answers from tables: a training is looked up, and billed for what it has cost those who did it."""

from __future__ import annotations

from archgraph.errors import SettingError
from archgraph.evaluation.recipe import Recipe
from archgraph.evaluation.report import Ledger, Report
from archgraph.evaluation.request import Request, Train
from archgraph.net import Network
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular

NODES = Recipe(epochs=200, schedule="constant", keep="best", weight_decay=5e-4, decayed="first")
"""Of networks on one graph, whose epochs are single steps: as Kipf and Welling, arXiv 1609.02907, section 5.2."""


def usual_recipe(task: Task) -> Recipe:
    """Return the recipe where none is given: on a table, as many epochs as are usual there."""
    if isinstance(task, Tabular):
        return Recipe(epochs=task.epochs)
    return Recipe() if task.graph is None else NODES


def looked_up(request: Request, task: Tabular) -> Report:
    """Return the report on a training that a table has.

    It has neither network nor curve. Seeds, and all of the recipe but its epochs, make no difference.

    Raises:
        SettingError: when the table has no such training, or something else is asked for.
        GraphError: when the architecture is not of the table's space.
    """
    if not isinstance(request, Train) or isinstance(request.subject, Network):
        raise SettingError(
            f"task {task.name!r} is answered from a table, which knows graphs and no weights",
            expected="the training of a graph",
            got=type(request).__name__ if not isinstance(request, Train) else "the training of a network",
            hint="a driver that searches a space, such as evolution",
        )
    if request.fidelity.data != 1.0:
        raise SettingError(f"the table of {task.name!r} has trainings on all data only", got=request.fidelity)
    epochs = request.fidelity.last(request.recipe.epochs)
    metrics = task.table.lookup(request.subject, epochs)
    fidelity = request.fidelity.within(request.recipe.epochs)
    return Report("", metrics, ledger=table_bill(request, task, metrics.get("macs", 0.0)), fidelity=fidelity)


def table_bill(request: Train, task: Tabular, macs: float = 0.0) -> Ledger:
    """Return what a training in a table has cost, as far as the table tells.

    Args:
        request: what was asked.
        task: has the table.
        macs: of a forward pass on one sample.
    """
    epochs = request.fidelity.last(request.recipe.epochs)
    samples = epochs * task.table.samples.get(epochs, 0)
    return Ledger(epochs=float(epochs), samples=samples, train_macs=round(3 * macs * samples))
