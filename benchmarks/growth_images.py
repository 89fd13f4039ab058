"""Growing a small VGG and a residual net on Fashion-MNIST: accuracy against parameters, six ways.

    python benchmarks/growth_images.py --data-root DIR --seeds 0 1 2

Firefly (splits and new units), firefly that inserts layers too, TINY, GradMax and fresh units at random places grow the
same trained seed in stages, each of which adds the same fraction of the parameters at most. Beside them stand networks
of the widths that firefly found, trained from fresh weights for as many epochs as the growth had by then. Test
accuracies are read once, at the end; nothing is chosen by them.

The rows of a method are appended to the CSV when it has finished; those that are there are not run again. From them the
table is made: means and standard deviations over seeds.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from growth_methods import METHODS, Method, wanted
from splitting_images import Table, scratch

import archgraph as ag
from archgraph import ops
from archgraph.errors import ArchGraphError
from archgraph.search import Driver
from archgraph.tasks.mnist import fashion_mnist

SHAPE, CLASSES = (1, 28, 28), 10
WAYS: dict[str, Method] = {
    "firefly": METHODS["firefly"],
    "firefly-deep": Method("firefly", {"kinds": ("split", "new", "layer")}),
    "tiny": METHODS["tiny"],
    "gradmax": METHODS["gradmax"],
    "new-unit": METHODS["new-unit"],
}
"""What grows; ``scratch`` comes after it."""


def vgg(widths: tuple[int, int, int, int] = (8, 12, 16, 16)) -> ag.Graph:
    """Return four convolutions with batch norm and ReLU, pooled after the first and the second."""
    layers: list[ag.Op] = [ops.Input(SHAPE)]
    for number, width in enumerate(widths):
        layers += [ops.Conv2d(width, kernel_size=3, padding=1, bias=False), ops.BatchNorm(), ops.ReLU()]
        layers += [ops.MaxPool2d(2)] if number < 2 else []
    return ag.chain(*layers, ops.GlobalAvgPool(), ops.Linear(CLASSES))


def residual(first: int = 8, second: int = 16) -> ag.Graph:
    """Return a residual net: a stem, a block of the same width, a block that halves the image behind a projection."""
    build = ag.GraphBuilder()

    def convolved(source: str, width: int, kernel: int = 3, stride: int = 1) -> str:
        made = ops.Conv2d(width, kernel_size=kernel, stride=stride, padding=kernel // 2, bias=False)
        return build(ops.BatchNorm(), build(made, source))

    def block(source: str, width: int, stride: int) -> str:
        inner = build(ops.ReLU(), convolved(source, width, stride=stride))
        skip = source if stride == 1 else convolved(source, width, 1, stride)
        return build(ops.ReLU(), build(ops.Add(), skip, convolved(inner, width)))

    stem = build(ops.ReLU(), convolved(build(ops.Input(SHAPE)), first, stride=2))
    last = block(block(stem, first, 1), second, 2)
    return build.graph(build(ops.Linear(CLASSES), build(ops.GlobalAvgPool(), last)))


NETS: dict[str, Callable[[], ag.Graph]] = {"vgg": vgg, "residual": residual}
SCRATCH = "scratch"
RESULTS = Path(__file__).parent / "results" / "growth_images.csv"


def grow(table: Table, method: str, driver: Driver, seed: int, recipe: ag.Recipe) -> None:
    """Run one driver; a row for every network it trained, and why it stopped."""
    start = time.perf_counter()
    study = ag.search(driver, task=table.task, recipe=recipe, seed=seed, device=table.device, name=method)
    seconds, spent = time.perf_counter() - start, 0.0
    for trial in (trial for trial in study.trials if trial.ok):
        spent += trial.ledger.macs
        table.add(method, seed, trial.stage, trial.network, spent, seconds)
    print(f"  {method}: {study.stopped}", flush=True)


def again(table: Table, net: str, seed: int, recipe: ag.Recipe, tune: ag.Recipe, common: dict[str, Any]) -> None:
    """Train what firefly has grown from fresh weights; it grows the same once more, to no row of its own."""
    driver = WAYS["firefly"].build(NETS[net](), **common)
    study = ag.search(driver, task=table.task, recipe=recipe, seed=seed, device=table.device, name=SCRATCH)
    scratch(table, [trial.network for trial in study.trials if trial.ok], seed, recipe, tune)


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows that there are."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def append(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows below those that there are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    empty = not file.exists()
    with file.open("a", newline="") as opened:
        table = csv.DictWriter(opened, fieldnames=list(rows[0]), lineterminator="\n")
        if empty:
            table.writeheader()
        table.writerows(rows)


def summary(rows: Sequence[dict[str, str]]) -> str:
    """Return the table of all rows: a line a net, method and stage."""
    lines = [
        f"{'net':9s} {'method':13s} stage runs {'params':>12s} {'test accuracy':>16s} {'train loss':>14s}  seconds"
    ]
    last: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for one in rows:
        last[one["net"], one["method"], one["stage"], one["seed"]] = one
    for net, method, stage in dict.fromkeys(key[:3] for key in last):
        if stage != "0" or method == "firefly":
            own = [one for key, one in last.items() if key[:3] == (net, method, stage)]
            accuracy, loss, sizes = (_spread(own, key) for key in ("test_accuracy", "train_loss", "params"))
            seconds = statistics.mean(float(one["seconds"]) for one in own)
            name = "seed network" if stage == "0" else method
            lines.append(
                f"{net:9s} {name:13s} {stage:>5s} {len(own):4d} {sizes[0]:6.0f}±{sizes[1]:<5.0f}"
                f" {accuracy[0]:8.4f}±{accuracy[1]:.4f}  {loss[0]:7.4f}±{loss[1]:.4f} {seconds:8.1f}"
            )
    return "\n".join(lines)


def verdict(rows: Sequence[dict[str, str]]) -> str:
    """Return a sentence a net: how the best way to grow stands against networks trained anew, after the last stage."""
    lines = []
    for net in dict.fromkeys(one["net"] for one in rows):
        last = max(one["stage"] for one in rows if one["net"] == net)
        found: dict[str, list[float]] = {}
        for one in rows:
            if (one["net"], one["stage"]) == (net, last):
                found.setdefault(one["method"], []).append(float(one["test_accuracy"]))
        means = {name: statistics.mean(values) for name, values in found.items()}
        anew = means.pop(SCRATCH, None)
        if anew is not None and means:
            best = max(means, key=lambda name: means[name])
            word = "LOSES to" if means[best] < anew else "beats"
            lines.append(
                f"{net}, stage {last}: the best grower, {best} with {means[best]:.4f}, {word} networks of the widths of"
                f" firefly trained anew for as many epochs, {anew:.4f}: {means[best] - anew:+.4f}"
            )
    return "\n".join(lines)


def _spread(rows: Sequence[dict[str, str]], key: str) -> tuple[float, float]:
    values = [float(one[key]) for one in rows]
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    """Print the rows and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--nets", nargs="*", choices=NETS, default=list(NETS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--tune", type=int, default=4)
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--growth", type=float, default=0.5, help="parameters that a stage adds, as a fraction")
    parser.add_argument("--samples", type=int, default=500, help="images on which is scored")
    parser.add_argument("--only", nargs="*", help="methods")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a CSV file, carried on; the table goes beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        names = wanted(options.only, [*WAYS, SCRATCH])
    except ArchGraphError as error:
        parser.error(str(error))
    task = fashion_mnist(data_root=options.data_root, train=options.train, val=2000, test=options.test)
    recipe = ag.Recipe(epochs=options.epochs, batch_size=128)
    tune = ag.Recipe(epochs=options.tune, batch_size=128, lr=5e-3)
    common = {"stages": options.stages, "growth": options.growth, "cost": "params", "tune": tune}
    common["samples"] = options.samples
    given = [word for word in sys.argv[1:] if word not in ("--data-root", str(options.data_root))]
    heading = f"python benchmarks/growth_images.py --data-root DIR {' '.join(given)}\n"
    heading += f"archgraph {ag.__version__}, torch {torch.__version__}, one thread\n"
    heading += f"{task.describe()}; means and standard deviations over runs\n\n"
    for seed in options.seeds:
        for net in options.nets:
            known = {one["method"] for one in read(options.out) if (one["net"], one["seed"]) == (net, str(seed))}
            for name in (name for name in names if name not in known):
                table = Table(task, options.device)
                if name == SCRATCH:
                    again(table, net, seed, recipe, tune, common)
                else:
                    grow(table, name, WAYS[name].build(NETS[net](), **common), seed, recipe)
                if table.rows:
                    append(options.out, [{"net": net, **row} for row in table.rows])
    rows = read(options.out)
    text = f"{summary(rows)}\n\nA run that ended before a stage is missing there.\n{verdict(rows)}\n"
    options.out.with_suffix(".txt").write_text(heading + text)
    print(text, end="")


if __name__ == "__main__":
    main()
