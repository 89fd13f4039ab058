"""What a training costs, counted and not measured: passes, samples and multiply-accumulates."""

from __future__ import annotations

from archgraph.evaluation.feed import run_through
from archgraph.evaluation.fit import graph_of
from archgraph.evaluation.report import Ledger
from archgraph.evaluation.request import Train
from archgraph.metrics import macs
from archgraph.tasks import Task


def training_bill(
    request: Train, task: Task, epochs: int, validations: int, *, tested: bool = False, runs: int = 0
) -> Ledger:
    """Return the bill of a training, times left out.

    Args:
        request: what was asked.
        task: the task, with all of its training data.
        epochs: passes over as much of them as the request gets.
        validations: passes over the validation split.
        tested: whether both splits are gone through once more, to measure the trained network.
        runs: samples that go through it besides, to find further metrics.
    """
    graph, whole, held = graph_of(request), len(task.splits["train"]), len(task.splits["val"])
    own = request.fidelity.samples(whole)
    a_pass, a_look = (run_through(graph, task, count) for count in (own, held))
    trained, seen = epochs * a_pass, validations * a_look + (a_pass + a_look if tested else 0)
    return Ledger(
        epochs=epochs * own / whole,
        samples=trained + seen,
        train_macs=3 * macs(graph) * trained,
        eval_macs=macs(graph) * (seen + runs),
    )
