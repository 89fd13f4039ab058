"""Networks on graphs as source: what is written, and the models of PyTorch Geometric's examples, read and rewritten."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archgraph as ag
from archgraph import ops
from archgraph.export import export, source, state_dict
from archgraph.export.graph_layers import setting
from archgraph.export.trial import sample
from archgraph.graph import Graph
from archgraph.moves import Duplicate, InsertIdentity
from archgraph.net import Network
from archgraph.ops.graph_layer import geometric

gnn: Any = geometric()

GOLDEN = '''\
"""A network of 9 nodes as plain PyTorch: needs torch and PyTorch Geometric.

Inputs:  x [N, 5], e [2, E], w [E], m [N]
Outputs: head [G, 2]
Size:    72 parameters, 96 multiply-accumulates a node, float32

    from model import load
    model = load()  # weights.pt beside this file; on the CPU, in eval mode
    head = model(x, e, w, m)

`python model.py` prints a summary.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import torch_geometric.nn as gnn
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = gnn.GCNConv(5, 3, improved=True)
        self.heads = gnn.GATConv(3, 4, heads=2, concat=False, dropout=0.25)
        self.pool = gnn.MaxAggregation()
        self.head = nn.Linear(4, 2)

    def forward(self, x, e, w, m):
        conv = self.conv(x, e, w)  # [N, 3]
        bent = F.elu(conv)  # [N, 3]
        heads = self.heads(bent, e)  # [N, 4]
        pool = self.pool(heads, m)  # [G, 4]
        head = self.head(pool)  # [G, 2]
        return head
'''

TEXT = """
x = Input((5,))
e = Edges(2)
w = EdgeWeights()
m = Membership()
conv = GCNConv(3, improved=True)(x, e, w)
bent = ELU()(conv)
heads = GATConv(4, heads=2, concat=False, dropout=0.25)(bent, e)
pool = GraphMaxPool()(heads, m)
head = Linear(2)(pool)
return head
"""


def model_of(network: Network) -> nn.Module:
    """Run the exported text, without its file, and give the model its weights."""
    space: dict[str, Any] = {"__name__": "model"}
    exec(compile(source(network), "model.py", "exec"), space)
    built: nn.Module = space["Model"]()
    built.load_state_dict(state_dict(network), assign=True)
    return built.eval()


def test_the_text_of_a_small_network() -> None:
    network = Network.init(Graph.parse(TEXT), seed=3)
    text = source(network)
    # 72 = (5*3 + 3) + (3*8 + 2*8 + 4) + (4*2 + 2), and 96 = (5*3 + 3*3) + (3*8 + 2*8 + 3*8) + 4*2: two edges and a loop
    assert text[: len(GOLDEN)] == GOLDEN
    given = sample(network)
    assert torch.equal(model_of(network)(*given), network.to_torch().eval()(*given))


SETTINGS = [
    (ops.GCNConv(3), "add_self_loops", None),  # what normalize says
    (ops.GCNConv(3, add_self_loops=False), "add_self_loops", False),
    (ops.ChebConv(3, K=4), "K", 4),
    (ops.GINConv(0.25, train_eps=True), "train_eps", True),
    (ops.GINConv(0.25), "eps", 0.25),
    (ops.GATConv(3, heads=2), "heads", 2),
]


@pytest.mark.parametrize(("op", "name", "value"), SETTINGS)
def test_with_what_a_layer_was_made(op: Any, name: str, value: Any) -> None:
    assert setting(op.module(ops.Input((5,)).infer(), ops.Edges(2).infer()), name) == value


# ---------------------------------------------------------------------- the models of the examples
class Gcn(nn.Module):  # examples/gcn.py
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = gnn.GCNConv(5, 6), gnn.GCNConv(6, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        x = functional.dropout(x, p=0.5, training=self.training)
        x = self.conv1(x, edge_index, edge_weight).relu()
        x = functional.dropout(x, p=0.5, training=self.training)
        return self.conv2(x, edge_index, edge_weight)


class Gat(nn.Module):  # examples/gat.py
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = gnn.GATConv(5, 4, 3, dropout=0.6)
        self.conv2 = gnn.GATConv(4 * 3, 2, heads=1, concat=False, dropout=0.6)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = functional.dropout(x, p=0.6, training=self.training)
        x = functional.elu(self.conv1(x, edge_index))
        x = functional.dropout(x, p=0.6, training=self.training)
        return self.conv2(x, edge_index)


class Sage(nn.Module):  # examples/reddit.py, on the whole graph
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([gnn.SAGEConv(5, 6), gnn.SAGEConv(6, 3)])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for i, conv in enumerate(self.convs):
            x = conv(x, edge_index)
            if i < len(self.convs) - 1:
                x = functional.dropout(x.relu_(), p=0.5, training=self.training)
        return x


class Gin(nn.Module):  # examples/mutag_gin.py
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(gnn.GINConv(gnn.MLP([units, 6, 6])) for units in (5, 6, 6))
        self.mlp = gnn.MLP([6, 6, 3], norm=None, dropout=0.5)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.mlp(gnn.global_add_pool(x, batch))


class Jumping(nn.Module):  # Xu et al., 2018, with the parts of PyTorch Geometric
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(gnn.GCNConv(units, 6) for units in (5, 6, 6))
        self.jump, self.last = gnn.JumpingKnowledge("cat"), nn.Linear(18, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        xs = []
        for conv in self.convs:
            x = conv(x, edge_index).relu()
            xs.append(x)
        return self.last(self.jump(xs))


EDGES = torch.randint(6, (2, 17), generator=torch.Generator().manual_seed(1))  # node 6 has none
MEMBERS = torch.tensor([0, 0, 0, 1, 1, 1, 1])
MODELS = {
    "gcn": (Gcn, (EDGES, torch.linspace(0.1, 1.0, 17))),
    "gat": (Gat, (EDGES,)),
    "sage": (Sage, (EDGES,)),
    "gin": (Gin, (EDGES, MEMBERS)),
    "jumping knowledge": (Jumping, (EDGES,)),
}


def rewritten(name: str) -> tuple[Network, tuple[Tensor, ...], Tensor]:
    """Read a model and rewrite it several times, with its function kept; the network, an example and its outputs."""
    kind, more = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(7)
        model = kind().double()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean, part.running_var = torch.randn(6).double(), torch.rand(6).double() + 0.5
    x = torch.randn(7, 5, dtype=torch.float64)
    given = (x, *(one.double() if one.is_floating_point() else one for one in more))
    with torch.no_grad():
        wanted = model.eval()(*given)
    network = ag.from_torch(model, given)
    assert not any(isinstance(node.op, ops.Opaque) for node in network.graph)
    for number in range(3):
        sites = list(Duplicate.sites(network.graph))
        network = sites[number % len(sites)].apply(network)
    for site in list(InsertIdentity.sites(network.graph))[:1]:
        network = site.apply(network)
    return network, given, wanted


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_examples_keep_their_function(name: str) -> None:
    network, given, wanted = rewritten(name)
    model = model_of(network)
    with torch.no_grad():
        assert (model(*given) - wanted).abs().max() < 1e-10 * wanted.abs().max()
    foreign = {type(part).__module__.partition(".")[0] for part in model.modules()} - {"model"}
    assert foreign <= {"torch", "torch_geometric", "builtins"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_examples_are_exported(name: str, tmp_path: Path) -> None:
    network, given, _ = rewritten(name)
    done = export(network, tmp_path, ("python", "pt2"), example=given)
    assert "a graph of 7 nodes equal bit for bit" in done.checks[0]
    assert "graphs of 7 and 14 nodes equal bit for bit" in done.checks[1]
