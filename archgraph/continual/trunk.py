"""The trunk that the tasks of a sequence share, with another number of units or outputs, and the tasks that it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archgraph.continual.homes import Homes
from archgraph.errors import DataError, SettingError
from archgraph.graph import Graph
from archgraph.moves import Prune, Widen
from archgraph.tasks import TaskSequence, find_sequence


def fitting(
    sequence: TaskSequence | str, trunk: Graph, *, seed: int = 0, data_root: str | Path | None = None
) -> TaskSequence:
    """Return a sequence of tasks whose inputs a trunk takes.

    Args:
        sequence: the tasks, or the name of a sequence.
        trunk: the graph, with any number of outputs.
        seed: of the splits, for sequences given by name.
        data_root: folder with data sets, for sequences given by name.

    Raises:
        UnknownName: when nothing is called so.
        DataError: when the trunk takes other inputs, or the data are missing.
        SettingError: when it cannot have as many outputs as a task wants.
    """
    tasks = find_sequence(sequence, seed=seed, data_root=data_root) if isinstance(sequence, str) else sequence
    check_trunk(trunk, tasks)
    for outputs in dict.fromkeys(task.outputs for task in tasks):
        head_resized(trunk, outputs)
    return tasks


def check_trunk(graph: Graph, sequence: TaskSequence) -> None:
    """Raise unless a graph takes the inputs of a sequence.

    Raises:
        DataError: with what it takes.
    """
    took = graph.shape(graph.inputs[0]).dims if len(graph.inputs) == 1 and len(graph.outputs) == 1 else None
    if took != tuple(sequence.input_shape):
        raise DataError(
            f"the trunk does not fit the tasks of sequence {sequence.name!r}",
            expected=f"one output, and one Input({tuple(sequence.input_shape)})",
            got=f"{len(graph.inputs)} inputs, {len(graph.outputs)} outputs" if took is None else f"Input({took})",
        )


def head_resized(graph: Graph, outputs: int) -> Graph:
    """Return a graph with another number of outputs.

    Raises:
        SettingError: when the outputs are not those of one layer with units of its own.
    """
    (name,) = graph.outputs
    units: Sequence[int] = graph.shape(name).dims
    if tuple(units) == (outputs,):
        return graph
    maker = next((home for home in sorted(Homes(graph).heads) if graph.tensors(home)), name)
    resized = graph.op(maker).resized(outputs, *graph.input_shapes(maker))
    with graph.edit() as edit:
        edit.replace(maker, resized)
    if edit.graph.shape(name).dims != (outputs,):
        raise SettingError(
            "the trunk cannot have another number of outputs",
            expected=f"a last layer with {outputs} units",
            got=str(edit.graph.shape(name)),
            place=str(graph.node(maker)),
        )
    return edit.graph


def resized(graph: Graph, counts: Mapping[str, int]) -> Graph:
    """Return a graph with as many units at every home."""
    for home, wanted in counts.items():
        count = Homes(graph).counts[home]
        if wanted > count:
            graph = Widen(home, wanted - count).plan(graph).after
        elif wanted < count:
            homes = Homes(graph)
            graph = Prune(home, homes.first_units(home, range(wanted, count))).plan(graph).after
    return graph
