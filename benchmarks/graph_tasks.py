"""Graph tasks: what networks that look at edges gain over one that does not, on nodes and on whole graphs.

    python benchmarks/graph_tasks.py --out benchmarks/results/graph_tasks.csv
    python benchmarks/graph_tasks.py --tasks texas mutag --seeds 2

Nodes: two layers of 32 units, ReLU, dropout 0.5 before both: ``gcn`` and ``sage`` read edges, ``mlp`` does not; Adam,
0.01, weight decay 5e-4, 200 epochs. Runs are the first published splits, or seeds where the split is one or drawn.
``sage-drawn`` is trained in eight batches an epoch, with ten neighbours drawn for each node, and ten for each of those,
30 epochs: what can be done where all messages of a ``sage`` layer, features times edges, are many. ``gcn-drawn`` is
trained so too, to compare.
Minesweeper has the area under the ROC curve too, the metric of its paper.
Graphs: ``gin`` has three layers of 32 units with batch norm, of which sums over nodes are concatenated (Xu et al.,
2019); ``mlp`` reads the mean of the features of nodes; dropout 0.5 before the last layer; Adam, 0.01, batches of 32,
100 epochs. Runs are folds. The network after the epoch of the best validation loss is measured; nothing is chosen by
test data.

With ``--out`` every run is appended to the CSV file when it has finished, those that are there are not run again, and
the table of all rows goes beside it.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import archgraph as ag
from archgraph import ops
from archgraph.evaluation import Evaluator, Train, measure
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.metrics import params

UNITS = 32
PUBLISHED = ("texas", "cornell", "actor", "minesweeper", "chameleon-filtered", "squirrel-filtered")
"""Tasks with several published splits."""
SEEDS = ("karate", "cora", "citeseer", "amazon-photo", "amazon-computers", "coauthor-cs")
LARGE = ("amazon-photo", "amazon-computers", "coauthor-cs")
WIDE = ("citeseer", "actor", "chameleon-filtered", "squirrel-filtered", *LARGE)
"""Tasks of many features and links: what a ``sage`` layer sums over edges are features."""
DRAWN = "-drawn"
FOLDS = ("mutag", "enzymes", "proteins")
COLUMNS = (
    *("task", "network", "run", "params", "val_accuracy", "test_accuracy"),
    *("train_cpu", "train_gmacs", "val_roc_auc", "test_roc_auc"),
)
PUBLISHED_RESULTS = """
Published, with networks of other sizes and tuned settings, mean of ten splits (Platonov et al., arXiv 2302.11640, five
layers of 512 with residual branches): minesweeper, ROC-AUC, GCN 0.898, SAGE 0.935; chameleon-filtered GCN 0.409, SAGE
0.378; squirrel-filtered GCN 0.395, SAGE 0.361. Kipf and Welling (arXiv 1609.02907): GCN of 16 units, Cora 0.815,
CiteSeer 0.703."""

Row = dict[str, Any]


def on_nodes(task: ag.Task, kind: str) -> Graph:
    """Return a network of two layers."""
    build = GraphBuilder()
    x = build(ops.Input(task.input_shape))
    edges = () if kind == "mlp" or task.graph is None else (build(ops.Edges(task.graph.degree)),)
    layer: type[Op] = {"mlp": ops.Linear, "gcn": ops.GCNConv, "sage": ops.SAGEConv}[kind.removesuffix(DRAWN)]
    hidden = build(ops.ReLU(), build(layer(UNITS), build(ops.Dropout(0.5), x), *edges))  # type: ignore[call-arg]
    return build.graph(build(layer(task.outputs), build(ops.Dropout(0.5), hidden), *edges))  # type: ignore[call-arg]


def on_graphs(task: ag.Task, kind: str) -> Graph:
    """Return a graph isomorphism network, or layers on the mean of nodes."""
    build = GraphBuilder()
    x = build(ops.Input(task.input_shape))
    last: list[str] = []
    if kind == "mlp" or task.graphs is None:
        last.append(build(ops.ReLU(), build(ops.Linear(UNITS), x)))
    else:
        edges, membership = build(ops.Edges(task.graphs.degree)), build(ops.Membership())
        for _ in range(3):
            x = build(ops.GINConv(), x, edges)
            for op in (ops.Linear(UNITS), ops.BatchNorm(), ops.ReLU(), ops.Linear(UNITS), ops.BatchNorm(), ops.ReLU()):
                x = build(op, x)
            last.append(build(ops.GraphAddPool(), x, membership))
    whole = build(ops.Concat(), *last) if len(last) > 1 else last[0]
    return build.graph(build(ops.Linear(task.outputs), build(ops.Dropout(0.5), whole)))


def run(name: str, kind: str, number: int, epochs: int | None) -> Row:
    """Train and measure once."""
    option = "split" if name in PUBLISHED else "fold" if name in FOLDS else ""
    task = ag.task(f"{name}:{option}={number}" if option else name, seed=number)
    graph = (on_graphs if name in FOLDS else on_nodes)(task, kind)
    if name in FOLDS:
        recipe = ag.Recipe(optimizer="adam", lr=0.01, epochs=epochs or 100, batch_size=32, keep="best")
    else:
        recipe = ag.Recipe(optimizer="adam", lr=0.01, weight_decay=5e-4, epochs=epochs or 200, keep="best")
        if kind.endswith(DRAWN):
            eighth = max(2, len(task.splits["train"]) // 8)
            recipe = recipe.but(batch_size=eighth, neighbors="10+10", epochs=epochs or 30)
    report = Evaluator(task, device="cpu").evaluate(Train(graph, recipe, seed=number))
    assert report.network is not None, report.failure
    tested = measure(report.network, task, "test")
    return {
        "task": name,
        "network": kind,
        "run": number,
        "params": params(graph),
        "val_accuracy": report.metrics["val.accuracy"],
        "test_accuracy": tested["accuracy"],
        "train_cpu": report.ledger.cpu_seconds,
        "train_gmacs": report.ledger.train_macs / 1e9,
        "val_roc_auc": report.metrics.get("val.roc-auc", ""),
        "test_roc_auc": tested.get("roc-auc", ""),
    }


def kinds(name: str) -> tuple[str, ...]:
    """Return the networks that are trained on a task."""
    if name in FOLDS:
        return "mlp", "gin"
    sage = f"sage{DRAWN}" if name in WIDE else "sage"
    return ("mlp", "gcn", f"gcn{DRAWN}", sage) if name in LARGE else ("mlp", "gcn", sage)


def table(rows: Sequence[Row]) -> str:
    """Return mean and standard deviation over runs, one line a task and network."""
    heads = f"{'val accuracy':14s}{'test accuracy':14s}{'test ROC-AUC':14s}{'cpu s':>6s}"
    lines = [f"{'task':20s}{'network':12s}{'runs':>5s}{'params':>9s}  {heads}"]
    for name, kind in dict.fromkeys((row["task"], row["network"]) for row in rows):
        own = [row for row in rows if (row["task"], row["network"]) == (name, kind)]
        cells = []
        for key in ("val_accuracy", "test_accuracy", "test_roc_auc"):
            values = [float(row[key]) for row in own if row[key] != ""]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.3f}±{spread:.3f}" if values else "")
        seconds = statistics.mean(float(row["train_cpu"]) for row in own)
        size = statistics.mean(int(row["params"]) for row in own)
        lines.append(
            f"{name:20s}{kind:12s}{len(own):5d}{size:9.0f}  {cells[0]:14s}{cells[1]:14s}{cells[2]:14s}{seconds:6.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is not there yet, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[*SEEDS, *PUBLISHED, *FOLDS])
    parser.add_argument("--seeds", type=int, default=3, help="runs of tasks of nodes")
    parser.add_argument("--folds", type=int, default=10, help="runs of tasks of graphs")
    parser.add_argument("--epochs", type=int, help="fewer, to try")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    if options.out is not None and options.out.exists():
        with options.out.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    done = {(row["task"], row["network"], int(row["run"])) for row in rows}
    start = time.perf_counter()
    for name in options.tasks:
        for kind in kinds(name):
            for number in range(options.folds if name in FOLDS else options.seeds):
                if (name, kind, number) in done:
                    continue
                rows.append(run(name, kind, number, options.epochs))
                print(*rows[-1].values(), f"({time.perf_counter() - start:.0f} s)", flush=True)
                if options.out is not None:
                    new = not options.out.exists()
                    with options.out.open("a", newline="") as stream:
                        writer = csv.DictWriter(stream, COLUMNS)
                        if new:
                            writer.writeheader()
                        writer.writerow(rows[-1])
    text = table(rows)
    print(text)
    if options.out is not None:
        head = f"python {' '.join(sys.argv)}\nPython {platform.python_version()}, torch {torch.__version__}, one thread"
        options.out.with_suffix(".txt").write_text(f"{head}; the machine was loaded\n\n{text}\n{PUBLISHED_RESULTS}\n")


if __name__ == "__main__":
    main()
