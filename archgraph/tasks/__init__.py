"""Tasks: data with a loss and an input shape; those shipped and those of other packages are found by name."""

from archgraph.tasks.loss import Loss
from archgraph.tasks.task import Split, Task, find, partition

__all__ = ["Loss", "Split", "Task", "find", "partition"]
