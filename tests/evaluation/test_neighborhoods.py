"""Training on batches of nodes with drawn neighbours: against whole graphs, its bill, going on, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archgraph.cli.recipes import read_recipe
from archgraph.errors import SettingError
from archgraph.evaluation import Evaluator, Fidelity, Recipe, Train
from archgraph.evaluation.bill import training_bill
from archgraph.evaluation.checkpoint import Checkpoint
from archgraph.evaluation.feed import Neighborhoods, Samples, feed
from archgraph.evaluation.trainer import Trained, train
from archgraph.graph import Graph
from archgraph.net import Network
from archgraph.tasks import NodeGraph, Task

NODES, WORDS, CLASSES = 41, 5, 3
DRAW = torch.Generator().manual_seed(2)
EDGES = torch.randint(NODES - 1, (2, 160), generator=DRAW)  # loops, some twice; node 40 has none
ROWS = {
    "train": torch.cat([torch.arange(16), torch.tensor([40])]),
    "val": torch.arange(16, 29),
    "test": torch.arange(29, 40),
}
WHOLE = NodeGraph(
    torch.randn(NODES, WORDS, generator=DRAW),
    torch.randint(CLASSES, (NODES,), generator=DRAW),
    EDGES,
    ROWS,
    torch.rand(160, generator=DRAW) + 0.5,
)
TASK = Task.from_graph("drawn", WHOLE, outputs=CLASSES)


def network(layer: str, norm: str = "Tanh()") -> Graph:
    """Two layers; ``layer`` has an ``U`` for units and an ``X`` for what it reads."""
    weights = "w = EdgeWeights()\n" if ", w)" in layer else ""
    first, second = (layer.replace("U", str(units)).replace("X", x) for units, x in ((4, "x"), (CLASSES, "b")))
    text = f"x = Input(({WORDS},))\ne = Edges(4)\n{weights}a = {first}\nb = {norm}(a)\nc = {second}\nreturn c"
    return Graph.parse(text)


SAGE = network("SAGEConv(U)(X, e)")
GCN = network("GCNConv(U)(X, e)")


def trained(graph: Graph, **settings: object) -> Trained:
    recipe = Recipe(**{"optimizer": "adam", "lr": 0.05, "epochs": 4, "batch_size": 100, **settings})  # type: ignore[arg-type]
    return train(Network.init(graph, seed=1).to(torch.float64), TASK, recipe, seed=3)


def gap(one: Trained, other: Trained) -> float:
    pairs = zip(one.network.weights.values(), other.network.weights.values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    ("layer", "hops"),
    [
        ("SAGEConv(U)(X, e)", 2),
        ("GATConv(U)(X, e)", 2),
        ("GINConv()(X, e)", 2),
        ("GCNConv(U)(X, e)", 3),  # one more: edges are normalised by how many there are at both ends
        ("GCNConv(U)(X, e, w)", 3),
    ],
)
def test_all_neighbours_in_one_batch_train_as_the_whole_graph_does(layer: str, hops: int) -> None:
    graph = network(layer)
    if "GIN" in layer:
        text = f"x = Input(({WORDS},))\ne = Edges(4)\na = GINConv()(x, e)\nl = Linear(4)(a)\nb = GINConv()(l, e)\n"
        graph = Graph.parse(f"{text}c = Linear({CLASSES})(b)\nreturn c")
    whole, drawn = trained(graph), trained(graph, neighbors=(-1,) * hops)
    assert gap(whole, drawn) < 1e-10
    assert whole.curve[-1].metrics["val.loss"] == pytest.approx(drawn.curve[-1].metrics["val.loss"], abs=1e-10)
    fewer = trained(graph, neighbors=(-1,) * (hops - 1))
    assert gap(whole, fewer) > 1e-4  # the hops are needed


def test_a_step_is_that_of_the_nodes_of_a_batch() -> None:
    one = feed(SAGE, TASK, "train", "cpu", torch.float64, (-1, -1))
    assert isinstance(one, Neighborhoods) and len(one) == 17
    batch = torch.tensor([16, 3])
    inputs, whole = one.inputs(batch), feed(SAGE, TASK, "train", "cpu", torch.float64)
    module = Network.init(SAGE, seed=1).to(torch.float64).to_torch()
    here, there = one.read(module(*inputs), batch), whole.read(module(*whole.inputs(batch)), batch)
    assert here.shape == (2, CLASSES) and torch.allclose(here, there, atol=1e-12)
    assert len(inputs[0]) < NODES
    counted = one.counted(batch)
    assert counted is not None and counted.tolist() == [0, 1]
    perceptron = Graph.parse(f"x = Input(({WORDS},))\nc = Linear({CLASSES})(x)\nreturn c")
    assert isinstance(feed(perceptron, TASK, "train", "cpu", torch.float64, (2,)), Samples)


def test_the_bill_has_the_nodes_and_edges_that_were_drawn() -> None:
    recipe = Recipe(epochs=3, batch_size=6, neighbors="3+2", lr=0.01)
    evaluator, request = Evaluator(TASK, device="cpu"), Train(GCN, recipe)
    report = evaluator.evaluate(request)
    counts = [(int(one.metrics["train.nodes"]), int(one.metrics["train.edges"])) for one in report.curve]
    assert len(set(counts)) > 1  # drawn anew in every epoch
    nodes, edges = (sum(part) for part in zip(*counts, strict=True))
    assert report.ledger.samples == nodes + 3 * NODES + 2 * NODES  # looks at the validation split, and both at the end
    own = {"a": WORDS * 4, "c": 4 * CLASSES}  # multiply-accumulates of a node; an edge, and a loop, have one a unit
    assert report.ledger.train_macs == 3 * (nodes * (sum(own.values()) + 4 + CLASSES) + edges * (4 + CLASSES))
    most = evaluator.at_most(request)
    assert report.ledger.train_macs < most.train_macs and report.ledger.samples < most.samples
    assert most.samples == 3 * min(17 * (1 + 3 + 3 * 2), 3 * NODES) + 5 * NODES
    every = training_bill(Train(GCN, recipe.but(neighbors=-1)), TASK, 2, 0)
    assert every.samples == 2 * 3 * NODES  # three batches of an epoch have each node at most


def test_batches_are_drawn_anew_and_alike_for_a_seed() -> None:
    one, same = trained(SAGE, neighbors="2+1", batch_size=5), trained(SAGE, neighbors="2+1", batch_size=5)
    assert gap(one, same) == 0.0 and one.samples == same.samples
    assert [dict(point.metrics) for point in one.curve] == [dict(point.metrics) for point in same.curve]
    assert one.samples == sum(point.metrics["train.nodes"] for point in one.curve)


def test_it_goes_on_from_a_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    graph = network("SAGEConv(U)(X, e)", "BatchNorm()")
    recipe, start = Recipe(epochs=4, batch_size=5, neighbors="2+2"), Network.init(graph, seed=1)
    kept: list[Checkpoint] = []
    whole = train(start, TASK, recipe, seed=3, save=lambda epoch, take: kept.append(take()))
    place = kept[1].save(tmp_path / "two")
    rest = train(start, TASK, recipe, seed=3, start=Checkpoint.load(place))
    assert gap(whole, rest) == 0.0 and len(rest.curve) == 4
    assert rest.samples == sum(int(point.metrics["train.nodes"]) for point in whole.curve[2:])
    evaluator = Evaluator(TASK, device="cpu")
    few = evaluator.evaluate(Train(graph, recipe, 3, fidelity=Fidelity(epochs=2)))
    more = evaluator.evaluate(Train(graph, recipe, 3))
    alone = Evaluator(TASK, device="cpu").evaluate(Train(graph, recipe, 3))
    assert more.ledger.continued == 2 and few.ledger.train_macs + more.ledger.train_macs == alone.ledger.train_macs


def test_natural_gradient_goes_on_before_its_second_look_at_the_curvature() -> None:
    settings = {"interval": 10}  # of six steps an epoch; batches are smaller than the features are wide
    recipe = Recipe("natural-gradient", 0.1, epochs=3, batch_size=3, neighbors="2+1", options=settings)
    start, kept = Network.init(SAGE, seed=1), list[Checkpoint]()
    whole = train(start, TASK, recipe, seed=3, save=lambda epoch, take: kept.append(take()))
    rest = train(start, TASK, recipe, seed=3, start=kept[0])
    assert gap(whole, rest) == 0.0


@pytest.mark.parametrize("optimizer", ["adam", "natural-gradient"])
def test_classes_that_neighbours_tell_are_learned(optimizer: str) -> None:
    """Labels are those of features that the neighbours have."""
    generator = torch.Generator().manual_seed(7)
    kinds = torch.randint(CLASSES, (300,), generator=generator)
    targets = torch.arange(300).repeat_interleave(6)
    classes = torch.arange(300) % CLASSES
    sources = torch.multinomial((kinds[None] == classes[targets][:, None]).float(), 1, generator=generator).squeeze(1)
    x = torch.nn.functional.one_hot(kinds, WORDS).float()
    rows = dict(
        zip(("train", "val", "test"), torch.randperm(300, generator=generator).split([200, 50, 50]), strict=True)
    )
    task = Task.from_graph("told", NodeGraph(x, classes, torch.stack([sources, targets]), rows))
    recipe = Recipe(
        optimizer=optimizer, lr=0.02 if optimizer == "adam" else 0.1, epochs=8, batch_size=32, neighbors="3"
    )
    graph = Graph.parse(
        f"x = Input(({WORDS},))\ne = Edges(6)\ns = SAGEConv(7)(x, e)\nb = BatchNorm()(s)\nr = ReLU()(b)\n"
        f"l = Linear({CLASSES})(r)\nreturn l"
    )
    report = Evaluator(task, device="cpu").evaluate(Train(graph, recipe))
    assert not report.failure and report.metrics["val.accuracy"] > 0.9


READ: dict[str, tuple[object, tuple[int, ...]]] = {
    "text": ("15+10", (15, 10)),
    "a number": (7, (7,)),
    "all": ("-1", (-1,)),
    "a list": ([4, -1], (4, -1)),
    "none": ("", ()),
}


@pytest.mark.parametrize(("given", "wanted"), READ.values(), ids=READ)
def test_numbers_of_neighbours_are_read(given: object, wanted: tuple[int, ...]) -> None:
    assert Recipe(neighbors=given).neighbors == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "wanted"), [("15+10", (15, 10)), ("7", (7,)), ("-1", (-1,)), ("-1+-1", (-1, -1))])
def test_the_command_line_reads_them(text: str, wanted: tuple[int, ...]) -> None:
    assert read_recipe({"neighbors": text, "batch_size": "64"}) == Recipe(neighbors=wanted, batch_size=64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbors": "15+none"}, "numbers, one a hop(.|\n)*-1 for all"),
        ({"neighbors": 0}, "from 1 on"),
        ({"neighbors": True}, "numbers, one a hop"),
        ({"neighbors": (3, -2)}, "from 1 on"),
        ({"neighbors": 2.5}, "numbers, one a hop"),
        ({"neighbors": "3", "compile": True}, "are not compiled"),
        ({"neighbors": "3", "self_training": "entropy:1"}, "needs the whole graph"),
    ],
)
def test_recipes_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Recipe(**settings)  # type: ignore[arg-type]


def test_samples_that_are_no_nodes_have_no_neighbours() -> None:
    task = Task.from_tensors("plain", torch.randn(20, WORDS), torch.arange(20) % CLASSES, loss="cross-entropy")
    graph = Graph.parse(f"x = Input(({WORDS},))\nc = Linear({CLASSES})(x)\nreturn c")
    with pytest.raises(SettingError, match=r"only nodes of one graph(.|\n)*task 'plain'"):
        train(Network.init(graph), task, Recipe(neighbors="3"), seed=0)
