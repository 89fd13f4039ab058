"""Whether a network fits a task, and what can be said of its graph before it is trained."""

from __future__ import annotations

from archgraph.errors import DataError
from archgraph.evaluation.degrees import check_degrees
from archgraph.evaluation.request import Request, Train
from archgraph.graph import GRAPHS, SAMPLES, Graph, Op
from archgraph.metrics import depth, macs, params, units
from archgraph.ops import Edges, EdgeWeights, Membership
from archgraph.tasks import Task
from archgraph.tasks.tabular import Tabular


def graph_of(request: Request) -> Graph:
    """Return the graph that a request is about."""
    subject = request.subject if isinstance(request, Train) else request.network
    return subject if isinstance(subject, Graph) else subject.graph


def describe(graph: Graph) -> dict[str, float]:
    """Return the metrics of a graph that every report carries."""
    return {"params": params(graph), "macs": macs(graph), "units": units(graph), "depth": depth(graph)}


def check_fit(graph: Graph, task: Task) -> None:
    """Raise unless a graph takes the task's inputs and gives as many outputs as it needs.

    A graph that returns one number a sample, ``[N]``, fits a task of one value. Where samples are the nodes of a graph,
    edges may be read beside their features, and weights of edges where there are some.

    Where samples are graphs of nodes, edges and memberships may be read, and a pooling gives one output a graph.

    Raises:
        DataError: with what the graph takes and gives.
        GraphError: when the task is answered from a table, and that does not have the graph.
    """
    if isinstance(task, Tabular):
        task.table.row(graph)
        return
    links = [name for name in graph.inputs if not graph.shape(name).mixes]
    own = [name for name in graph.inputs if name not in links]
    if len(own) != 1 or len(graph.outputs) != 1:
        raise DataError(
            f"task {task.name!r} needs a graph with one input and one output",
            got=f"{len(own)} inputs and {len(graph.outputs)} outputs",
        )
    _check_links(graph, task, links)
    if task.graph is not None:
        check_degrees(graph, task.graph)
    _check_rows(graph, task)
    took, gave = graph.shape(own[0]), graph.shape(graph.outputs[0])
    if took.dims != tuple(task.input_shape):
        raise DataError(
            f"the graph does not take the inputs of task {task.name!r}",
            expected=f"Input({tuple(task.input_shape)})",
            got=f"Input({took.dims})",
            place=str(graph.node(own[0])),
        )
    number = gave.dims == () and task.outputs == 1 and not task.loss.classifies
    if gave.dims != (task.outputs,) and not number:
        raise DataError(
            f"the graph does not give the outputs of task {task.name!r}",
            expected=f"({task.outputs},)",
            got=gave.dims,
            place=str(graph.node(graph.outputs[0])),
        )


def _check_rows(graph: Graph, task: Task) -> None:
    """Raise unless what a graph gives is one row a sample: a node, or a graph of nodes."""
    last = graph.outputs[0]
    linked = any(not graph.shape(name).mixes for name in graph.inputs)
    wanted = GRAPHS if task.graphs is not None and linked else SAMPLES
    if (rows := graph.shape(last).rows) != wanted:
        pool = "a pooling, such as GraphAddPool()(x, membership)"
        raise DataError(
            f"the graph does not give one output for every {'graph' if wanted == GRAPHS else 'sample'} of task "
            f"{task.name!r}",
            expected=f"outputs of {wanted}, behind {pool}" if wanted == GRAPHS else f"outputs of {wanted}",
            got=f"outputs of {rows}",
            place=str(graph.node(last)),
        )


def _check_links(graph: Graph, task: Task, links: list[str]) -> None:
    """Raise unless the task has what a graph takes beside features."""
    offered: tuple[type[Op], ...] = ()
    if task.graph is not None:
        offered = (Edges,) if task.graph.edge_weight is None else (Edges, EdgeWeights)
    if task.graphs is not None:
        offered = (Edges, Membership)
    kinds = [type(graph.op(name)) for name in links]
    for name, kind in zip(links, kinds, strict=True):
        if kind not in offered or kinds.count(kind) > 1:
            raise DataError(
                f"task {task.name!r} has no {graph.shape(name).rows} for input {name!r}",
                expected=" and ".join(f"one {one.__name__}()" for one in offered) or "a graph that reads samples alone",
                got=f"{kinds.count(kind)} {kind.__name__}()" if kind in offered else f"{kind.__name__}()",
                place=str(graph.node(name)),
            )
