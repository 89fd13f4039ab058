"""Layers of a graph against reachability in networkx."""

from __future__ import annotations

import networkx
from hypothesis import given, settings

from archgraph import Graph
from archgraph.features.leaf_dag import GLUE, label, leaf_dag
from archgraph.moves import Widen
from tests.strategies import graphs

BRANCHED = Graph.parse(
    "x = Input((2, 6, 5))\na = Conv2d(4, kernel_size=3, padding=1)(x)\nn = BatchNorm()(a)\nr = ReLU()(n)\n"
    "d = Conv2d(4, kernel_size=3, padding=1, groups=4)(r)\ng = Gate()(n)\nh = Gate()(d)\ns = Add()(g, h)\n"
    "p = MaxPool2d(2)(s)\nq = GlobalAvgPool()(p)\ny = Linear(3)(q)\nreturn y"
)


def test_what_lies_between_layers_becomes_edges() -> None:
    dag = leaf_dag(BRANCHED)
    assert dag.names == ("in", "a", "d", "p", "y", "out")
    assert dag.reads == ((), (0,), (1,), (1, 2), (3,), (4,))
    assert dag.labels == (
        "in",
        "Conv2d(kernel_size=3, padding=1) 6x5",
        "Conv2d(kernel_size=3, padding=1, depthwise) 6x5",
        "MaxPool2d(kernel_size=2) 3x2",
        "Linear",
        "out",
    )
    assert (dag.edges, dag.depths) == (6, (0, 1, 2, 3, 4, 5))


def test_labels_do_not_depend_on_widths_or_names() -> None:
    wider = Widen("a", units=3).apply(BRANCHED)
    assert wider != BRANCHED
    assert leaf_dag(wider).labels == leaf_dag(BRANCHED).labels
    assert label(BRANCHED, "y") == "Linear"
    assert label(BRANCHED, "s") == "Add 6x5"


def test_a_cell_without_layers_keeps_its_nodes() -> None:
    cell = Graph.parse("x = Input((3,))\na = Identity()(x)\nb = ReLU()(x)\ns = Add()(a, b)\nreturn s")
    dag = leaf_dag(cell)
    assert dag.names == ("in", "a", "b", "s", "out")
    assert dag.reads == ((), (0,), (0,), (1, 2), (3,))
    assert dag.labels[1:4] == ("Identity", "ReLU", "Add")


@settings(max_examples=60)
@given(graphs())
def test_layers_read_what_reaches_them_through_no_other_layer(graph: Graph) -> None:
    dag = leaf_dag(graph)
    layers = set(dag.names[1:-1])
    whole = graph.to_networkx()
    ends = networkx.DiGraph(whole)
    ends.add_edges_from([("in", name) for name in graph.inputs] + [(name, "out") for name in graph.outputs])
    for place, reads in enumerate(dag.reads):
        for source in range(place):
            between = (set(ends) - layers) | {dag.names[source], dag.names[place]}
            between -= {"in", "out"} - {dag.names[source], dag.names[place]}
            reached = networkx.has_path(ends.subgraph(between), dag.names[source], dag.names[place])
            assert reached == (source in reads)
    assert layers == {n.name for n in graph if n.inputs and not isinstance(n.op, GLUE)} or not layers & {
        n.name for n in graph if n.inputs and not isinstance(n.op, GLUE)
    }
    directed = networkx.DiGraph([(a, b) for b, reads in enumerate(dag.reads) for a in reads])
    assert networkx.is_directed_acyclic_graph(directed)
    assert dag.depths[-1] == networkx.dag_longest_path_length(directed)
