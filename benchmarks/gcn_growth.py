"""Growing graph networks on citation graphs and Texas, under Adam and natural gradient, against fixed widths.

    python benchmarks/gcn_growth.py --tasks cora citeseer --seeds 10
    python benchmarks/gcn_growth.py --tasks cora --backbones sage gat --optimizers natural-gradient --seeds 5
    python benchmarks/gcn_growth.py --tasks cora --optimizers natural-gradient --methods firefly width-16 --seeds 3
    python benchmarks/gcn_growth.py --table

Two GCN layers, ReLU between, dropout of .5 before both, weight decay 5e-4 on the first layer (Kipf and Welling, arXiv
1609.02907), the public split; of Texas, whose links do not join nodes of one class, that of its ten splits that the
seed's last digit says. ``sage`` and ``gat`` have layers of GraphSAGE (mean) and of attention (one head) in their place.
``width-W`` are trained from fresh weights. All others start at 4 hidden units and double them twice, to 8 and 16,
early: after 30 and 60 epochs of 200 by Adam (0.01), after 10 and 20 of 80 by natural gradient (0.1), whose factors go
through the rewrites; ``natural-gradient-conv`` has factors of all rows, in place of one row a labelled node where that
can be had. (When to grow was chosen by validation accuracy on Cora: grown halfway, methods were 0.2 to 3.7 points
lower.) Of every training the network with the lowest validation loss is kept, and grown; test accuracy is that of the
last one, in percent, mean and standard deviation over seeds. A method may stop growing before: ``grown`` is how often
it grew on average.

``best`` is the fixed width with the highest mean validation accuracy, and ``behind`` by how much a method's test
accuracy is below that, in the same seeds: mean and standard error. The bar is ``behind`` within two standard errors of
zero, or below, at fewer parameters. CPU seconds of growth are all but training: scores, line searches, rewrites.
Nothing is chosen by test data. Rows are appended as runs finish and not run again.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from growth_methods import ANY, Clock, Clocked, Method, stages

import archgraph as ag
from archgraph import ops
from archgraph.evaluation import Evaluator, Train, measure
from archgraph.metrics import params
from archgraph.tasks import find

START, ROUNDS = 4, 2
WIDTHS = (4, 16, 64)
RECIPES = {
    "adam": (ag.Recipe(optimizer="adam", lr=0.01), (30, 200)),
    "natural-gradient": (ag.Recipe(optimizer="natural-gradient", lr=0.1), (10, 80)),
    "natural-gradient-conv": (ag.Recipe(optimizer="natural-gradient", lr=0.1, options={"mode": "conv"}), (10, 80)),
}
"""Recipes with the epochs before each growth, and of all trainings together."""
METHODS = {
    "splitting": Method("splitting", ANY),
    "signed-splitting": Method("signed-splitting", ANY),
    "firefly": Method("firefly", {"kinds": ("split", "new")}),
    "tiny": Method("tiny"),
    "new-unit": Method("splitting", {"control": "new-unit"}),
}
BACKBONES: dict[str, Callable[[int], ag.Op]] = {"gcn": ops.GCNConv, "sage": ops.SAGEConv, "gat": ops.GATConv}
SPLIT = ("texas", "actor", "cornell")
"""Tasks of ten splits."""
FIELDS = [
    "task",
    "backbone",
    "optimizer",
    "method",
    "seed",
    "grown",
    "units",
    "params",
    "epochs",
    "val_loss",
    "val_accuracy",
]
FIELDS += ["test_accuracy", "growth_cpu", "train_cpu", "note"]
Row = dict[str, Any]


def network(task: ag.Task, width: int, backbone: str) -> ag.Graph:
    """Return a network of two layers."""
    assert task.graph is not None
    layer = BACKBONES[backbone]
    build = ag.GraphBuilder()
    x, edges = build(ops.Input(task.input_shape), name="x"), build(ops.Edges(task.graph.degree), name="edges")
    hidden = build(layer(width), build(ops.Dropout(0.5), x), edges, name="first")
    hidden = build(ops.Dropout(0.5), build(ops.ReLU(), hidden))
    return build.graph(build(layer(task.outputs), hidden, edges, name="last"))


def fixed(task: ag.Task, graph: ag.Graph, recipe: ag.Recipe, epochs: Sequence[int], seed: int) -> Row:
    """Train a width from fresh weights."""
    whole = recipe.but(epochs=epochs[1])
    report = Evaluator(task, device="cpu").evaluate(Train(graph, whole, seed=seed))
    assert report.network is not None, report.failure
    found = told(task, report.network)
    return found | {"grown": 0, "epochs": whole.epochs, "train_cpu": report.ledger.cpu_seconds, "growth_cpu": 0.0}


def grown(task: ag.Task, graph: ag.Graph, method: Method, recipe: ag.Recipe, epochs: Sequence[int], seed: int) -> Row:
    """Grow early, then train for the epochs that are left."""
    clock = Clock()
    driver = Clocked(method.build(graph, growth=1.0, stages=ROUNDS), clock)
    study = ag.search(driver, task=task, recipe=recipe.but(epochs=epochs[0]), seed=seed, device="cpu", name="growth")
    growing, training = clock.of(study)
    done = max(trial.stage for trial in study.trials)
    rest = recipe.but(epochs=epochs[1] - (done + 1) * epochs[0])
    report = Evaluator(task, device="cpu").evaluate(Train(stages(study, ROUNDS)[-1].network, rest, seed=seed))
    assert report.network is not None, report.failure
    return told(task, report.network) | {
        "grown": done,
        "epochs": epochs[1],
        "train_cpu": training + report.ledger.cpu_seconds,
        "growth_cpu": growing,
        "note": study.stopped,
    }


def told(task: ag.Task, network: ag.Network) -> Row:
    """Return what is measured of a network."""
    val, test = (measure(network, task, split) for split in ("val", "test"))
    return {
        "units": network.graph.units("first"),
        "params": params(network.graph),
        "val_loss": val["loss"],
        "val_accuracy": val["accuracy"],
        "test_accuracy": test["accuracy"],
    }


def table(rows: Sequence[Row]) -> str:
    """Return the table of what has been run."""
    lines = [f"{'':54s} seeds grown  units params  test accuracy  behind best   CPU s: growth, training"]
    for task in dict.fromkeys(row["task"] for row in rows):
        for backbone, optimizer in product(BACKBONES, RECIPES):
            key = (task, backbone, optimizer)
            own = [row for row in rows if (row["task"], row["backbone"], row["optimizer"]) == key]
            by_method = {name: {row["seed"]: row for row in own if row["method"] == name} for name in names()}
            by_method = {name: found for name, found in by_method.items() if found}
            plain = [name for name in by_method if name.startswith("width-")]
            if not plain:
                continue
            best = max(plain, key=lambda name: _mean(by_method[name].values(), "val_accuracy"))
            for name, found in by_method.items():
                lines.append(
                    _line(f"{task:9s}{backbone:5s}{optimizer:22s}{name}", found, by_method[best], name == best)
                )
    return "\n".join(lines)


def _line(head: str, found: dict[str, Row], best: dict[str, Row], is_best: bool) -> str:
    accuracy = [100.0 * float(row["test_accuracy"]) for row in found.values()]
    gaps = [
        100.0 * (float(best[seed]["test_accuracy"]) - float(row["test_accuracy"]))
        for seed, row in found.items()
        if seed in best
    ]
    behind = "best" if is_best or not gaps else f"{statistics.mean(gaps):+5.2f}±{_spread(gaps) / len(gaps) ** 0.5:.2f}"
    grown_, units, size, growing, training = (
        _mean(found.values(), key) for key in ("grown", "units", "params", "growth_cpu", "train_cpu")
    )
    shown = f"{statistics.mean(accuracy):6.2f}±{_spread(accuracy):.2f}"
    return (
        f"{head:54s} {len(found):3d}  {grown_:3.1f}  {units:5.1f} {size:7.0f}   {shown:12s}  {behind:12s}"
        f" {growing:6.2f} {training:6.2f}"
    )


def _mean(rows: Any, key: str) -> float:
    return statistics.mean(float(row[key]) for row in rows)


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def names() -> list[str]:
    """Return the names of all methods."""
    return [*(f"width-{width}" for width in WIDTHS), *METHODS]


def known(file: Path) -> list[Row]:
    """Return the rows of a file, if it is there."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def append(file: Path, row: Row) -> None:
    """Append a row to a CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    begun = file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, FIELDS)
        if not begun:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def main() -> None:
    """Run what has not been run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["cora", "citeseer"])
    parser.add_argument("--backbones", nargs="+", default=["gcn"], choices=list(BACKBONES))
    parser.add_argument("--optimizers", nargs="+", default=["adam", "natural-gradient"], choices=list(RECIPES))
    parser.add_argument("--methods", nargs="+", default=names(), choices=names())
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gcn_growth.csv"))
    parser.add_argument("--table", action="store_true", help="print the table of what has been run, and write it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(*(row[key] for key in FIELDS[:4]), int(row["seed"])) for row in known(options.out)}
    cases = [] if options.table else list(product(options.tasks, options.backbones, options.optimizers))
    for seed in range(options.seeds):
        for name, backbone, optimizer in cases:
            task = find(name, split=seed % 10) if name in SPLIT else find(name)
            recipe, epochs = RECIPES[optimizer]
            recipe = recipe.but(schedule="constant", keep="best", weight_decay=5e-4, decayed="first")
            for method in options.methods:
                if (name, backbone, optimizer, method, seed) in done:
                    continue
                kind, _, width = method.partition("-")
                if kind == "width":
                    row = fixed(task, network(task, int(width), backbone), recipe, epochs, seed)
                else:
                    row = grown(task, network(task, START, backbone), METHODS[method], recipe, epochs, seed)
                key = dict(zip(FIELDS, (name, backbone, optimizer, method, seed), strict=False))
                append(options.out, {**key, **row})
    text = table(known(options.out))
    if options.table:
        head = f"python benchmarks/gcn_growth.py; archgraph {ag.__version__}, torch {torch.__version__}, "
        head += f"Python {platform.python_version()}; the machine was loaded"
        options.out.with_suffix(".txt").write_text(f"{head}\n{text}\n")
    print(text)


if __name__ == "__main__":
    main()
