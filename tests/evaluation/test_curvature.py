"""Weight optimizers that look at the layers, under the trainer: the same as by hand, resumed, in any recipe."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest
import torch
from torch.nn import functional

from archgraph import Graph, Network
from archgraph.errors import SettingError
from archgraph.evaluation import Recipe, train
from archgraph.evaluation.curvature import looks, tell, watched
from archgraph.evaluation.self_training import SelfTraining
from archgraph.tasks import Loss, Split, Task
from archgraph.tasks.node_graph import NodeGraph
from optimizers import NaturalGradient

NODES = 11
X = torch.randn(NODES, 5, generator=torch.Generator().manual_seed(0))
Y = (torch.arange(NODES) // 4).long()
EDGES = torch.stack([torch.arange(NODES), (torch.arange(NODES) + 1) % NODES])
ROWS = {"train": torch.arange(6), "val": torch.arange(6, 9), "test": torch.arange(9, 11)}
RING = NodeGraph(X, Y, EDGES, ROWS)
TASK = Task("ring", RING.splits(), Loss("cross-entropy"), (5,), 3, graph=RING)
GCN = Graph.parse("x = Input((5,))\ne = Edges(1)\nb = GCNConv(4)(x, e)\nc = ReLU()(b)\nd = GCNConv(3)(c, e)\nreturn d")
PLAIN = Graph.parse("x = Input((5,))\nb = Linear(4)(x)\nn = BatchNorm()(b)\nc = Tanh()(n)\nd = Linear(3)(c)\nreturn d")
RECIPE = Recipe("natural-gradient", lr=0.1, epochs=12, schedule="constant", options={"damping": 3e-2, "interval": 3})


def weights(network: Network) -> torch.Tensor:
    return torch.cat([network.weights[name].double().reshape(-1) for name in sorted(network.weights)])


def test_a_recipe_trains_as_a_loop_by_hand() -> None:
    network = Network.init(GCN)
    module = network.to_torch()
    optimizer = NaturalGradient(module, lr=0.1, damping=3e-2, interval=3)
    for _ in range(12):
        optimizer.zero_grad()
        outputs = module(X, EDGES)
        loss = functional.cross_entropy(outputs[ROWS["train"]], Y[ROWS["train"]])
        optimizer.curvature(outputs, loss, rows=ROWS["train"])
        loss.backward()
        optimizer.step()
    done = train(network, TASK, RECIPE, seed=0)
    assert torch.allclose(weights(done.network), weights(network.with_weights_of(module)), atol=1e-5)
    assert "output_factor" in done.state["b.lin.weight"]


@pytest.mark.parametrize("optimizer", ["natural-gradient", "exact-natural-gradient", "ssp"])
@pytest.mark.parametrize("graph", [GCN, PLAIN], ids=["GCN", "plain"])
def test_training_goes_on_from_a_checkpoint_bit_for_bit(optimizer: str, graph: Graph) -> None:
    recipe = Recipe(optimizer, lr=0.05, epochs=7, batch_size=3)
    network = Network.init(graph)
    saved = []
    whole = train(network, TASK, recipe, seed=4, save=lambda epoch, take: saved.append(take()))
    rest = train(network, TASK, recipe, seed=4, start=saved[3])
    assert rest.network == whole.network
    assert whole.curve[-1].metrics["train.running-loss"] < whole.curve[0].metrics["train.running-loss"]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_gives_factors_in_float32(precision: str) -> None:
    done = train(Network.init(PLAIN), TASK, RECIPE.but(precision=precision, ema=0.5), seed=0)
    factors = [entries["output_factor"] for entries in done.state.values() if "output_factor" in entries]
    assert {factor.dtype for factor in factors} == {torch.float32}
    assert torch.isfinite(weights(done.network)).all()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++") and not shutil.which("clang++"), reason="no C++ compiler here")
def test_a_compiled_network_is_looked_at_uncompiled() -> None:
    plain, compiled = (
        train(Network.init(GCN), TASK, RECIPE.but(compile=one, epochs=5), seed=0) for one in (False, True)
    )
    assert torch.allclose(weights(plain.network), weights(compiled.network), atol=1e-5)


@pytest.mark.parametrize(("loss", "outputs"), [("mse", 2), ("binary-cross-entropy", 2)])
def test_other_losses(loss: str, outputs: int) -> None:
    x = torch.randn(30, 5)
    y = (x[:, :2] > 0).float()
    splits = {"train": Split(x[:20], y[:20]), "val": Split(x[20:25], y[20:25]), "test": Split(x[25:], y[25:])}
    task = Task("signs", splits, Loss(loss), (5,), outputs)
    graph = Graph.parse("x = Input((5,))\nb = Linear(4)(x)\nc = Tanh()(b)\nd = Linear(2)(c)\nreturn d")
    curve = train(Network.init(graph), task, RECIPE.but(epochs=25, batch_size=8), seed=0).curve
    assert curve[-1].metrics["train.running-loss"] < 0.6 * curve[0].metrics["train.running-loss"]


def test_self_training_adds_its_term() -> None:
    recipe = Recipe("sgd", lr=0.5, epochs=2, schedule="constant", self_training="entropy:2")
    module = (network := Network.init(GCN)).to_torch()
    for epoch in (1, 2):
        module.zero_grad()
        outputs = module(X, EDGES)
        loss = functional.cross_entropy(outputs[:6], Y[:6]) + (epoch / 2) ** 2 * SelfTraining("entropy")(
            outputs, ROWS["train"]
        )
        loss.backward()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter -= 0.5 * parameter.grad
    done = train(network, TASK, recipe, seed=0)
    assert torch.allclose(weights(done.network), weights(network.with_weights_of(module)), atol=1e-6)


def test_self_training_needs_nodes_without_labels() -> None:
    with pytest.raises(SettingError, match="without a label"):
        train(Network.init(PLAIN), TASK, RECIPE.but(self_training="pseudo-label"), seed=0)


@pytest.mark.parametrize(
    "options", [{"damping": -1.0}, {"mode": "full"}, {"damp": 1.0}, {"interval": "often"}], ids=str
)
def test_options_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=r"natural.gradient"):
        RECIPE.but(options=options).build(Network.init(GCN).to_torch())


class Quiet(torch.optim.SGD):
    """Looks in its second step only."""

    seen: list[str]
    due = False

    def attach(self, module: torch.nn.Module) -> None:
        self.seen = ["attach"]

    @contextmanager
    def watching(self):
        self.seen.append("watching")
        yield

    def curvature(self, outputs, value, *, loss, rows=None):
        self.seen.append(f"{loss} {tuple(outputs.shape)}")


def test_an_optimizer_is_told_when_it_wants_to_know() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    plain, quiet = torch.optim.SGD([parameter]), Quiet([parameter])
    assert (looks(plain), looks(quiet)) == (False, True)
    quiet.attach(torch.nn.Identity())
    outputs = torch.zeros(3, 2)
    for optimizer in (plain, quiet):
        with watched(optimizer) as plainly:
            assert not plainly
        tell(optimizer, outputs, outputs.sum(), "mse", None)
    assert quiet.seen == ["attach"]
    quiet.due = True
    with watched(quiet) as plainly:
        assert plainly
    tell(quiet, outputs, outputs.sum(), "mse", None)
    assert quiet.seen == ["attach", "watching", "mse (3, 2)"]
