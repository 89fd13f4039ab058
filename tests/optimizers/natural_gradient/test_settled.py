"""Natural gradient on a network that has settled on its graph: faster ways to compute the same are the same to it."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch

from archgraph import Graph, Network, Recipe
from archgraph.evaluation.curvature import tell, watched
from archgraph.evaluation.feed import feed
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.tasks import find
from tests.optimizers.natural_gradient.nets import error

LAYERS = ["GCNConv(5)", "SAGEConv(5)", "GATConv(5)", "TransformerConv(5)", "TAGConv(5)", "Linear(5)"]


class Run:
    """A network on the karate club and its optimizer; dropout draws the same in the same step."""

    def __init__(self, layer: str, *, settled: bool, dropout: bool = False, **options: int) -> None:
        self.task = find("karate")
        edges, read = ("" if layer == "Linear(5)" else ", e"), "k" if dropout else "x"
        graph = Graph.parse(
            f"x = Input({self.task.input_shape})\ne = Edges(4)\n{'k = Dropout(0.5)(x)' if dropout else ''}\n"
            f"a = {layer}({read}{edges})\nb = Tanh()(a)\ny = GCNConv({self.task.outputs})(b, e)\nreturn y"
        )
        network = Network.init(graph, seed=0, dtype=torch.float64)
        self.module, self.data = network.to_torch().train(), feed(graph, self.task, "train", "cpu", torch.float64)
        if settled:
            settle_on_graph(self.module, graph, self.data.inputs(slice(None)))
        recipe = Recipe(optimizer="natural-gradient", lr=0.1, options=options or {"interval": 2})
        self.optimizer = recipe.build(self.module)

    def advance(self, steps: int, begin: int = 0) -> list[torch.Tensor]:
        rows = self.data.counted(torch.arange(len(self.data)))
        for step in range(begin, begin + steps):
            torch.manual_seed(step)
            self.optimizer.zero_grad()
            with watched(self.optimizer):
                outputs = self.module(*self.data.inputs(slice(None)))
            loss = self.task.loss(outputs[rows], self.data.y)
            tell(self.optimizer, outputs, loss, self.task.loss.name, rows)
            loss.backward()
            self.optimizer.step()
        return [one.detach() for one in self.module.parameters()]

    def rows(self) -> torch.Tensor:
        return next(state["input_rows"] for state in self.optimizer.state.values() if "input_rows" in state)


def trained(layer: str, *, settled: bool, dropout: bool = False) -> list[torch.Tensor]:
    return Run(layer, settled=settled, dropout=dropout).advance(5)


@pytest.mark.parametrize("layer", LAYERS)
def test_steps_are_the_same(layer: str):
    plain, fast = trained(layer, settled=False), trained(layer, settled=True)
    assert all(error(b, a) < 1e-10 for a, b in zip(plain, fast, strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_features_that_are_dropped_as_compressed_rows_train_too(layer: str):
    torch.manual_seed(0)
    assert all(bool(one.isfinite().all()) for one in trained(layer, settled=True, dropout=True))


@pytest.mark.parametrize("options", [{"mode": "auto"}, {"mode": "conv"}], ids=str)
@pytest.mark.parametrize("every", [1, 3])
def test_dropped_features_are_read_every_so_many_looks(every: int, options: dict[str, Any]):
    run, seen = Run("GCNConv(5)", settled=True, dropout=True, interval=1, input_interval=every, **options), []
    for step in range(7):
        run.advance(1, step)
        seen.append(run.rows())
    changed = [not torch.equal(before, after) for before, after in itertools.pairwise(seen)]
    assert changed == [step % every == 0 for step in range(1, 7)]


def test_a_saved_run_with_dropped_features_goes_on_bit_for_bit():
    """Between two readings, too: what is known is from before."""
    run, other = (Run("GCNConv(5)", settled=True, dropout=True, interval=1, input_interval=4) for _ in range(2))
    run.advance(6)
    other.module.load_state_dict(run.module.state_dict())
    other.optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))
    for step in range(6, 13):
        assert all(torch.equal(a, b) for a, b in zip(run.advance(1, step), other.advance(1, step), strict=True))


def test_other_sparse_features_are_read_at_once():
    run = Run("GCNConv(5)", settled=True, dropout=True, interval=1, input_interval=9)
    run.advance(2)
    before, site = run.rows(), next(iter(run.optimizer._attached.blocks))
    by, places, told = site.kept["last"]
    site.kept["last"] = by, tuple(place.clone() for place in places), told  # as if they had been elsewhere
    run.advance(1, 2)
    assert not torch.equal(run.rows(), before)
