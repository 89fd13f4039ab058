"""Search for graph networks: drivers on the tables of NAS-Bench-Graph, and trained on Cora.

    python benchmarks/gnn_search.py --seeds 30
    python benchmarks/gnn_search.py --trained 5 --candidates 24

Tables: as ``benchmarks/tabular.py``, on several graphs; regret in validation accuracy after so many trainings, and in
test accuracy of what is picked by validation accuracy.

Trained: every driver trains as many candidates of the space ``gnn`` (layers that read features before they propagate
them: the others cost ten times as much on bags of words), each kept at its best epoch by validation loss, and picks one
by validation accuracy, of equals by validation loss. ``joint-*`` search the settings of natural gradient, too:
``joint-around`` is the driver as it is, which begins with the usual network and stays near the best most of the time;
the others are told by name where suggestions come from, and ``-warm`` where they begin with the usual network, too.
``natural-around`` looks for no settings; ``adam-*`` train by Adam (0.01). ``gcn-*`` are not searched: the usual network
of Kipf and Welling, once. Natural gradient trains for ``--epochs``, Adam for ``--adam-epochs``. Weight decay is 5e-4 on
first layers where it is not searched. Nothing is chosen by test data.

Rows are appended as runs finish and not run again.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from gcn_natural_gradient import gcn
from tabular import METHODS, driver_on
from tabular import run as run_table
from tabular import summary as table_summary

import archgraph as ag
from archgraph.evaluation import Recipe, measure, train
from archgraph.registry import DRIVERS
from archgraph.search import search
from archgraph.spaces.gnn import gnn
from archgraph.tasks import find
from archgraph.tasks.tabular import Tabular

TABLES = ("cora", "citeseer", "pubmed", "photo", "arxiv")
ON_TABLES = ("random", "evolution", "local-search", "optuna-tpe")
LAYERS = ("gcn", "gat", "transformer", "linear")
"""Of the space in which candidates are trained."""
NATURAL: Mapping[str, Any] = {"optimizer": "natural-gradient", "lr": 0.1}
ADAM: Mapping[str, Any] = {"optimizer": "adam", "lr": 0.01}
COLD: Mapping[str, Any] = {"near": 0.0, "start": ()}
SEARCHED: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "joint-around": ("natural-gradient", {}, NATURAL),
    "joint-random": ("natural-gradient", {"by": "random-search", **COLD}, NATURAL),
    "joint-tpe": ("natural-gradient", {"by": "optuna", **COLD}, NATURAL),
    "joint-gp-warm": ("natural-gradient", {"by": "generator-bo", "near": 0.0}, NATURAL),
    "natural-around": ("natural-gradient", {"searched": "-"}, NATURAL),
    "adam-tpe": ("optuna", {}, ADAM),
    "adam-gp-warm": ("generator-bo", {"start": "usual"}, ADAM),
}
"""Driver, its settings and the recipe of searches that train."""
FIXED: Mapping[str, Mapping[str, Any]] = {"gcn-natural": NATURAL, "gcn-adam": ADAM}
Row = dict[str, Any]


def recipe(given: Mapping[str, Any], epochs: int) -> Recipe:
    """Return how candidates are trained."""
    return Recipe(epochs=epochs, schedule="constant", keep="best", weight_decay=5e-4, decayed="first", **given)


def searched(task: ag.Task, name: str, seed: int, candidates: int, epochs: int) -> Row:
    """Search with a driver, training each candidate; the row of what it picks."""
    driver, settings, given = SEARCHED[name]
    seed_graph = gcn(task, 16, input_dropout=True)
    space = gnn(seed_graph, layers=LAYERS)
    settings = {name: (space.usual,) if value == "usual" else value for name, value in settings.items()}
    begun = time.process_time()
    study = search(
        DRIVERS.get(driver)(space, candidates=candidates, **settings),
        task=task,
        recipe=recipe(given, epochs),
        seed=seed,
        device="cpu",
    )
    cpu, best = time.process_time() - begun, study.best
    assert best.network is not None
    row: Row = {"val_loss": best.metrics["val.loss"], "val_accuracy": best.metrics["val.accuracy"]}
    row |= {"test_accuracy": measure(best.network, task, "test")["accuracy"], "params": ag.metrics.params(best.graph)}
    return row | {"cpu": cpu, "failed": sum(bool(trial.failure) for trial in study.trials)}


def fixed(task: ag.Task, name: str, seed: int, epochs: int) -> Row:
    """Train the usual network once; the row."""
    begun = time.process_time()
    done = train(
        ag.Network.init(gcn(task, 16, input_dropout=True), seed=seed), task, recipe(FIXED[name], epochs), seed=seed
    )
    best = min(done.curve, key=lambda epoch: epoch.metrics["val.loss"]).metrics
    row: Row = {"val_loss": best["val.loss"], "val_accuracy": best["val.accuracy"], "failed": 0}
    row |= {"test_accuracy": measure(done.network, task, "test")["accuracy"]}
    return row | {"params": ag.metrics.params(done.network.graph), "cpu": time.process_time() - begun}


class Rows:
    """The rows of a CSV file, to which runs are appended that it lacks."""

    def __init__(self, file: Path, keys: Iterable[str]) -> None:
        self.file, self.keys = file, tuple(keys)
        self.held: list[Row] = list(csv.DictReader(file.open())) if file.exists() else []

    def have(self, key: Mapping[str, Any], make: Callable[[], Row]) -> None:
        """Make a row unless there is one."""
        if any(all(str(row[name]) == str(key[name]) for name in self.keys) for row in self.held):
            return
        row = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in make().items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, list(self.held[0] if self.held else row), lineterminator="\n")
            if not self.held:
                writer.writeheader()
            writer.writerow(row)
        self.held.append(row)


def trained_summary(rows: Iterable[Row]) -> str:
    """Return the table of what was picked, means and standard deviations over seeds."""
    held: dict[str, list[Row]] = {}
    for row in rows:
        held.setdefault(row["method"], []).append(row)
    lines = ["", "trained on Cora: what is picked by validation accuracy, mean ± standard deviation over seeds"]
    lines.append(
        f"{'method':<16} seeds candidates epochs   val loss    val acc, %    test acc, %   params  CPU s failed"
    )
    for name, own in held.items():
        told = f"{name:<16} {len(own):5d} {own[0]['candidates']:>10} {own[0]['epochs']:>6}"
        told += f"{_mean(own, 'val_loss', 3):>11}"
        for column in ("val_accuracy", "test_accuracy"):
            values = [100.0 * float(row[column]) for row in own]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            told += f"  {statistics.fmean(values):6.2f} ±{spread:5.2f}"
        lines.append(f"{told}{_mean(own, 'params', 0):>9}{_mean(own, 'cpu', 1):>7}{_mean(own, 'failed', 1):>7}")
    return "\n".join(lines)


def _mean(rows: Iterable[Row], column: str, digits: int) -> str:
    return f"{statistics.fmean(float(row[column]) for row in rows):.{digits}f}"


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--drivers", nargs="+", default=list(ON_TABLES), help="of benchmarks/tabular.py")
    parser.add_argument("--seeds", type=int, default=0, help="on every table")
    parser.add_argument("--evaluations", type=int, default=50, help="on every table")
    parser.add_argument("--trained", type=int, default=0, help="seeds of the searches that train")
    parser.add_argument("--methods", nargs="+", default=[*FIXED, *SEARCHED], help="of the searches that train")
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=60, help="of natural gradient")
    parser.add_argument("--adam-epochs", type=int, default=200)
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gnn_search.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    answered = Rows(options.out.with_stem(f"{options.out.stem}_tables"), ("task", "method", "seed"))
    for data in options.tables if options.seeds else ():
        table = find(f"nas-bench-graph:data={data}", data_root=options.data_root)
        assert isinstance(table, Tabular)
        for label in options.drivers:
            for seed in range(options.seeds):

                def ask(label: str = label, seed: int = seed, table: Tabular = table) -> Row:
                    return run_table(table, label, driver_on(table, *METHODS[label]), seed, options.evaluations)

                answered.have({"task": table.name, "method": label, "seed": seed}, ask)
    trained = Rows(options.out, ("method", "seed", "candidates", "epochs"))
    task = find("cora", data_root=options.data_root)
    for seed in range(options.trained):
        for name in options.methods:
            epochs = options.adam_epochs if "adam" in name else options.epochs
            key = {"method": name, "seed": seed, "epochs": epochs}
            key |= {"candidates": 1 if name in FIXED else options.candidates}

            def make(name: str = name, key: Row = key) -> Row:
                if name in FIXED:
                    return key | fixed(task, name, key["seed"], key["epochs"])
                return key | searched(task, name, key["seed"], key["candidates"], key["epochs"])

            trained.have(key, make)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("archgraph", "optuna", "torch"))
    print(f"python benchmarks/gnn_search.py   ({versions}; one thread, machine was loaded)")
    if answered.held:
        print(table_summary(answered.held, list(ON_TABLES)))
    if trained.held:
        print(trained_summary(trained.held))


if __name__ == "__main__":
    main()
