"""The space of graph networks: its contract, what every choice does, and that its networks are those of PyG."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from archgraph import Graph, Network, chain, ops
from archgraph.errors import SpaceError
from archgraph.spaces import Choice
from archgraph.spaces.gnn import LAYERS, NORMS, gnn
from archgraph.testing import check_space

SEED = chain(ops.Input((11,)), ops.Linear(3))
SPACE = gnn(SEED)
PLAIN: dict[str, Any] = {"layer": "gcn", "width": 16, "depth": 2, "drop_edges": False, "norm": "none"}
PLAIN |= {"activation": "relu", "dropout": 0.5, "input_dropout": True, "skips": False, "jump": "none"}
PLAIN |= {"propagated": False, "linear_head": False}
EDGES = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 0, 3, 2, 0, 4]])


def test_the_contract() -> None:
    check_space(SPACE, draws=8)


def test_the_network_of_the_paper_is_a_point() -> None:
    """Kipf and Welling's, but for its second layer of outputs: depth counts hidden layers."""
    found = SPACE.build(PLAIN | {"depth": 1})
    assert str(found) == (
        "x = Input((11,))\ndropout1 = Dropout()(x)\nedges = Edges()\ngcnconv1 = GCNConv(16)(dropout1, edges)\n"
        "relu1 = ReLU()(gcnconv1)\ndropout2 = Dropout()(relu1)\ngcnconv2 = GCNConv(3)(dropout2, edges)\n"
        "return gcnconv2\n"
    )


def test_the_usual_point_is_that_network() -> None:
    assert SPACE.usual == SPACE.canonical(PLAIN | {"depth": 1})
    other = gnn(SEED, layers=("linear", "gat"), widths=(4, 24)).usual
    assert other is not None
    assert (other["layer"], other["width"]) == ("linear", 24)


def computed(values: dict[str, Any], seed: int = 1) -> torch.Tensor:
    network = Network.init(SPACE.build(SPACE.canonical(values)), seed=seed)
    x = torch.linspace(-1, 1, 5 * 11).reshape(5, 11)
    given = {"x": x, "edges": EDGES}
    return network.to_torch().eval()(*(given[name] for name in network.graph.inputs))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_computes(layer: str) -> None:
    values = PLAIN | {"layer": layer, "aggregation": "max", "heads": 4}
    kept = {name: value for name, value in values.items() if name in _asked(values)}
    assert computed(kept).shape == (5, 3)


def _asked(values: dict[str, Any]) -> set[str]:
    """Return the names that matter at some values."""
    return set(SPACE.resolve(lambda name, domain: values.get(name, domain.decode(domain.middle))))


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_computes(norm: str) -> None:
    assert torch.isfinite(computed(PLAIN | {"norm": norm, "depth": 3, "skips": True, "jump": "max"})).all()


def test_jumping_knowledge() -> None:
    graph = SPACE.build(PLAIN | {"depth": 3, "jump": "cat"})
    hidden = [node for node in graph if node.op == ops.ReLU()]
    merged = next(node for node in graph if isinstance(node.op, ops.Concat))
    assert merged.inputs == tuple(node.name for node in hidden)
    largest = SPACE.build(PLAIN | {"depth": 3, "jump": "max"})
    assert sum(isinstance(node.op, ops.Maximum) for node in largest) == 2


def test_skip_connections() -> None:
    graph = SPACE.build(PLAIN | {"depth": 3, "skips": True})
    assert [node.inputs for node in graph if isinstance(node.op, ops.Add)] == [("relu2", "relu1"), ("relu3", "add1")]


def test_what_does_not_read_edges_has_none() -> None:
    values = {name: value for name, value in PLAIN.items() if name not in ("drop_edges", "linear_head")}
    assert SPACE.build(values | {"layer": "linear"}).inputs == ("x",)
    assert SPACE.build(values | {"layer": "linear", "propagated": True}).inputs == ("x", "edges")


def test_a_seed_that_pools_gives_networks_that_pool() -> None:
    seed = Graph.parse(
        "x = Input((11,))\nedges = Edges(7)\nof = Membership()\na = GCNConv(5)(x, edges)\n"
        "b = GraphMeanPool()(a, of)\nc = Linear(2)(b)\nreturn c"
    )
    space = gnn(seed, depth=2, widths=(8,))
    assert {"pool"} <= set(space.domains)
    assert not {"propagated", "linear_head"} & set(space.domains)
    graph = space.sample(4)
    assert all(node.op == ops.Edges(7) for node in graph if node.name == "edges")
    assert "membership" in graph.inputs
    assert graph.shape(graph.outputs[0]).units == 2


def test_heads_divide_every_width() -> None:
    assert gnn(SEED, widths=(4, 6)).domains["heads"].find(4) is None
    assert gnn(SEED, widths=(4, 6)).domains["heads"].find(2) == 2


def test_layers_that_propagate_features_themselves_are_left_out_where_these_are_many() -> None:
    assert SPACE.domains["layer"] == Choice(tuple(LAYERS))
    wide = gnn(chain(ops.Input((300,)), ops.Linear(3)))
    assert set(LAYERS) - set(wide.domains["layer"].options) == {"cheb", "tag"}  # type: ignore[attr-defined]


def test_it_pickles() -> None:
    assert pickle.loads(pickle.dumps(SPACE)).sample(5) == SPACE.sample(5)


@pytest.mark.parametrize(
    ("seed", "settings", "said"),
    [
        (SEED, {"layers": ("gcn", "gcm")}, "no layers"),
        (SEED, {"widths": ()}, "widths"),
        (SEED, {"depth": 0}, "depth"),
        (chain(ops.Input((1, 8, 8)), ops.Flatten(), ops.Linear(3)), {}, "features of nodes"),
    ],
)
def test_refusals(seed: Graph, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        gnn(seed, **settings)
