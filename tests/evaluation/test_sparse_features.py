"""Features that are mostly zero: what reads their entries alone computes what reads all of them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph import Graph, Network
from archgraph.evaluation.quick_dropout import QuickDropout
from archgraph.evaluation.sparse_features import FeatureDropout, _Reading, entries, read_sparse
from archgraph.evaluation.transductive import settle_on_graph

NODES, WIDTH, UNITS = 9, 17, 5
EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8, 1], [1, 2, 3, 4, 5, 6, 7, 8, 0, 4]])


@pytest.fixture
def features() -> Tensor:  # [9, 17], a row and a column without entries
    generator = torch.Generator().manual_seed(3)
    made = torch.rand((NODES, WIDTH), generator=generator, dtype=torch.float64)
    made = made * (torch.rand((NODES, WIDTH), generator=generator) < 0.15)
    made[4], made[:, 11] = 0.0, 0.0
    return made


def _settled(layer: str, x: Tensor, dropped: bool) -> tuple[nn.Module, nn.Module]:
    """Return a module that knows its features, and one that does not."""
    drop = "d = Dropout(0.5)(x)\n" if dropped else ""
    text = f"x = Input(({WIDTH},))\ne = Edges(1)\n{drop}c = {layer.format('d' if dropped else 'x')}\nreturn c"
    graph = Graph.parse(text)
    network = Network.init(graph, seed=1).to(torch.float64)
    module, plain = network.to_torch(), network.to_torch()
    settle_on_graph(module, graph, (x, EDGES))
    return module, plain


LAYERS = (
    f"GCNConv({UNITS})({{}}, e)",
    f"GATConv({UNITS}, heads=2)({{}}, e)",
    f"GATv2Conv({UNITS})({{}}, e)",
    f"TransformerConv({UNITS})({{}}, e)",
    f"Linear({UNITS})({{}})",
    f"SAGEConv({UNITS})({{}}, e)",
    f"SAGEConv({UNITS}, aggr='sum', root_weight=False, normalize=True)({{}}, e)",
)


def test_entries_and_their_transpose(features: Tensor) -> None:
    known = entries(features)
    assert entries(features) is known
    assert torch.equal(known.compressed(known.values).to_dense(), features)
    assert torch.equal(known.compressed(known.values, transposed=True).to_dense(), features.mT)
    assert len(known.values) == int(features.count_nonzero()) < 0.2 * features.numel()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.split("(")[0])
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_dense_product(layer: str, training: bool, features: Tensor) -> None:
    module, plain = (one.train(training) for one in _settled(layer, features, dropped=False))
    assert any(isinstance(part, _Reading) for part in module.modules())
    assert dict(module.state_dict()).keys() == dict(plain.state_dict()).keys()
    target = torch.randn_like(plain(features, EDGES))
    for one in (module, plain):
        (one(features, EDGES) * target).sum().backward()
    for own, other in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module(features, EDGES), plain(features, EDGES), rtol=1e-12, atol=1e-12)
    other = torch.randn_like(features)  # features that it does not know
    torch.testing.assert_close(module(other, EDGES), plain(other, EDGES), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.split("(")[0])
def test_what_dropout_leaves_is_read_by_its_entries(layer: str, features: Tensor) -> None:
    module, plain = _settled(layer, features, dropped=True)
    seen: list[Tensor] = []
    module.d.register_forward_hook(lambda *call: seen.append(call[2]))
    target = torch.randn_like(plain.eval()(features, EDGES))
    found = module.train()(features, EDGES)
    (found * target).sum().backward()
    assert seen[0].layout == torch.sparse_csr
    plain.d = nn.Identity()
    expected = plain.train()(seen[0].to_dense(), EDGES)
    (expected * target).sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for own, other in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_second_derivatives_and_forward_mode(features: Tensor) -> None:
    layer = nn.Linear(WIDTH, UNITS).double()
    read_sparse(layer, features)
    weight = layer.weight.detach().clone().requires_grad_()

    def outputs(weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight, "bias": layer.bias}, (features,)).tanh()

    assert torch.autograd.gradcheck(outputs, (weight,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(outputs, (weight,))


@pytest.mark.parametrize(
    "text",
    [
        "d = Dropout(0.5)(x)\nc = SAGEConv(3, aggr='max')(d, e)\nreturn c",  # no linear map comes first
        "d = Dropout(0.5)(x)\nf = Linear(17)(d)\nc = Add()(f, d)\nreturn c",  # read by something else, too
        "d = Dropout(0.5)(x)\nc = GCNConv(3)(d, e)\nreturn c, d",
    ],
    ids=["aggregated", "residual", "returned"],
)
def test_others_get_what_dropout_leaves_as_it_was(text: str, features: Tensor) -> None:
    graph = Graph.parse(f"x = Input(({WIDTH},))\ne = Edges(1)\n{text}")
    module = Network.init(graph).to(torch.float64).to_torch().train()
    settle_on_graph(module, graph, (features, EDGES))
    assert isinstance(module.d, FeatureDropout) and module.d(features).layout == torch.strided
    module(features, EDGES)


def test_dense_features_are_left_alone() -> None:
    x = torch.rand(NODES, WIDTH, dtype=torch.float64)
    module, _ = _settled(LAYERS[0], x, dropped=True)
    assert type(module.d) is QuickDropout and not any(isinstance(part, _Reading) for part in module.modules())


def test_with_autocast_it_is_the_dense_product(features: Tensor) -> None:
    layer, plain, x = nn.Linear(WIDTH, UNITS), nn.Linear(WIDTH, UNITS), features.float()
    plain.load_state_dict(layer.state_dict())
    read_sparse(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), plain(x)) and layer(x).dtype == torch.bfloat16


def test_copies_know_nothing_of_the_features(features: Tensor) -> None:
    layer = nn.Linear(WIDTH, UNITS).double()
    read_sparse(layer, features)
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(made) is nn.Linear and made.weight is not layer.weight
        assert torch.equal(made(features), functional.linear(features, layer.weight, layer.bias))
    read_sparse(layer, features)  # once more changes nothing
    assert type(layer).__mro__.count(_Reading) == 1


def test_a_layer_that_reads_two_features(features: Tensor) -> None:
    graph = Graph.parse(
        f"x = Input(({WIDTH},))\nz = Input(({WIDTH},))\nd = Dropout(0.5)(x)\nk = Dropout(0.25)(z)\n"
        "a = Linear(5)(d)\nb = Linear(5)(k) @ a\nc = Add()(a, b)\nreturn c"
    )
    others = features.roll((1, 2), (0, 1))  # as many entries, at other places
    module = Network.init(graph, seed=1).to(torch.float64).to_torch().train()
    settle_on_graph(module, graph, (features, others))
    seen: list[Tensor] = []
    for layer in (module.d, module.k):
        layer.register_forward_hook(lambda *call: seen.append(call[2].to_dense()))
    found = module(features, others)
    expected = sum(functional.linear(one, module.a.weight, module.a.bias) for one in seen)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
