"""A sequence of tasks that are learned one after the other, each with classes of its own (continual learning)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from archgraph.errors import DataError, SettingError
from archgraph.tasks.split import SPLITS, Split
from archgraph.tasks.task import Task


@dataclass(frozen=True, eq=False, repr=False)
class TaskSequence:
    """Tasks in the order in which they come; which one a sample belongs to is known.

    Args:
        name: the name under which it is known, such as ``"split-digits"``.
        tasks: all of one input shape and one loss; their numbers of outputs may differ.

    Raises:
        DataError: when there are none, two have one name, or they differ in input shape or loss.
    """

    name: str
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if not self.tasks:
            raise DataError(f"sequence {self.name!r} is empty", expected="at least one task", got="none")
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise DataError(f"two tasks of sequence {self.name!r} have one name", got=", ".join(names))
        first = self.tasks[0]
        for task in self.tasks:
            for what, wanted, got in (
                ("inputs of another shape", first.input_shape, task.input_shape),
                ("another loss", first.loss.name, task.loss.name),
                ("a graph", None, task.graph),
                ("graphs", None, task.graphs),
            ):
                if wanted != got:
                    raise DataError(
                        f"task {task.name!r} of sequence {self.name!r} has {what} than those before it",
                        expected=f"{wanted}, as task {first.name!r} has",
                        got=got,
                    )

    @classmethod
    def of_classes(cls, task: Task, classes: int = 2, *, name: str | None = None) -> TaskSequence:
        """Part a task by its classes: the first ``classes`` of them are the first task, and so on.

        Args:
            task: tells classes apart.
            classes: how many each task has; labels are numbered from 0 in each.
            name: of the sequence; ``"split-<task>"`` by default.

        Raises:
            SettingError: when the classes of the task do not fall into groups of at least two.
            DataError: when the task has no classes, or a split lacks samples of some group.

        >>> x = torch.arange(24.0).reshape(24, 1)
        >>> y, parts = torch.arange(24) % 4, (0.5, 0.25, 0.25)
        >>> numbers = Task.from_tensors("numbers", x, y, loss="cross-entropy", splits=parts)
        >>> print(TaskSequence.of_classes(numbers).describe())
        split-numbers: 2 tasks of 2 classes; input 1; 12 train, 6 val, 6 test in all
        """
        if not task.loss.classifies:
            raise DataError(f"task {task.name!r} has no classes to part", expected="cross-entropy", got=task.loss.name)
        if task.graph is not None or task.graphs is not None:
            what = "the nodes of one graph" if task.graph is not None else "graphs"
            raise DataError(f"the samples of task {task.name!r} are {what}, which cannot be parted")
        count = task.outputs
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2 or count % classes:
            fits = [size for size in range(2, count + 1) if count % size == 0]
            raise SettingError(
                f"the {count} classes of task {task.name!r} cannot be parted so",
                expected=f"classes: one of {', '.join(map(str, fits))}",
                got=repr(classes),
            )
        name = f"split-{task.name}" if name is None else name
        tasks = []
        for number, first in enumerate(range(0, count, classes), start=1):
            splits = {split: _between(task.splits[split], first, first + classes) for split in SPLITS}
            tasks.append(Task(f"{name}#{number}", splits, task.loss, task.input_shape, classes))
        return cls(name, tuple(tasks))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch axis."""
        return self.tasks[0].input_shape

    @cached_property
    def key(self) -> str:
        """A hash of the name and of all tasks."""
        keys = repr((self.name, [task.key for task in self.tasks]))
        return hashlib.blake2b(keys.encode(), digest_size=16).hexdigest()

    def joint(self) -> Task:
        """Return the one task of all samples, the classes of each task numbered after those of the ones before.

        Raises:
            DataError: when the tasks have no classes.
        """
        if not self.tasks[0].loss.classifies:
            raise DataError(f"the tasks of sequence {self.name!r} have no classes", expected="cross-entropy")
        starts = [sum(task.outputs for task in self.tasks[:number]) for number in range(len(self))]
        splits = {
            name: Split(
                torch.cat([task.splits[name].x for task in self.tasks]),
                torch.cat([task.splits[name].y + start for task, start in zip(self.tasks, starts, strict=True)]),
            )
            for name in SPLITS
        }
        outputs = sum(task.outputs for task in self.tasks)
        return Task(f"{self.name}#joint", splits, self.tasks[0].loss, self.input_shape, outputs)

    def describe(self) -> str:
        """Describe the sequence in one line."""
        outputs = sorted({task.outputs for task in self.tasks})
        units = "classes" if self.tasks[0].loss.classifies else "outputs"
        sizes = ", ".join(f"{sum(len(task.splits[name]) for task in self.tasks)} {name}" for name in SPLITS)
        shape = "x".join(map(str, self.input_shape)) or "scalar"
        return (
            f"{self.name}: {len(self)} tasks of {' or '.join(map(str, outputs))} {units}; input {shape}; {sizes} in all"
        )

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, number: int) -> Task:
        return self.tasks[number]

    def __repr__(self) -> str:
        return f"<TaskSequence {self.describe()}>"


def _between(split: Split, first: int, stop: int) -> Split:
    """Return the samples whose labels lie in a range, numbered from 0."""
    rows = ((split.y >= first) & (split.y < stop)).nonzero().squeeze(1)
    return Split(split.x[rows], split.y[rows] - first)
