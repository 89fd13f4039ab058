"""Search methods on tabular benchmarks: regret after so many trainings, over many seeds, answered from tables.

    python benchmarks/tabular.py --seeds 100 --out benchmarks/results/tabular.csv
    python benchmarks/tabular.py --tasks nas-bench-201:data=cifar100,epochs=200 --methods graph-bo
    python benchmarks/tabular.py --method big-evolution evolution population=50 sample=10

A method is a registered driver with settings as text, on the space of the table; it trains that many architectures and
sees, of each, the error that the table has in the place of validation. Simple regret is the accuracy of the table's
best architecture less that of the best one trained so far, in percentage points, both in that column: after 12 epochs
on NAS-Bench-201 a true validation accuracy; after 200 epochs, and on NAS-Bench-Macro, the test accuracy, the only one
that there is: these compare methods and estimate nothing. ``test`` is the regret of the final pick in test accuracy
(after 200 epochs on NAS-Bench-201), the pick made by the column that was searched. Mean ranks are those of the regret
at the end, over tasks, from means over seeds, among the methods that were run on all of them. Times are another
benchmark's (``bo_suggest.py``).

``graph-bo`` looks at all points of the first two spaces, and at a pool in the third, which has more; ``graph-bo-pool``
looks at a pool of 200 everywhere, ``graph-bo-values`` compares values, too. Its kernel and its normal scores were
chosen on NAS-Bench-201 after 200 epochs, by prototypes with other random numbers; that graphs which look alike go last
after two trainings was found in runs on NAS-Bench-201 that had stuck there. So the tasks on it flatter it; by the
others nothing was chosen.

Rows are appended as runs finish and not run again.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import archgraph as ag
from archgraph.registry import DRIVERS
from archgraph.tasks import find
from archgraph.tasks.tabular import Tabular

TASKS = (
    *(f"nas-bench-201:data={data},epochs=200" for data in ("cifar10", "cifar100", "imagenet16")),
    *(f"nas-bench-201:data={data},epochs=12" for data in ("cifar10", "cifar100", "imagenet16")),
    "nas-bench-macro",
    "nas-bench-graph:data=cora",
)
METHODS: dict[str, tuple[str, dict[str, str]]] = {
    "random": ("random-search", {}),
    "sobol": ("sobol", {}),
    "evolution": ("evolution", {}),
    "local-search": ("local-search", {}),
    "nsga2": ("nsga2", {}),
    "optuna-tpe": ("optuna", {"sampler": "tpe"}),
    "optuna-gp": ("optuna", {"sampler": "gp"}),
    "graph-bo": ("graph-bo", {}),
    "graph-bo-pool": ("graph-bo", {"whole": "0"}),
    "graph-bo-values": ("graph-bo", {"kernel": "wl+values"}),
}
MARKS = (10, 20, 30, 40, 50)
COLUMN = "val.accuracy"
Row = dict[str, Any]


def driver_on(task: Tabular, name: str, settings: Mapping[str, str]) -> ag.Driver:
    """Return a registered driver on the space of a table.

    Args:
        task: has the table.
        name: of the driver.
        settings: of the driver, as text.
    """
    driver: ag.Driver = DRIVERS.get(name).from_settings(task.example, {"space": task.space, **settings})
    return driver


def trace(driver: ag.Driver, task: Tabular, seed: int, evaluations: int) -> tuple[list[float], ag.Study]:
    """Run a driver on a table, in memory.

    Returns:
        The accuracy of every training in the column that is searched, and the study.
    """
    study = ag.search(driver, task=task, budget=ag.Budget(evaluations=evaluations), seed=seed)
    return [trial.metrics[COLUMN] for trial in study.trials], study


def regrets(accuracies: Sequence[float], best: float) -> list[float]:
    """Return the simple regret after every training, in percentage points."""
    return [100.0 * float(best - one) for one in np.maximum.accumulate(accuracies)]


def run(task: Tabular, label: str, driver: ag.Driver, seed: int, evaluations: int) -> Row:
    """Return the row of one run."""
    accuracies, study = trace(driver, task, seed, evaluations)
    regret = regrets(accuracies, float(task.table.at(task.epochs)[COLUMN].max()))
    row: Row = {"task": task.name, "method": label, "seed": seed, "trainings": len(accuracies)}
    row |= {f"regret_{mark}": round(regret[min(mark, len(regret)) - 1], 5) for mark in MARKS if mark <= evaluations}
    tests = task.table.tests["accuracy"]
    row["test"] = round(100.0 * (float(tests.max()) - task.table.tested(study.best.graph)["accuracy"]), 5)
    return row


def summary(rows: Iterable[Row], methods: Sequence[str]) -> str:
    """Return the table of means over seeds, with standard errors, and mean ranks over tasks."""
    held: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        held.setdefault(row["task"], {}).setdefault(row["method"], []).append(row)
    order = [*methods, *sorted({name for found in held.values() for name in found} - set(methods))]
    marks = [mark for mark in MARKS if any(f"regret_{mark}" in row and row[f"regret_{mark}"] for row in rows)]
    last, lines, ranks = f"regret_{marks[-1]}", [], {}
    for task, found in held.items():
        lines += ["", f"{task}: regret in percentage points after trainings, mean over seeds"]
        lines.append(f"{'method':<16} seeds " + "".join(f"{mark:>8}" for mark in marks) + "     ±s.e.    test")
        for name in (name for name in order if name in found):
            own = found[name]
            means = [statistics.fmean(float(row[f"regret_{mark}"]) for row in own) for mark in marks]
            spread = [float(row[last]) for row in own]
            error = statistics.stdev(spread) / len(spread) ** 0.5 if len(spread) > 1 else float("nan")
            test = statistics.fmean(float(row["test"]) for row in own)
            numbers = "".join(f"{mean:8.3f}" for mean in means)
            lines.append(f"{name:<16} {len(own):5d} {numbers} {error:9.3f} {test:7.3f}")
        everywhere = [name for name in found if all(name in others for others in held.values())]
        means = {name: statistics.fmean(float(row[last]) for row in found[name]) for name in everywhere}
        for place, name in enumerate(sorted(means, key=lambda one: means[one]), start=1):
            ranks.setdefault(name, []).append(place)
    lines += ["", "mean rank by the last regret: " + ", ".join(_ranked(ranks))]
    return "\n".join(lines)


def _ranked(ranks: Mapping[str, Sequence[int]]) -> list[str]:
    ordered = sorted(ranks, key=lambda name: statistics.fmean(ranks[name]))
    return [f"{name} {statistics.fmean(ranks[name]):.2f} ({len(ranks[name])} tasks)" for name in ordered]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), help="of the table, or names of drivers")
    parser.add_argument("--method", nargs="+", action="append", default=[], metavar="NAME DRIVER KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=50)
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tabular.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {name: METHODS.get(name, (name, {})) for name in options.methods}
    for label, name, *settings in options.method:
        chosen[label] = name, dict(one.split("=", 1) for one in settings)
    rows = list(csv.DictReader(options.out.open())) if options.out.exists() else []
    done = {(row["task"], row["method"], int(row["seed"])) for row in rows}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for text in options.tasks:
        task = find(text, data_root=options.data_root)
        assert isinstance(task, Tabular)
        for label, (name, settings) in chosen.items():
            driver = driver_on(task, name, settings)
            for seed in range(options.seeds):
                if (task.name, label, seed) in done:
                    continue
                row = run(task, label, driver, seed, options.evaluations)
                new = not options.out.exists()
                with options.out.open("a", newline="") as stream:
                    writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                    if new:
                        writer.writeheader()
                    writer.writerow(row)
    rows = list(csv.DictReader(options.out.open()))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("archgraph", "optuna", "torch"))
    head = f"python benchmarks/tabular.py --seeds {options.seeds} --evaluations {options.evaluations}   ({versions})"
    text = head + "\n" + summary(rows, list(METHODS)) + "\n"
    options.out.with_suffix(".txt").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
