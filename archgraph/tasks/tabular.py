"""Tasks that are answered from a table: every architecture of a space was trained once, by others, for all to use.

Letters: ``A`` architectures.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from archgraph.errors import SettingError
from archgraph.graph import Graph
from archgraph.tasks.loss import Loss
from archgraph.tasks.task import Task

Columns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Table(ABC):
    """Metrics of all architectures of a space.

    Args:
        title: for people.
        trained: by the number of epochs: metrics after that training, ``"val.accuracy"``, each ``[A]``; under 0 where
            nobody tells how many there were.
        known: metrics that are known without training, such as ``"params"`` and ``"latency"``, each ``[A]``.
        tests: metrics on the test split, ``"accuracy"``, each ``[A]``, for final reports.
        samples: by the number of epochs: training samples in each.
    """

    title: str
    trained: Mapping[int, Columns]
    known: Columns = field(default_factory=dict)
    tests: Columns = field(default_factory=dict)
    samples: Mapping[int, int] = field(default_factory=dict)

    @abstractmethod
    def row(self, graph: Graph) -> int:
        """Return the row of an architecture.

        Raises:
            GraphError: when it is not of the table's space.
        """

    def network(self, graph: Graph) -> Graph | None:
        """Return the network that an architecture stands for, to be trained on real data; None where none is known."""
        return None

    def __len__(self) -> int:
        return len(next(iter(self.at(max(self.trained)).values())))

    def at(self, epochs: int) -> Columns:
        """Return the columns after a training.

        Raises:
            SettingError: when the table has none of so many epochs.
        """
        if epochs not in self.trained:
            raise SettingError(
                f"the table of {self.title} has no trainings of {epochs} epochs",
                expected=" or ".join(map(str, sorted(self.trained))),
                hint=f"Recipe(epochs={max(self.trained)})",
            )
        return self.trained[epochs]

    def lookup(self, graph: Graph, epochs: int) -> dict[str, float]:
        """Return what is known of an architecture after a training; what is missing there is left out.

        Raises:
            GraphError: when it is not of the table's space.
            SettingError: when the table has no such training.
        """
        return _row(self.known, row := self.row(graph)) | _row(self.at(epochs), row)

    def describe(self, graph: Graph) -> dict[str, float]:
        """Return what is known of an architecture without training."""
        return _row(self.known, self.row(graph))

    def tested(self, graph: Graph) -> dict[str, float]:
        """Return the metrics of an architecture on the test split."""
        return _row(self.tests, self.row(graph))

    @cached_property
    def key(self) -> str:
        """A hash of all numbers."""
        digest = hashlib.blake2b(self.title.encode(), digest_size=16)
        groups = [(str(epochs), columns) for epochs, columns in sorted(self.trained.items())]
        for group, columns in (*groups, ("known", self.known), ("tests", self.tests)):
            for name, column in sorted(columns.items()):
                digest.update(f"{group} {name} {len(column)}\n".encode())
                digest.update(np.ascontiguousarray(column, dtype=np.float64).data)
        digest.update(repr(sorted(self.samples.items())).encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False, repr=False)
class Tabular(Task):
    """A task whose trainings are looked up; there are no data, and networks are neither trained nor kept.

    A training that is asked for is that of the table, whatever the recipe says but for its epochs. It costs what it
    has cost there, as far as that is known.

    Args:
        name: under which it is known.
        table: has the answers.
        epochs: of a usual training, one of the table's.
        space: name of the table's space, in the group ``archgraph.spaces``.
        example: some graph of that space.
    """

    table: Table = None  # type: ignore[assignment]
    epochs: int = 0
    space: str = ""
    example: Graph = None  # type: ignore[assignment]

    @classmethod
    def of(cls, name: str, table: Table, *, epochs: int, space: str, example: Graph) -> Tabular:
        """Make the task of a table.

        Raises:
            SettingError: when the table has no trainings of so many epochs.
        """
        table.at(epochs)
        dims = example.shape(example.inputs[0]).dims
        return cls(name, {}, Loss("cross-entropy"), dims, 0, None, None, table, epochs, space, example)

    def __post_init__(self) -> None:
        """Nothing of a task with data holds."""

    @cached_property
    def key(self) -> str:
        return hashlib.blake2b(f"{self.name} {self.table.key}".encode(), digest_size=16).hexdigest()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all that a report on a training has."""
        names = [name for columns in self.table.trained.values() for name in columns]
        return tuple(dict.fromkeys((*names, *self.table.known)))

    def describe(self) -> str:
        budgets = " or ".join(map(str, sorted(self.table.trained)))
        told = f"; {budgets} epochs" if any(self.table.trained) else ""
        return f"{self.name}: a table of {len(self.table):,} architectures{told}; {', '.join(self.metrics)}"


def _row(columns: Columns, row: int) -> dict[str, float]:
    found = {name: float(column[row]) for name, column in columns.items()}
    return {name: value for name, value in found.items() if value == value}
