"""Generators on Fashion-MNIST: hierarchical against flat, accuracy against the memory that a network needs.

    nice python benchmarks/generators_images.py --networks 8 --out benchmarks/results/generators_images.csv
    nice python benchmarks/generators_images.py --networks 60 --train 10000 --epochs 10 --params 200000 --device cuda

Random points of both generators, and Gaussian-process search over the hierarchical one for two objectives (validation
error and the peak memory of activations for one image), all for networks of at most 20,000 parameters. Every network is
trained for three epochs on 2,000 images (AdamW, cosine, batches of 50) and validated on 500 others: small numbers for a
small machine, which say more of the order of networks than of how good they can be. Test images are not looked at.

Rows are appended as they are done; those that are there are not run again. The table beside the file has the front of
each method and its hypervolume, from the corner of 90 % error and 200 kB; the errors of validation have a standard
deviation of up to 2.2 % for so few images, and the networks are few: read it as a picture, not as a verdict.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import archgraph as ag
from archgraph.generators import FlatGenerator, HierarchicalGenerator
from archgraph.search import Budget, Driver, Goal, Trial
from archgraph.tasks import find
from optimizers import GeneratorBO, RandomSearch

NAMES = ["method", "number", "values", "error", "accuracy", "memory", "params", "macs", "nodes", "cpu_seconds"]
CORNER = {"error": 0.9, "memory": 2e5}
GOAL = Goal.of("val.error, memory")

Row = dict[str, str]


def task(options: argparse.Namespace) -> ag.Task:
    """Return a part of Fashion-MNIST's training images as a task."""
    whole = find("fashion-mnist", seed=0, data_root=options.data_root).splits["train"]
    count = options.train + options.validate + 10  # a task has a test split; this one is not looked at
    splits = (options.train / count, options.validate / count, 10 / count)
    return ag.Task.from_tensors(
        "fashion-mnist-part", whole.x[:count], whole.y[:count], loss="cross-entropy", outputs=10, splits=splits
    )


def methods(params: int, networks: int) -> dict[str, Driver]:
    """Return what is compared, by name."""
    hierarchical = HierarchicalGenerator(
        (1, 28, 28), 10, params=params, head=64, N_t=(3, 5), N_m=(1, 3), N_b=(3, 5), stages=True
    )
    flat = FlatGenerator((1, 28, 28), 10, params=params, head=64, N=(4, 14))
    return {
        "hierarchical": RandomSearch(hierarchical, candidates=networks),
        "flat": RandomSearch(flat, candidates=networks),
        "hierarchical, searched": GeneratorBO(hierarchical, candidates=networks, initial=max(2, networks // 2)),
    }


def run(method: str, driver: Driver, options: argparse.Namespace) -> None:
    """Run a method, from where it was stopped, and append a row a network."""
    done = {int(row["number"]) for row in read(options.out) if row["method"] == method}

    def write(study: ag.Study, trial: Trial) -> None:
        if trial.number in done:
            return
        metrics = trial.metrics
        row = {"method": method, "number": trial.number, "values": json.dumps(trial.values, sort_keys=True)}
        row |= {name: metrics.get(name, "") for name in ("memory", "params", "macs")}
        row |= {name: metrics.get(f"val.{name}", "") for name in ("error", "accuracy")}
        append(options.out, row | {"nodes": len(trial.graph), "cpu_seconds": trial.ledger.cpu_seconds})
        done.add(trial.number)

    study = ag.search(
        driver,
        task=task(options),
        recipe=ag.Recipe(optimizer="adamw", lr=0.01, epochs=options.epochs, batch_size=50),
        budget=Budget(evaluations=options.networks),
        objective=("error", "memory"),
        storage=options.storage,
        name=f"generators-images-{method.replace(', ', '-')}",
        device=options.device,
        callbacks=[write],
    )
    for trial in study.trials:  # one may have been stored and not written, when it was stopped just then
        write(study, trial)


def read(file: Path) -> list[Row]:
    """Return the rows of a CSV file; none when there is no file."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def append(file: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV file, below its header."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = not file.exists()
    with file.open("a", newline="") as opened:
        table = csv.DictWriter(opened, NAMES)
        if fresh:
            table.writeheader()
        table.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})


def table(rows: Sequence[Row]) -> list[str]:
    """Return what was found, as lines."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and row["error"]]
        points = [{"val.error": float(row["error"]), "memory": float(row["memory"])} for row in own]
        errors = sorted(point["val.error"] for point in points)
        kilo = [point["memory"] / 1e3 for point in points]
        volume = GOAL.hypervolume(points, {"val.error": CORNER["error"], "memory": CORNER["memory"]})
        share = volume / (CORNER["error"] * CORNER["memory"])
        lines += [
            f"{method}: {len(own)} networks, error best {errors[0]:.3f}, median {statistics.median(errors):.3f}; "
            f"memory {min(kilo):.0f} to {max(kilo):.0f} kB; hypervolume {share:.3f} of the corner's",
            "    front: " + ", ".join(f"{points[n]['val.error']:.3f} at {kilo[n]:.0f} kB" for n in GOAL.front(points)),
        ]
    return lines


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=8, help="trainings of each method")
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--validate", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--params", type=int, default=20_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data-root", default=os.environ.get("ARCHGRAPH_DATA"))
    parser.add_argument("--storage", default="sqlite:///runs/generators_images.db")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/generators_images.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.storage.startswith("sqlite:///"):
        Path(options.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    for method, driver in methods(options.params, options.networks).items():
        run(method, driver, options)
    rows = read(options.out)
    seconds = [float(row["cpu_seconds"]) for row in rows]
    lines = [
        f"python {' '.join(sys.argv)}",
        f"python {platform.python_version()}, torch {torch.__version__}, one thread of a machine that was busy",
        f"{len(rows)} networks, {sum(seconds):.0f} CPU s, {statistics.median(seconds):.1f} each in the median",
        "",
        *table(rows),
    ]
    print("\n".join(lines))
    options.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
