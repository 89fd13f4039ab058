"""Growing a small perceptron on digits: all growth methods and GroMo, from the same seed network.

    python benchmarks/growth_digits.py --seeds 10 --out benchmarks/results/growth_digits.csv
    python benchmarks/growth_digits.py --only splitting gromo --seeds 3
    python benchmarks/growth_digits.py --method NAME DRIVER key=value ...

The 1797 digits, pixels ``(x - 8) / 8``, are divided anew for every seed, by class: 80 % to train, 5 % to validate,
15 % to test. The seed network 64-4-4-10 with ReLU is trained for 15 epochs (Adam, 3e-3, cosine, batches of 128); then
follow six rounds, each of which adds 3/8 of the hidden units there are, and trains for as many epochs: 8, 11, 15, 20,
27, 37, 50 units. A method may stop before; its last network stands for the rounds it leaves out. ``scratch`` trains the
widths that ``new-unit`` ends with (after three rounds, and after all) from fresh weights, for as many epochs in all.

Accuracies are those on test data, mean and standard deviation over seeds. The difference from GroMo is at equal
parameters: from its accuracy in the same seed, read between its rounds, linear in the logarithm of parameters (beyond
its last network, from that); mean and standard error. CPU seconds of growth are all but training: scores, line
searches, rewrites; an uncounted run of one round comes first. On a machine with other work both rise alike: compare
growth with training, which is the same for all methods. Nothing is chosen by test data.

With ``--out`` the rounds of every run are appended to the CSV file when it has finished, those that are there are not
run again, and the table of all rows goes beside it.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gromo_rival import GromoGrowth, mlp
from growth_methods import Clock, Clocked, Method, methods, stages, told, wanted

import archgraph as ag
from archgraph.errors import ArchGraphError
from archgraph.evaluation import Evaluator, Train, measure
from archgraph.metrics import params, widths
from archgraph.search import Driver

WIDTHS = (4, 4)
RIVALS: dict[str, dict[str, Any]] = {"gromo": {}, "gromo-best": {"where": "best"}, "gromo-loader": {"batch_size": 128}}
"""GroMo's settings, see :class:`GromoGrowth`: the first is what others are compared with."""

SCRATCH = "scratch"
COLUMNS: dict[str, Callable[[str], Any]] = {
    **{"method": str, "seed": int, "round": int, "rounds": int, "params": int, "widths": str},
    **dict.fromkeys(("train_loss", "test_accuracy", "predicted", "measured", "growth_cpu", "train_cpu"), float),
    "note": str,
}
"""Of the CSV file, and what reads each."""

Row = dict[str, Any]
Build = Callable[[ag.Task], Driver]


def digits(seed: int) -> ag.Task:
    """Return the task, divided by a seed."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (torch.as_tensor(bunch.images, dtype=torch.float32).unsqueeze(1) - 8) / 8
    return ag.Task.from_tensors(
        "digits-80", x, torch.as_tensor(bunch.target), loss="cross-entropy", splits=(0.8, 0.05, 0.15), seed=seed
    )


def builders(options: argparse.Namespace) -> dict[str, Build]:
    """Return how to make the driver of each method; GroMo's only where it is installed."""
    graph, common = mlp(WIDTHS), {"growth": options.growth, "stages": options.rounds}

    def ours(method: Method) -> Build:
        return lambda task: method.build(graph, **common)

    def theirs(settings: dict[str, Any]) -> Build:
        return lambda task: GromoGrowth(task, WIDTHS, **settings, **common)

    rivals = {name: theirs(settings) for name, settings in RIVALS.items()} if find_spec("gromo") else {}
    return rivals | {name: ours(method) for name, method in methods(options.method).items()}


def run(name: str, build: Build, task: ag.Task, seed: int, recipe: ag.Recipe, rounds: int) -> list[Row]:
    """Grow once; a row for every round."""
    clock = Clock()
    study = ag.search(Clocked(build(task), clock), task=task, recipe=recipe, seed=seed, device="cpu", name=name)
    growing, training = clock.of(study)
    return [
        row(name, seed, number, trial.network, task)
        | {
            "rounds": max(one.stage for one in study.trials),
            "predicted": trial.predicted,
            "measured": trial.measured,
            "growth_cpu": growing,
            "train_cpu": training,
            "note": study.stopped,
        }
        for number, trial in enumerate(stages(study, rounds))
    ]


def scratch(grown: ag.Graph, task: ag.Task, seed: int, recipe: ag.Recipe, number: int) -> Row:
    """Train the graph of a round from fresh weights, for all epochs up to it."""
    longer = recipe.but(epochs=recipe.epochs * (number + 1))
    report = Evaluator(task, device="cpu").evaluate(Train(grown, longer, seed=seed))
    assert report.network is not None, report.failure
    found = row(SCRATCH, seed, number, report.network, task)
    return found | {"rounds": number, "growth_cpu": 0.0, "train_cpu": report.ledger.cpu_seconds}


def row(name: str, seed: int, number: int, network: ag.Network, task: ag.Task) -> Row:
    """Return what is measured of a network."""
    found = {split: measure(network, task, split) for split in ("train", "test")}
    return {
        "method": name,
        "seed": seed,
        "round": number,
        "params": params(network.graph),
        "widths": "-".join(map(str, widths(network.graph))),
        "train_loss": found["train"]["loss"],
        "test_accuracy": found["test"]["accuracy"],
    }


def summary(rows: Sequence[Row], rival: Sequence[Row], at: Sequence[int]) -> str:
    """Return the line of a method: after each of the rounds ``at``, and what it cost."""
    cells = []
    for number in at:
        chosen = {one["seed"]: one for one in rows if one["round"] == number}
        accuracy = [one["test_accuracy"] for one in chosen.values()]
        margins = [one["test_accuracy"] - read(rival, seed, one["params"]) for seed, one in chosen.items() if rival]
        size = statistics.mean(one["params"] for one in chosen.values())
        margin = f"{statistics.mean(margins):+.3f}±{spread(margins) / len(margins) ** 0.5:.3f}" if margins else ""
        cells.append(f"{size:6.0f}  {statistics.mean(accuracy):.3f}±{spread(accuracy):.3f}  {margin:12s}")
    last = [one for one in rows if one["round"] == at[-1]]
    done, growing, training = (
        statistics.mean(one[key] for one in last) for key in ("rounds", "growth_cpu", "train_cpu")
    )
    return " | ".join([f"{rows[0]['method']:18s} {done:4.1f}", *cells, f"{growing:6.2f}  {training:6.2f}"])


def read(rival: Sequence[Row], seed: int, size: float) -> float:
    """Return the accuracy that a rival has at a number of parameters, read between its rounds."""
    curve = sorted((one["params"], one["test_accuracy"]) for one in rival if one["seed"] == seed)
    sizes, accuracies = zip(*curve, strict=True)
    return float(np.interp(math.log(size), [math.log(one) for one in sizes], accuracies))


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation; zero of a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def known_rows(file: Path) -> list[Row]:
    """Return the rows that a CSV file holds, numbers as numbers."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return [
            {key: COLUMNS[key](value) if value or key == "note" else None for key, value in row.items()}
            for row in csv.DictReader(opened)
        ]


def append(file: Path, rows: Iterable[Row]) -> None:
    """Write rows below those that a CSV file holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    empty = not file.exists()
    with file.open("a", newline="") as opened:
        table = csv.DictWriter(opened, list(COLUMNS), lineterminator="\n")
        if empty:
            table.writeheader()
        for one in rows:
            table.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in one.items()})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--growth", type=float, default=0.375, help="units that a round adds, as a fraction")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--only", nargs="*", help="methods")
    parser.add_argument("--method", nargs="+", action="append", default=[], help="NAME DRIVER key=value ...")
    parser.add_argument("--out", type=Path, help="a CSV file of all rounds, carried on; the table goes beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = ag.Recipe(epochs=options.epochs, lr=options.lr)
    try:
        known = builders(options)
        names = wanted(options.only, [*known, SCRATCH])
    except ArchGraphError as error:
        parser.error(str(error))
    if SCRATCH in names and "new-unit" not in names:
        names.insert(0, "new-unit")
    order = sorted(names, key=lambda name: name not in RIVALS)  # what others are compared with comes first
    at = sorted({min(3, options.rounds), options.rounds})
    tasks = [digits(seed) for seed in range(options.seeds)]
    before = known_rows(options.out) if options.out else []
    rows: dict[str, list[Row]] = {}
    heading = f"after rounds {' and '.join(map(str, at))}: params, test accuracy, difference from GroMo\n"
    heading += "method           rounds | " + " | ".join([f"{'':34s}"] * len(at)) + " | CPU s: growth, training"
    print(heading)
    lines = [told(), heading]
    for name in order:
        rows[name] = [one for one in before if one["method"] == name and one["seed"] < options.seeds]
        left = [seed for seed in range(options.seeds) if all(one["seed"] != seed for one in rows[name])]
        if left and name != SCRATCH:
            run(name, known[name], tasks[0], 0, recipe.but(epochs=1), 1)  # what loads and starts slowly is there now
        for seed in left:
            if name == SCRATCH:
                grown = {one["round"]: one["widths"] for one in rows["new-unit"] if one["seed"] == seed}
                graphs = {number: mlp([int(one) for one in grown[number].split("-")][:2]) for number in at}
                found = [scratch(graph, tasks[seed], seed, recipe, number) for number, graph in graphs.items()]
            else:
                found = run(name, known[name], tasks[seed], seed, recipe, options.rounds)
            rows[name] += found
            if options.out:
                append(options.out, found)
        lines.append(summary(rows[name], rows.get("gromo", []), at))
        print(lines[-1], flush=True)
    if options.out:
        options.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
