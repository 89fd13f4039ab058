"""Every kind of layer trains under natural gradient, and its parameters have curvature of the right form."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from optimizers.natural_gradient import NaturalGradient
from tests.optimizers.natural_gradient.nets import EDGES, Layers, error, features, gcn, labels, pyg

WEIGHTS = torch.rand(EDGES.shape[1], generator=torch.Generator().manual_seed(4), dtype=torch.float64) + 0.1
DENSE = torch.zeros(9, 9, dtype=torch.float64).index_put((EDGES[1], EDGES[0]), WEIGHTS)  # [targets, sources]
ROWS = torch.tensor([0, 3, 5, 8])


def trained(
    model: nn.Module, *inputs: Any, rows: Tensor = ROWS, **settings: Any
) -> tuple[NaturalGradient, float, float]:
    """Train for some steps, and return first and last loss."""
    optimizer = NaturalGradient(model, **{"damping": 3e-2, **settings})
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        outputs = model(*inputs)
        loss = functional.cross_entropy(outputs[rows], labels()[rows])
        optimizer.curvature(outputs, loss, rows=rows)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(torch.isfinite(p).all() for p in model.parameters())
    return optimizer, losses[0], losses[-1]


GRAPH_LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "GCN": pyg.GCNConv,
    "GCN cached": lambda a, b: pyg.GCNConv(a, b, cached=True),
    "GCN plain": lambda a, b: pyg.GCNConv(a, b, normalize=False),
    "GCN backwards": lambda a, b: pyg.GCNConv(a, b, flow="target_to_source"),
    "SAGE": pyg.SAGEConv,
    "SAGE max": lambda a, b: pyg.SAGEConv(a, b, aggr="max", project=True),
    "GAT": lambda a, b: pyg.GATConv(a, b, heads=2, concat=False),
    "GATv2": lambda a, b: pyg.GATv2Conv(a, b, share_weights=True),
    "GIN": lambda a, b: pyg.GINConv(nn.Sequential(nn.Linear(a, 7), nn.ReLU(), nn.Linear(7, b)), train_eps=True),
    "transformer": lambda a, b: pyg.TransformerConv(a, b, beta=True),
    "Graph": pyg.GraphConv,
    "Cheb": lambda a, b: pyg.ChebConv(a, b, K=3),
    "TAG": lambda a, b: pyg.TAGConv(a, b, K=2),
    "SG": lambda a, b: pyg.SGConv(a, b, K=2),
    "ARMA": pyg.ARMAConv,
    "linear": nn.Linear,
    "graph linear": pyg.Linear,
}


@pytest.mark.parametrize("mode", ["auto", "lin", "reduce"])
@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_graph_layers_train(name: str, mode: str):
    torch.manual_seed(6)
    make = GRAPH_LAYERS[name]
    model = Layers(make(4, 6), make(6, 3))
    optimizer, first, last = trained(model, features(), EDGES, mode=mode)
    assert last < 0.75 * first
    known = {
        one
        for block in optimizer._attached.every()
        for one in block.parameters
        if optimizer.state.get(block.parameters[0])
    }
    assert known == {one for one in model.parameters() if one.grad is not None}
    for module in model.modules():
        if isinstance(module, pyg.Linear | nn.Linear) and module.weight.grad is not None:
            assert "output_factor" in optimizer.state[module.weight]


def test_biases_behind_attention_have_a_full_block():
    torch.manual_seed(6)
    model = Layers(pyg.GATConv(4, 3))
    optimizer, *_ = trained(model, features(), EDGES)
    layer = model.layers[0]
    assert optimizer.state[layer.bias]["output_factor"].shape == (3, 3)
    assert optimizer.state[layer.att_src]["fisher_diagonal"].shape == layer.att_src.shape


@pytest.mark.filterwarnings("ignore:Sparse")
def test_edges_in_every_form_give_the_same_factors():
    found = []
    forms: list[tuple[Any, ...]] = [(EDGES, WEIGHTS), (DENSE.to_sparse_csr(),)]
    for form, cached in itertools.product(forms, (False, True)):
        with torch.random.fork_rng():
            model = gcn(4, 5, 3, cached=cached)
        if cached:
            model(features(), *form)
        optimizer = NaturalGradient(model, fisher="exact", every_row=True)
        outputs = model(features(), *form)
        optimizer.curvature(outputs, rows=ROWS)
        found.append(optimizer.state[model.layers[0].lin.weight]["input_factor"])
    degree = DENSE.sum(1) + 1.0
    P = degree.rsqrt()[:, None] * (DENSE + torch.eye(9, dtype=torch.float64)) * degree.rsqrt()
    rows = torch.cat((P @ features(), torch.ones(9, 1, dtype=torch.float64)), dim=1)
    for one in found:
        assert error(one, rows.mT @ rows / 9) < 1e-12


def test_sparse_features():
    x = features() * (features(3) > 0.5)
    found = []
    for form in (x, x.to_sparse_coo()):
        model = gcn(4, 5, 3)
        optimizer = NaturalGradient(model, fisher="exact")
        optimizer.curvature(model(form, EDGES), rows=ROWS)
        state = optimizer.state[model.layers[0].lin.weight]
        found.append(state["input_rows"])
    assert error(found[1], found[0]) < 1e-12


def test_bipartite_layers():
    torch.manual_seed(2)

    class Bipartite(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = pyg.SAGEConv((4, 5), 3).double()

        def forward(self, sources: Tensor, targets: Tensor, edges: Tensor) -> Tensor:
            return self.layer((sources, targets), edges)

    edges = torch.tensor([[0, 8, 3, 4, 6], [0, 1, 2, 3, 5]])
    targets = torch.randn(6, 5, dtype=torch.float64)
    optimizer, first, last = trained(Bipartite(), features(), targets, edges, rows=torch.tensor([0, 2, 5]))
    assert last < 0.75 * first
    assert len(optimizer._attached.blocks) == 2


def test_isolated_nodes_and_an_empty_class():
    model = gcn(4, 5, 4)  # class 3 has no node
    _, first, last = trained(model, features(), torch.zeros(2, 0, dtype=torch.int64))
    assert last < first


def test_labels_of_one_class():
    """There is but little to learn, and in the end no information; steps stay finite."""
    x, rows, model = features(), torch.tensor([0, 3, 5]), gcn(4, 5, 3)
    optimizer = NaturalGradient(model, damping=1e-3)
    for _ in range(60):
        outputs = model(x, EDGES)
        optimizer.zero_grad()
        optimizer.curvature(outputs, rows=rows)
        loss = functional.cross_entropy(outputs[rows], torch.zeros(3, dtype=torch.int64))
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-2
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_mini_batches_whose_first_rows_count():
    torch.manual_seed(1)
    model = gcn(4, 5, 3)
    optimizer, first, last = trained(model, features(), EDGES, rows=torch.arange(3))
    assert last < first
    rows = optimizer.state[model.layers[0].lin.weight]["input_rows"]
    assert rows.shape == (3, 5)


def test_batches_of_other_nodes_are_averaged():
    """Rows in the same places are other nodes where it is another graph every time."""
    model = gcn(9, 5, 3)
    optimizer = NaturalGradient(model, interval=1)
    generator = torch.Generator().manual_seed(3)
    for nodes in (9, 7, 8, 9):
        x = torch.randn(nodes, 9, generator=generator, dtype=torch.float64)
        outputs = model(x, EDGES[:, (nodes > EDGES).all(0)])
        optimizer.zero_grad()
        optimizer.curvature(outputs, rows=torch.arange(4))
        functional.cross_entropy(outputs[:4], labels()[:4]).backward()
        optimizer.step()
    state = optimizer.state[model.layers[0].lin.weight]
    assert "input_rows" not in state
    assert int(torch.linalg.matrix_rank(state["input_factor"])) > 4  # more than the nodes of one batch


def test_networks_of_images_with_norms():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.GroupNorm(2, 4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 3),
    ).double()  # fmt: skip
    x = torch.randn(9, 1, 5, 6, dtype=torch.float64)
    optimizer, first, last = trained(model, x, rows=torch.arange(9))
    assert last < 0.5 * first
    assert "fisher_cross" in optimizer.state[model[1].weight]
    assert "fisher_cross" in optimizer.state[model[8].weight]
    assert "fisher_diagonal" in optimizer.state[model[3].weight]  # grouped: no Kronecker form


def test_weights_that_are_read_past_their_module():
    torch.manual_seed(0)

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    model = Attending().double()
    optimizer, first, last = trained(model, torch.randn(9, 5, 4, dtype=torch.float64), rows=torch.arange(9))
    assert last < first
    assert "fisher_diagonal" in optimizer.state[model.attention.out_proj.weight]  # its forward is never called
    assert "fisher_diagonal" in optimizer.state[model.attention.in_proj_weight]
    assert "output_factor" in optimizer.state[model.head.weight]
