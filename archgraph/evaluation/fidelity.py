"""Fidelity: how much of a recipe one evaluation gets, in epochs and in training data.

Letters: ``N`` training samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archgraph import rng
from archgraph.errors import SettingError
from archgraph.tasks import Split, Task
from archgraph.tasks.split import partition

LEAST = 2
"""Training samples at least, as long as there are so many: batch norm needs two."""


@dataclass(frozen=True)
class Fidelity:
    """How much of its recipe a training gets; all of it by default.

    The schedule of the learning rate is that of the whole recipe, so a training that goes on from where a shorter one
    stopped is the longer one, bit for bit on the CPU.

    Args:
        epochs: the recipe's epochs are cut off after so many; None, or more than it has, for all of them.
        data: the fraction of the training split that is used. Smaller fractions are subsets of larger ones, the same
            for every training on a task, with the classes in proportion; validation data are always whole.

    Raises:
        SettingError: when ``epochs`` is no whole number from 0, or ``data`` is not above 0 and at most 1.

    >>> Fidelity(epochs=3)
    Fidelity(epochs=3, data=1.0)
    """

    epochs: int | None = None
    data: float = 1.0

    def __post_init__(self) -> None:
        epochs, data = self.epochs, self.data
        if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0):
            raise SettingError("fidelity: epochs must be a whole number of at least 0, or None", got=repr(epochs))
        if isinstance(data, bool) or not isinstance(data, int | float) or not 0.0 < data <= 1.0:
            raise SettingError("fidelity: data is a fraction", expected="0 < data <= 1", got=repr(data))
        object.__setattr__(self, "data", float(data))

    @property
    def full(self) -> bool:
        """Whether it is all of a recipe, as far as one can tell without it; see :meth:`within`."""
        return self == FULL

    def within(self, epochs: int) -> Fidelity:
        """Return the fidelity as it is for a recipe of so many epochs: equal ones are equal.

        >>> Fidelity(epochs=5).within(5), Fidelity(epochs=3, data=0.5).within(5)
        (Fidelity(epochs=None, data=1.0), Fidelity(epochs=3, data=0.5))
        """
        return replace(self, epochs=None) if self.epochs is not None and self.epochs >= epochs else self

    def last(self, epochs: int) -> int:
        """Return the epoch after which a training by a recipe of so many epochs stops."""
        return epochs if self.epochs is None else min(self.epochs, epochs)

    def share(self, epochs: int) -> float:
        """Return the fraction of a recipe of so many epochs: of its epochs times that of the data.

        >>> Fidelity(epochs=2, data=0.5).share(8), Fidelity().share(8)
        (0.125, 1.0)
        """
        return self.data * (self.last(epochs) / epochs if epochs else 1.0)

    def samples(self, whole: int) -> int:
        """Return how many of the samples of a training split are used."""
        return whole if self.data == 1.0 else min(whole, max(LEAST, round(self.data * whole)))

    def task(self, task: Task) -> Task:
        """Return a task with the part of the training split that is used; all else is as it was."""
        split = task.splits["train"]
        count = self.samples(len(split))
        if count == len(split):
            return task
        labels = split.y if task.loss.classifies and split.y.ndim == 1 else None
        seed = rng.derive(0, "fidelity", task.key)
        rows = partition(len(split), (count, len(split) - count), seed=seed, labels=labels)[0].to(split.x.device)  # [N]
        graph = task.graph
        if graph is not None:
            kept = {**graph.rows, "train": graph.rows["train"][rows.to(graph.x.device)]}
            graph = replace(graph, rows=kept)
        graphs = task.graphs
        if graphs is not None:
            graphs = replace(graphs, rows={**graphs.rows, "train": graphs.rows["train"][rows.to(graphs.x.device)]})
        splits = {**task.splits, "train": Split(split.x[rows], split.y[rows])}
        return replace(task, splits=splits, graph=graph, graphs=graphs)


FULL = Fidelity()
"""All of a recipe."""
