"""NAS-Bench-Graph: 26,206 architectures that differ, in the representatives of the published table."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from archgraph import Network, chain, ops
from archgraph.errors import GraphError, SpaceError, Unsatisfied
from archgraph.spaces.graph_ends import GraphEnds
from archgraph.spaces.nas_bench_graph import (
    ARCHITECTURES,
    LINKS,
    OPERATIONS,
    Architecture,
    nas_bench_graph,
    nas_bench_graph_network,
    network,
    operations,
    representative,
    sketch,
)
from archgraph.testing import check_space

CASES: dict[str, tuple[Architecture, Architecture]] = {
    "order of leaves": (((0, 0, 0, 0), ("fc", "gat", "gin", "gat")), ((0, 0, 0, 0), ("gat", "gat", "gin", "fc"))),
    "order of branches": (((0, 0, 2, 1), ("gin", "gat", "fc", "gcn")), ((0, 0, 1, 2), ("gat", "gin", "fc", "gcn"))),
    "a skip that is read": (
        ((0, 1, 2, 3), ("gat", "skip", "gcn", "gin")),
        ((0, 1, 2, 3), ("skip", "gat", "gcn", "gin")),
    ),
    "a skip that is all that reads": (
        ((0, 0, 1, 2), ("gat", "gcn", "skip", "gin")),
        ((0, 1, 1, 3), ("skip", "gat", "gcn", "gin")),
    ),
    "a skip beside another": (
        ((0, 1, 1, 1), ("gat", "skip", "gcn", "fc")),
        ((0, 1, 1, 1), ("gat", "gcn", "fc", "skip")),
    ),
    "a skip from input to output": (
        ((0, 0, 0, 0), ("gat", "skip", "gcn", "fc")),
        ((0, 1, 1, 1), ("skip", "gat", "gcn", "fc")),
    ),
}


@pytest.mark.parametrize(("given", "found"), CASES.values(), ids=CASES)
def test_representatives(given: Architecture, found: Architecture) -> None:
    if found[0] not in LINKS:  # the case says it as a tree; here is the numbering the table has
        found = representative(*found)
    assert representative(*given) == found
    assert representative(*found) == found


@pytest.mark.slow
def test_as_many_differ_as_published() -> None:
    every = itertools.product(LINKS, itertools.product(OPERATIONS, repeat=4))
    found = {representative(link, made) for link, made in every if set(made) != {"skip"}}
    assert len(found) == ARCHITECTURES == 26_206
    assert all(representative(*one) == one for one in found)


def test_the_space() -> None:
    space = nas_bench_graph()
    assert space.size == 26_206
    check_space(space, draws=20)
    with pytest.raises(Unsatisfied, match="a layer that is no skip connection"):
        space.build({"link": "0,0,0,1"} | {f"layer{number}": "skip" for number in (1, 2, 3, 4)})


def test_sketches_are_told_by_their_layers() -> None:
    space = nas_bench_graph()
    for seed in range(1000):
        point = space.draw(seed)
        link = tuple(int(one) for one in str(point["link"]).split(","))
        made = tuple(str(point[f"layer{number}"]) for number in (1, 2, 3, 4))
        assert operations(space.build(point)) == operations(sketch(link, made)) == (link, made)


def test_sketches_run() -> None:
    graph = sketch((0, 1, 1, 2), ("gat", "arma", "graph", "fc"))
    edges = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])
    module = Network.init(graph, seed=0).to_torch().eval()
    assert module(torch.randn(5, 64), edges).shape == (5, 128)


def test_arma_and_graph_layers_are_what_their_names_say() -> None:
    layers = pytest.importorskip("torch_geometric.nn")
    x, edges = torch.randn(5, 64), torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
    modules = {
        name: Network.init(sketch((0, 1, 2, 3), ("skip", "skip", "skip", name)), seed=0).to_torch().eval()
        for name in ("graph", "arma")
    }
    weights = {name: dict(module.layer4.named_parameters()) for name, module in modules.items()}
    graph, arma = layers.GraphConv(64, 64), layers.ARMAConv(64, 64, act=None)
    with torch.no_grad():
        graph.lin_rel.weight.copy_(weights["graph"]["lin_l.weight"])
        graph.lin_rel.bias.copy_(weights["graph"]["lin_l.bias"])
        graph.lin_root.weight.copy_(weights["graph"]["lin_r.weight"])
        arma.init_weight.copy_(weights["arma"]["lins.1.weight"].T)
        arma.root_weight.copy_(weights["arma"]["lins.0.weight"].T)
        arma.bias.copy_(weights["arma"]["bias"])
        assert torch.allclose(modules["graph"](x, edges), graph(x, edges), atol=1e-5)
        assert torch.allclose(modules["arma"](x, edges), arma(x, edges), atol=1e-5)


def test_other_graphs_are_no_sketches() -> None:
    with pytest.raises(GraphError, match="it has no node 'layer1'"):
        operations(chain(ops.Input((5,)), ops.Linear(3)))
    with sketch((0, 0, 0, 0), ("fc",) * 4).edit() as edit:
        edit.replace("layer3", ops.ReLU())
    with pytest.raises(GraphError, match=r"ReLU\(\) is none of its layers"):
        operations(edit.graph)
    with sketch((0, 1, 0, 0), ("fc",) * 4).edit() as edit:
        edit.insert("layer1", ops.ReLU())
    with pytest.raises(GraphError, match="'layer2' reads none of its layers"):
        operations(edit.graph)
    with pytest.raises(SpaceError, match="each of which reads an earlier one"):
        sketch((0, 2, 0, 0), ("fc",) * 4)
    with pytest.raises(SpaceError, match="these are no operations"):
        sketch((0, 0, 0, 0), ("fc", "fc", "fc", "mlp"))


@pytest.mark.data
def test_representatives_are_the_rows_of_the_table(data_root: Path) -> None:
    table = np.load(data_root / "nas" / "nas_bench_graph" / "cora.npz")
    assert tuple(table["op_names"].tolist()) == OPERATIONS
    links, made = table["link"].tolist(), table["ops"].tolist()
    assert len(links) == ARCHITECTURES
    for row in range(0, len(links), 37):
        one = tuple(links[row]), tuple(OPERATIONS[number] for number in made[row])
        assert representative(*one) == one


ENDS = GraphEnds(features=11, outputs=3, degree=5, pooled=False)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"skip"}))
def test_networks_train_on_what_the_sketches_show(operation: str) -> None:
    """Layers and links are those of the sketch; a linear layer comes before and behind them."""
    link, layers = (0, 0, 1, 1), (operation, "gcn", "fc", "skip")
    found = network(link, layers, ends=ENDS, width=6)
    drawn = sketch(link, layers)
    for layer in ("layer1", "layer2", "layer3"):
        assert type(found.op(layer)) is type(drawn.op(layer))
    x, edges = torch.randn(7, 11), torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 2, 0]])
    outputs = Network.init(found, seed=2).to_torch()(x, edges)
    outputs.sum().backward()
    assert outputs.shape == (7, 3)
    (merged,) = (node for node in found if isinstance(node.op, ops.Concat))
    assert found.shape(merged.name).units == 18  # layers 2 and 3, and layer 1 by its skip connection


def test_networks_without_edges() -> None:
    found = network((0, 1, 1, 2), ("fc", "skip", "fc", "fc"), ends=ENDS, width=6)
    assert found.inputs == ("x",)


def test_the_space_of_networks() -> None:
    seed = chain(ops.Input((11,)), ops.Linear(3))
    found = nas_bench_graph_network(seed, width=6)
    assert found.size == ARCHITECTURES
    check_space(found, draws=4)
    with pytest.raises(SpaceError, match="even"):
        nas_bench_graph_network(seed, width=7)
