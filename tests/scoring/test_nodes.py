"""Splitting scores of networks on graphs: what units see is what reaches them over edges, and few nodes count.

They are compared with autograd's Hessian of the loss at the labelled nodes, of a network whose unit is split by the
move itself, so that scores, moves and rows of several tensors mean the same.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from archgraph import Graph, Network
from archgraph.errors import DataError
from archgraph.moves import Split
from archgraph.net import Nodes, lower, target
from archgraph.scoring import SiteScore, score, score_sites
from archgraph.tasks import Loss, find
from archgraph.tasks.seed import seed_graph
from tests.node_graphs import nodes_of
from tests.strategies import network_of

NODES, CLASSES = 11, 3
HEAD = "x = Input((4,))\nlinks = Edges(3)\n"
END = f"y = Linear({CLASSES})(f)\nreturn y"
TEXTS = {
    "gcn": f"{HEAD}a = GCNConv(5)(x, links)\nf = Tanh()(a)\n{END}",
    "gcn, gcn": f"{HEAD}a = GCNConv(5)(x, links)\nf = Tanh()(a)\ny = GCNConv({CLASSES})(f, links)\nreturn y",
    "weighted edges": f"{HEAD}w = EdgeWeights()\na = GCNConv(5)(x, links, w)\nf = SiLU()(a)\n"
    f"y = GCNConv({CLASSES})(f, links, w)\nreturn y",
    "sage": f"{HEAD}a = SAGEConv(5)(x, links)\nf = Tanh()(a)\ny = SAGEConv({CLASSES})(f, links)\nreturn y",
    "sage, largest of neighbours": f"{HEAD}a = SAGEConv(5, aggr='max')(x, links)\nf = Tanh()(a)\n"
    f"y = SAGEConv({CLASSES}, aggr='max')(f, links)\nreturn y",
    "cheb": f"{HEAD}a = ChebConv(5, K=3)(x, links)\nf = Tanh()(a)\ny = ChebConv({CLASSES})(f, links)\nreturn y",
    "tag": f"{HEAD}a = TAGConv(5, K=2)(x, links)\nf = Tanh()(a)\ny = TAGConv({CLASSES}, K=1)(f, links)\nreturn y",
    "sgc": f"{HEAD}a = SGConv(5, K=2)(x, links)\nf = Tanh()(a)\n{END}",
    "gin": f"{HEAD}p = GINConv(0.3)(x, links)\na = Linear(5)(p)\ng = Tanh()(a)\nf = GINConv()(g, links)\n{END}",
    "gin before its activation": f"{HEAD}a = Linear(5)(x)\np = GINConv(0.3)(a, links)\nf = Tanh()(p)\n{END}",
    "appnp": f"{HEAD}a = Linear(5)(x)\nf = Tanh()(a)\nb = Linear({CLASSES})(f)\ny = APPNP(K=3)(b, links)\nreturn y",
    "batch norm, residual": f"{HEAD}a = GCNConv(5)(x, links)\nn = BatchNorm()(a)\nf = Tanh()(n)\n"
    f"b = GCNConv(5, bias=False)(f, links)\ns = Add()(f, b)\nh = SiLU()(s)\ny = GCNConv({CLASSES})(h, links)\nreturn y",
    "graph norm": f"{HEAD}a = GCNConv(5)(x, links)\nn = GraphNorm()(a)\nf = Tanh()(n)\n{END}",
    "gat": f"{HEAD}a = GATConv(5)(x, links)\nf = Tanh()(a)\ny = GATConv({CLASSES})(f, links)\nreturn y",
    "gat, one head of a mean": f"{HEAD}a = GATConv(5, concat=False, residual=True)(x, links)\nf = Tanh()(a)\n{END}",
    "gat, heads side by side": f"{HEAD}a = GATConv(5, heads=2, residual=True)(x, links)\nf = Tanh()(a)\n{END}",
    "read by attention": f"{HEAD}a = GCNConv(5)(x, links)\nf = Tanh()(a)\n"
    f"y = GATConv({CLASSES}, heads=2, concat=False)(f, links)\nreturn y",
}


def case(text: str, seed: int = 0, nodes: int = NODES) -> tuple[Network, Nodes, Tensor]:
    """A network in float64 with drawn weights, and some labelled nodes of a small graph."""
    network = network_of(Graph.parse(text), seed)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([0, 3, 4, 8, 10, *range(12, nodes, 2)])
    targets = torch.randint(CLASSES, (len(rows),), generator=generator)
    return network, Nodes(nodes_of(network.graph, seed, nodes), rows), targets


def loss_of(network: Network, x: Nodes, y: Tensor, changed: dict[str, Tensor] | None = None) -> Tensor:
    """The loss at the labelled nodes, by the lowered module."""
    module = lower(network.graph, network.weights).eval()
    outputs = torch.func.functional_call(module, changed or {}, x.given)
    loss = Loss("cross-entropy")(outputs[x.rows], y)
    return loss if changed else loss.detach()


def hessian(network: Network, node: str, unit: int, x: Nodes, y: Tensor, *, bias: bool) -> Tensor:  # [D, D]
    """Split a unit into two halves by the move, displace their rows by +d and -d, differentiate twice at 0."""
    graph = network.graph
    names, shift = graph.op(node).rows_of_unit(*graph.input_shapes(node))
    sizes = [graph.tensors(node)[name].shape[1] for name in names] + ([1] if bias and shift else [])
    edit = Split(node, (unit,)).plan(graph)
    wide, inputs = network.after(edit), edit.input_map(node)  # the unit may be coupled to one of its own inputs
    columns, shares = torch.tensor(inputs.index), torch.tensor(inputs.coefficient)
    places, module = np.flatnonzero(edit.unit_map(node).index == unit), target(node)

    def moved(d: Tensor) -> Tensor:
        changed = {}
        for name, part in zip([*names, shift], d.split(sizes), strict=False):
            whole = wide.weights[f"{node}.{name}"]
            here = torch.zeros(2, len(whole), dtype=whole.dtype)
            here[0, places[0]] = here[1, places[1]] = 1.0
            step = torch.outer(here[0] - here[1], part[columns] * shares if name != shift else part)
            changed[f"{module}.{name}"] = whole + step.reshape(whole.shape)
        return loss_of(wide, x, y, changed)

    found = torch.autograd.functional.hessian(moved, torch.zeros(sum(sizes), dtype=torch.float64))
    assert isinstance(found, Tensor)
    return found


def scored(network: Network, x: Nodes, y: Tensor, **options: object) -> dict[str, SiteScore]:
    return dict(score_sites(network, x, y, Loss("cross-entropy"), options=options).scores)


@pytest.mark.parametrize("curvature", ["auto", pytest.param("tail", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TEXTS)
def test_matrices_are_the_hessian_of_a_split(name: str, curvature: str) -> None:
    network, x, y = case(TEXTS[name])
    found = scored(network, x, y, keep_matrices=True, include_bias=True, curvature=curvature)
    assert "a" in found
    for node, one in found.items():
        assert one.matrices is not None
        for unit in (0, 3):
            wanted = hessian(network, node, unit, x, y, bias=True)
            assert (one.matrices[unit] - wanted).abs().max() < 1e-12 * max(1.0, float(wanted.abs().max())), (node, unit)


def test_the_loss_falls_as_the_index_says() -> None:
    network, x, y = case(TEXTS["sage"], 2)
    one = scored(network, x, y, include_bias=True)["a"]
    unit = int(one.index.argmin())
    before, changes = float(loss_of(network, x, y)), []
    for step in (2e-2, 1e-2):
        move = Split.along("a", (unit,), one.directions[unit : unit + 1], step=step, bias=True)
        changes.append((float(loss_of(move.apply(network), x, y)) - before) / (0.5 * step**2))
    assert (4.0 * changes[1] - changes[0]) / 3.0 == pytest.approx(float(one.index[unit]), rel=1e-4)


@pytest.mark.parametrize("criterion", ["splitting", "signed-splitting", "gradient", "sensli", "firefly"])
def test_only_nodes_that_count_decide(criterion: str) -> None:
    network, x, y = case(TEXTS["gcn, gcn"])
    loss = Loss("cross-entropy")
    options: dict[str, object] = {"ratio": 0.0} if criterion == "sensli" else {}
    found = score_sites(network, x, y, loss, criterion=criterion, options=options)
    order = torch.tensor([2, 0, 4, 1, 3])
    turned = score_sites(network, x[order], y[order], loss, criterion=criterion, options=options)
    fewer = score_sites(network, x[:2], y[:2], loss, criterion=criterion, options=options)
    assert found.scores.keys() == turned.scores.keys() != set()
    assert found.samples % NODES == 0 and found.macs > 0  # a pass is of all nodes
    for name, one in found.scores.items():
        torch.testing.assert_close(one.index, turned.scores[name].index, rtol=1e-4, atol=1e-9)
        assert (one.index - fewer.scores[name].index).abs().max() > 1e-6


def test_noise_is_finite_and_directions_may_come_from_other_nodes() -> None:
    network, x, y = case(TEXTS["tag"])
    one = scored(network, x, y)["a"]
    other = scored(network, x, y, halves=True)["a"]
    assert one.noise is not None and other.noise is not None
    assert one.noise.isfinite().all() and other.noise.isfinite().all()
    assert (one.noise > 0.0).all()
    assert (other.index - one.index).abs().max() > 1e-6


REFUSED = {
    "GATv2Conv(5)": "attends",
    "TransformerConv(5)": "attends",
    "GATConv(5, heads=2, concat=False)": "takes means of heads",
    "SAGEConv(5, normalize=True)": "is no linear or dense convolution layer",
}


@pytest.mark.parametrize("op", REFUSED)
def test_what_cannot_be_split_is_refused_with_the_reason(op: str) -> None:
    network, x, y = case(f"{HEAD}a = {op}(x, links)\nf = Tanh()(a)\n{END}")
    found = score_sites(network, x, y, Loss("cross-entropy"), sites=("a",))
    assert not found.scores
    assert REFUSED[op] in found.refused["a"]


def test_what_does_not_fit_the_network_is_refused() -> None:
    network, x, y = case(TEXTS["gcn"])
    with pytest.raises(DataError, match="do not fit"):
        score(network, data=(x, y[:3]), loss="cross-entropy")
    with pytest.raises(DataError, match="do not fit"):
        score(network, data=(Nodes(x.given[:1], x.rows), y), loss="cross-entropy")
    with pytest.raises(DataError, match="takes Nodes"):
        score(network, data=(x.given[0], y), loss="cross-entropy")


def test_a_task_on_a_graph_is_scored_at_its_training_nodes() -> None:
    task = find("karate")
    network = Network.init(seed_graph(task), 0)
    found = score(network, task=task)
    assert task.graph is not None
    whole = task.graph
    x = Nodes((whole.features(torch.float32), whole.edge_index), whole.rows["train"])
    same = score(network, data=(x, whole.y[whole.rows["train"]]), loss="cross-entropy")
    assert found.keys() == same.keys() == {"gcnconv1"}
    assert torch.equal(found["gcnconv1"], same["gcnconv1"])
