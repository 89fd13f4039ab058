"""Tasks: data with a loss and an input shape; those shipped and those of other packages are found by name."""

from archgraph.tasks.catalogue import find
from archgraph.tasks.class_splits import find_sequence
from archgraph.tasks.graph_set import GraphSet
from archgraph.tasks.loss import Loss
from archgraph.tasks.node_graph import NodeGraph
from archgraph.tasks.sequence import TaskSequence
from archgraph.tasks.split import Split, partition
from archgraph.tasks.task import Task

__all__ = ["GraphSet", "Loss", "NodeGraph", "Split", "Task", "TaskSequence", "find", "find_sequence", "partition"]
