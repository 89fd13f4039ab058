"""What a network on graphs is tried with: random graphs, and two copies of a graph side by side."""

from __future__ import annotations

import torch

from archgraph.export.graph_inputs import NODES, fits, on_graphs, shape_text, twice
from archgraph.export.trial import sample, told, two_sizes
from archgraph.graph import Graph
from archgraph.net import Network

TEXT = """
m = Membership()
w = EdgeWeights()
e = Edges(2)
x = Input((5,))
a = GCNConv(3)(x, e, w)
b = GraphMeanPool()(a, m)
return b
"""


def test_a_random_graph_fits_and_two_copies_do() -> None:
    network = Network.init(Graph.parse(TEXT), seed=3)
    graph = network.graph
    assert on_graphs(graph) and not on_graphs(Graph.parse("x = Input((3,))\nreturn x\n"))
    one, two = two_sizes(network)
    assert fits(graph, one) and fits(graph, two) and told(graph, one, two) == f"graphs of {NODES} and {2 * NODES} nodes"
    assert [tuple(part.shape) for part in one] == [(NODES,), (2 * NODES,), (2, 2 * NODES), (NODES, 5)]
    outputs = network.to_torch().eval()
    assert torch.equal(outputs(*two), torch.cat([outputs(*one), outputs(*one)]))  # a graph beside itself
    assert [shape_text(graph, name) for name in "mwexab"] == ["[N]", "[E]", "[2, E]", "[N, 5]", "[N, 3]", "[G, 3]"]
    assert torch.equal(sample(network)[3], sample(network)[3])


def test_copies_of_a_graph_are_not_connected() -> None:
    graph = Graph.parse(TEXT)
    given = (torch.tensor([0, 1, 1]), torch.rand(2), torch.tensor([[0, 2], [0, 1]]), torch.randn(3, 5))
    members, _, edges, _ = twice(graph, given)
    assert members.tolist() == [0, 1, 1, 2, 3, 3]
    assert edges.tolist() == [[0, 2, 3, 5], [0, 1, 3, 4]]
