"""Growth of networks on graphs, end to end: scores, moves, line searches, training between, optimizer state carried."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import archgraph as ag
from archgraph import Graph
from archgraph.evaluation import Evaluator, Train
from archgraph.moves import Split
from archgraph.net import inherit_state
from archgraph.registry import DRIVERS
from archgraph.tasks import find

KARATE = find("karate")
IN, OUT = KARATE.input_shape[0], KARATE.outputs
RECIPES = {
    "adam": ag.Recipe(optimizer="adam", lr=0.01, epochs=4),
    "natural-gradient": ag.Recipe(optimizer="natural-gradient", lr=0.01, epochs=4),
}


def network(layer: str, last: str | None = None, mid: str = "SiLU()") -> Graph:
    """Two layers on the karate club."""
    return Graph.parse(
        f"x = Input(({IN},))\nlinks = Edges(5)\na = {layer}(x, links)\nf = {mid}(a)\n"
        f"y = {last or layer.split('(')[0] + f'({OUT})'}(f, links)\nreturn y"
    )


NETWORKS = {
    "gcn": network("GCNConv(4)"),
    "sage": network("SAGEConv(4)"),
    "gat": network("GATConv(4)"),
    "gat, two heads": network("GATConv(3, heads=2)", f"GATConv({OUT}, heads=2, concat=False)"),
    "gin": Graph.parse(
        f"x = Input(({IN},))\nlinks = Edges(5)\np = GINConv()(x, links)\na = Linear(4)(p)\nn = BatchNorm()(a)\n"
        f"f = SiLU()(n)\nq = GINConv()(f, links)\ny = Linear({OUT})(q)\nreturn y"
    ),
}


def some(fast: set[str]) -> list[Any]:
    """The networks by name; but for a few, what is tried on them is slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in NETWORKS]


def grown(driver: str, graph: Graph, optimizer: str = "adam", **settings: Any) -> ag.Study:
    kind = DRIVERS.get(driver)
    return ag.search(
        kind(graph, stages=1, **settings), task=KARATE, recipe=RECIPES[optimizer], seed=1, device="cpu", name="growth"
    )


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("natural-gradient", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", some({"sage", "gat, two heads"}))
@pytest.mark.parametrize("driver", ["splitting", "signed-splitting"])
def test_a_split_does_to_the_loss_what_its_index_says(driver: str, name: str, optimizer: str) -> None:
    settings = {"halves": False, "confidence": 0.0, "line_search": False, "step": 0.02}
    study = grown(driver, NETWORKS[name], optimizer, **settings)
    first, second = study.trials
    assert second.metrics["units"] > first.metrics["units"]
    assert second.predicted is not None and second.predicted < 0.0
    assert second.measured == pytest.approx(second.predicted, rel=0.05)
    assert second.metrics["train.loss"] < first.metrics["train.loss"]


@pytest.mark.parametrize("name", some({"gcn"}))
@pytest.mark.parametrize("kinds", [("split", "new"), ("layer", "edge")], ids=["width", "depth"])
def test_firefly_grows_width_and_depth(kinds: tuple[str, ...], name: str) -> None:
    study = grown("firefly", NETWORKS[name], kinds=kinds, halves=False)
    assert len(study.trials) == 2
    assert study.trials[1].measured < 0.0
    kept = study.trials[1].network.graph
    assert (len(kept) > len(NETWORKS[name])) == ("layer" in kinds)


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["tiny", "gradmax", "north", "natural-expansion", "zero-fan-out"])
def test_criteria_add_units(driver: str) -> None:
    for name in ("gcn", "sage"):
        study = grown(driver, NETWORKS[name])
        assert len(study.trials) == 2
        assert study.trials[1].measured < 0.0
        assert study.trials[1].network.graph.units("a") > 4


def test_curvature_goes_through_a_split() -> None:
    report = Evaluator(KARATE, device="cpu").evaluate(Train(NETWORKS["gcn"], RECIPES["natural-gradient"], seed=0))
    assert report.network is not None and report.state is not None
    edit = Split("a", (1, 3)).plan(report.network.graph)
    state = inherit_state(edit, report.state)
    wider = report.network.after(edit)
    old, new = report.state["y.lin.weight"], state["y.lin.weight"]
    assert {"input_factor", "input_rows"} & set(new)
    for entry in {"input_factor", "input_rows"} & set(new):
        assert new[entry].shape[-1] == old[entry].shape[-1] + 2
    again = Train(wider, RECIPES["natural-gradient"], seed=1, state=state)
    after = Evaluator(KARATE, device="cpu").evaluate(again)
    assert after.ok and after.metrics["train.loss"] < report.metrics["train.loss"]


def test_what_cannot_be_grown_is_said() -> None:
    study = grown("splitting", network("GATv2Conv(4)"))
    assert len(study.trials) == 1
    assert "attends" in study.stopped
    study = grown("tiny", NETWORKS["gat"])
    assert "is read by node 'y'" in study.stopped


def test_a_search_starts_from_convolutions_on_the_graph() -> None:
    from archgraph.tasks.seed import seed_graph

    graph = seed_graph(KARATE)
    assert [type(node.op).__name__ for node in graph].count("GCNConv") == 2
    study = grown("splitting", graph, halves=False)
    assert len(study.trials) == 2
    assert torch.isfinite(torch.tensor(study.trials[1].metrics["val.loss"]))
