"""Growing a one-dimensional regression neuron by neuron: all growth methods, from the same seed network.

    python benchmarks/growth_toy.py --seeds 10 --out benchmarks/results/growth_toy.csv
    python benchmarks/growth_toy.py --only splitting new-unit --method NAME DRIVER key=value ...

The toy of the splitting papers, hard: 15 Gaussian bumps with parameters of variance 3, 1000 points from U[-5, 5],
targets with mean 0 and variance 1; every seed has its own teacher. The seed network is one neuron, ten is where it
ends. Every stage trains for 1200 full-batch steps (Adam, 0.03, cosine). ``scratch`` is a network of 5, and of 10
neurons, trained from fresh weights for as many steps in all. Printed are means over seeds of the decimal logarithm of
the training error (a method that stops early stays where it is), and the mean number of neurons at the end.

With ``--out`` every run is appended to the CSV file when it has finished, those that are there are not run again, and
the table of all rows goes beside it.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from growth_methods import Clock, Clocked, methods, stages, told, wanted

import archgraph as ag
from archgraph import ops
from archgraph.errors import ArchGraphError
from archgraph.evaluation import Evaluator, Train
from archgraph.metrics import widths
from archgraph.search import Driver
from archgraph.tasks import Split
from archgraph.tasks.toy_rbf import HARD, toy_rbf


@dataclass(frozen=True)
class Run:
    """What one search came to: the training error by number of stages, neurons at the end, seconds of growth."""

    method: str
    seed: int
    errors: tuple[float, ...]
    neurons: int
    growth_cpu: float
    train_cpu: float
    note: str = ""


def bumps(neurons: int) -> ag.Graph:
    """Return the network of Gaussian bumps."""
    return ag.chain(ops.Input((2,)), ops.Linear(neurons, bias=False), ops.Gaussian(), ops.Linear(1, bias=False))


def standard(seed: int) -> ag.Task:
    """Return the hard toy of a seed with targets of mean 0 and variance 1 on the training points."""
    task = toy_rbf(seed=seed, train=1000, scale=HARD)
    y = task.splits["train"].y
    mean, deviation = y.mean(), y.std(correction=0)
    splits = {name: Split(split.x, (split.y - mean) / deviation) for name, split in task.splits.items()}
    return ag.Task("toy-rbf-standard", splits, task.loss, task.input_shape, task.outputs)


def grow(name: str, driver: Driver, seed: int, recipe: ag.Recipe, count: int) -> Run:
    """Grow once, ``count`` stages."""
    clock = Clock()
    study = ag.search(Clocked(driver, clock), task=standard(seed), recipe=recipe, seed=seed, device="cpu", name=name)
    trials = stages(study, count)
    errors = tuple(trial.metrics["train.relative-mse"] for trial in trials)
    return Run(name, seed, errors, widths(trials[-1].graph)[0], *clock.of(study), study.stopped)


def scratch(seed: int, recipe: ag.Recipe, count: int) -> Run:
    """Train five, and all neurons from fresh weights; the other entries are not known."""
    errors, seconds = [math.nan] * (count + 1), 0.0
    for neurons in sorted({min(5, count + 1), count + 1}):
        longer = recipe.but(epochs=recipe.epochs * neurons)
        report = Evaluator(standard(seed), device="cpu").evaluate(Train(bumps(neurons), longer, seed=seed))
        errors[neurons - 1] = report.metrics["train.relative-mse"]
        seconds += report.ledger.cpu_seconds
    return Run("scratch", seed, tuple(errors), count + 1, 0.0, seconds)


def summary(runs: Sequence[Run]) -> str:
    """Return the line of a method."""
    columns = zip(*[[math.log10(error) for error in run.errors] for run in runs], strict=True)
    means = "  ".join(f"{statistics.mean(column):6.2f}" for column in columns)
    neurons, growing, training = (
        statistics.mean(getattr(run, what) for run in runs) for what in ("neurons", "growth_cpu", "train_cpu")
    )
    return f"{runs[0].method:18s}{means} | {neurons:5.1f} | {growing:6.2f}  {training:6.2f}"


def known_runs(file: Path, count: int) -> list[Run]:
    """Return the runs of ``count`` stages that a CSV file holds."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return [
            Run(
                row["method"],
                int(row["seed"]),
                tuple(float(row[f"error-{number}"]) for number in range(1, count + 2)),
                int(row["neurons"]),
                float(row["growth_cpu"]),
                float(row["train_cpu"]),
                row["note"],
            )
            for row in csv.DictReader(opened)
        ]


def append(file: Path, run: Run) -> None:
    """Write a run below those that a CSV file holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    empty = not file.exists()
    with file.open("a", newline="") as opened:
        rows = csv.writer(opened, lineterminator="\n")
        if empty:
            errors = [f"error-{number + 1}" for number in range(len(run.errors))]
            rows.writerow(["method", "seed", *errors, "neurons", "growth_cpu", "train_cpu", "note"])
        numbers = [f"{one:.6g}" for one in (*run.errors, run.neurons, run.growth_cpu, run.train_cpu)]
        rows.writerow([run.method, run.seed, *numbers, run.note])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--stages", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1200, help="full-batch Adam steps a stage")
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--only", nargs="*", help="methods")
    parser.add_argument("--method", nargs="+", action="append", default=[], help="NAME DRIVER key=value ...")
    parser.add_argument("--out", type=Path, help="a CSV file of all runs, carried on; the table goes beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = ag.Recipe(epochs=options.steps, lr=options.lr, batch_size=1000)
    try:
        known = methods(options.method)
        names = wanted(options.only, [*known, "scratch"])
    except ArchGraphError as error:
        parser.error(str(error))
    common = {"growth": 1e-9, "stages": options.stages, "halves": False}  # a unit a stage, no noise in the data
    heading = f"log10 of the error at{'':1s}" + "  ".join(f"{n:6d}" for n in range(1, options.stages + 2))
    heading += "   |  neurons at the end | CPU s: growth, training"
    print(heading)
    before = known_runs(options.out, options.stages) if options.out else []
    lines = [told(), heading]
    for name in names:
        done = {run.seed: run for run in before if run.method == name}
        for seed in range(options.seeds):
            if seed not in done:
                done[seed] = (
                    scratch(seed, recipe, options.stages)
                    if name == "scratch"
                    else grow(name, known[name].build(bumps(1), **common), seed, recipe, options.stages)
                )
                if options.out:
                    append(options.out, done[seed])
        lines.append(summary([done[seed] for seed in range(options.seeds)]))
        print(lines[-1], flush=True)
    if options.out:
        options.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
