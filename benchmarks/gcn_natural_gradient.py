"""Natural gradient on graph convolution networks, against SGD, Adam, the paper's preconditioner and exact curvature.

    python benchmarks/gcn_natural_gradient.py --tasks cora citeseer --seeds 20
    python benchmarks/gcn_natural_gradient.py --tasks cora --methods natural natural-fast adam
    python benchmarks/gcn_natural_gradient.py --steps --tasks cora citeseer
    python benchmarks/gcn_natural_gradient.py --table

Two GCN layers, hidden 16 (64 in methods ``*-64``), ReLU, dropout of .5 before both (``*-plain``: not of the features),
weight decay on the first layer, the public split (of ten splits, that of the seed's last digit), seeds from 100 on.
Test accuracy is that of the epoch with the lowest validation loss. ``reach`` is the first epoch whose validation loss
is at most so much, a mean over the seeds that get there, with their number where it is not all; ``cpu`` the CPU seconds
of the process up to there, measuring the validation loss in every epoch included, on a machine that others may use too.

Learning rates of ``adam-tuned`` and ``sgd`` are those with the lowest mean validation loss on seeds 0 to 4 (rows
``tune``, run first). Methods ``self-*`` have the pseudo-label term with ``lambda = e / E``; their weight decays were
chosen by validation loss elsewhere (:data:`DECAYS`). ``ssp-*`` are the paper's preconditioner; its ``lambda`` in the
curvature is 0, as it weighs nothing that matters there. Nothing is chosen by test data.

``--steps`` measures steps without measuring the network in between: CPU milliseconds, the best of many windows in which
the optimizers take turns. Rows are appended as runs finish and not run again.
"""

from __future__ import annotations

import argparse
import csv
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import archgraph as ag
from archgraph.evaluation import Recipe, measure, train
from archgraph.evaluation.curvature import tell, watched
from archgraph.evaluation.feed import WholeGraph, feed
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.tasks import find

MARKS: Mapping[str, tuple[float, ...]] = {"cora": (1.2, 1.0, 0.9, 0.8), "citeseer": (1.4, 1.25, 1.15, 1.1)}
"""Validation losses to be reached."""
OTHER_MARKS = (1.4, 1.3, 1.2, 1.1)
DECAYS = {"cora": (5e-3, 5e-4), "citeseer": (1e-2, 2e-3)}
"""Weight decay with self-training, of natural gradient and of Adam."""
TUNED: Mapping[str, tuple[float, ...]] = {"adam-tuned": (0.02, 0.05, 0.1, 0.2), "sgd": (0.3, 1.0)}
CITATIONS = ("cora", "citeseer", "pubmed")
"""Tasks that are the same for every seed; others have ten published splits, of which a seed is of one."""
TUNING_SEEDS = range(5)
FIRST_SEED = 100
FIELDS = ["task", "method", "seed", "epochs", "test_accuracy", "val_loss", "best_epoch", "val_accuracy"]
FIELDS += [f"{what}_{place}" for what in ("reach", "cpu") for place in range(4)] + ["cpu"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """What is trained how.

    Args:
        recipe: how.
        hidden: units of the hidden layer.
        input_dropout: whether features are dropped.
    """

    recipe: Recipe
    hidden: int = 16
    input_dropout: bool = True


def methods(task: str) -> dict[str, Method]:
    """Return the methods on a task by name; those of :data:`TUNED` with the first of their learning rates."""
    base = Recipe(schedule="constant", keep="best", weight_decay=5e-4, decayed="first", epochs=200)
    natural = base.but(optimizer="natural-gradient", lr=0.1, epochs=60)
    own, adams = DECAYS.get(task, (5e-3, 5e-4))
    helped = {"self_training": "pseudo-label:1", "epochs": 200}

    def options(**given: Any) -> dict[str, Any]:
        return {"options": given}

    plain = {
        "natural": natural,
        "natural-fast": natural.but(epochs=40, **options(damping=3e-3)),
        "adam": base.but(lr=0.01),
        "adam-tuned": base.but(lr=TUNED["adam-tuned"][0]),
        "self-natural": natural.but(weight_decay=own, **helped),
        "self-adam": base.but(lr=0.05, weight_decay=adams, **helped),
        "exact": base.but(optimizer="exact-natural-gradient", lr=1.0, epochs=25, **options(damping=3e-3)),
        "ssp-adam": base.but(optimizer="ssp", lr=0.01),
        "ssp-sgd": base.but(optimizer="ssp", lr=0.01, **options(base="sgd")),
        "sgd": base.but(optimizer="sgd", lr=TUNED["sgd"][0], **options(momentum=0.9)),
        "self-ssp-adam": base.but(optimizer="ssp", lr=0.01, **helped),
        # what is one of natural gradient's parts worth
        "natural-damping-1e-1": natural.but(**options(damping=1e-1)),
        "natural-damping-1e-3": natural.but(**options(damping=1e-3)),
        "natural-lin": natural.but(**options(mode="lin")),
        "natural-reduce": natural.but(**options(mode="reduce")),
        "natural-fast-reduce": natural.but(epochs=40, **options(damping=3e-3, mode="reduce")),
        "self-natural-reduce": natural.but(weight_decay=own, **helped, **options(mode="reduce")),
        "natural-every-row": natural.but(**options(every_row=True)),
        "natural-every-step": natural.but(**options(interval=1, ema=0.5)),
        "natural-interval-10": natural.but(**options(interval=10)),
        "natural-exact-fisher": natural.but(**options(fisher="exact")),
        "natural-empirical": natural.but(**options(fisher="empirical")),
        "natural-unlabelled": natural.but(**options(unlabelled=1.0)),
        "natural-no-momentum": natural.but(**options(momentum=0.0)),
        "natural-no-clip": natural.but(**options(kl_clip=0.0)),
        "natural-decay-all": natural.but(decayed=""),
    }
    wide = {
        "natural-64": Method(natural, 64),
        "adam-64": Method(base.but(lr=0.01), 64),
        "self-natural-64": Method(natural.but(weight_decay=5e-3, **helped).but(epochs=100), 64),
        "self-natural-64-plain": Method(natural.but(weight_decay=5e-3, **helped).but(epochs=100), 64, False),
        "self-natural-64-plain-reduce": Method(
            natural.but(weight_decay=5e-3, **helped, **options(mode="reduce")).but(epochs=100), 64, False
        ),
        "natural-plain": Method(natural, input_dropout=False),
        "adam-plain": Method(base.but(lr=0.01), input_dropout=False),
    }
    return {name: Method(recipe) for name, recipe in plain.items()} | wide


MAIN: Sequence[str] = (
    *("natural", "natural-fast", "natural-fast-reduce", "adam", "adam-tuned", "exact", "ssp-adam", "sgd", "ssp-sgd"),
    *("self-natural", "self-natural-reduce", "self-adam", "self-ssp-adam", "self-natural-64-plain-reduce"),
)


def gcn(task: ag.Task, hidden: int, *, input_dropout: bool) -> ag.Graph:
    """Return the network of Kipf and Welling, arXiv 1609.02907."""
    dropped = "kept = Dropout(0.5)(x)\n" if input_dropout else ""
    return ag.Graph.parse(
        f"x = Input(({task.input_shape[0]},))\nedges = Edges(4)\n{dropped}"
        f"first = GCNConv({hidden})({'kept' if dropped else 'x'}, edges)\nactive = ReLU()(first)\n"
        f"half = Dropout(0.5)(active)\nsecond = GCNConv({task.outputs})(half, edges)\nreturn second"
    )


def run(task: ag.Task, label: str, name: str, method: Method, seed: int) -> Row:
    """Train once; the row."""
    clock = [time.process_time()]
    done = train(
        ag.Network.init(gcn(task, method.hidden, input_dropout=method.input_dropout), seed=seed),
        task,
        method.recipe,
        seed=seed,
        watch=lambda epoch, epochs: clock.append(time.process_time()),
    )
    losses = [epoch.metrics["val.loss"] for epoch in done.curve]
    best = min(range(len(losses)), key=losses.__getitem__)
    row: Row = {"task": label, "method": name, "seed": seed, "epochs": method.recipe.epochs}
    row |= {"test_accuracy": measure(done.network, task, "test")["accuracy"], "val_loss": losses[best]}
    row |= {"best_epoch": best + 1, "val_accuracy": done.curve[best].metrics["val.accuracy"]}
    for place, mark in enumerate(MARKS.get(label, OTHER_MARKS)):
        epoch = next((number for number, loss in enumerate(losses, start=1) if loss <= mark), None)
        row[f"reach_{place}"] = "" if epoch is None else epoch
        row[f"cpu_{place}"] = "" if epoch is None else clock[epoch] - clock[0]
    return row | {"cpu": clock[-1] - clock[0]}


class Ledger:
    """The rows of a CSV file, to which finished runs are appended."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[Row] = list(csv.DictReader(file.open())) if file.exists() else []

    def find(self, task: str, method: str) -> list[Row]:
        """Return the rows of a method on a task."""
        return [row for row in self.rows if row["task"] == task and row["method"] == method]

    def have(self, task: str, method: str, seed: int, make: Callable[[], Row]) -> Row:
        """Return a row, which is made where there is none."""
        for row in self.find(task, method):
            if int(row["seed"]) == seed:
                return row
        row = {key: f"{value:.6g}" if isinstance(value, float) else str(value) for key, value in make().items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", newline="") as opened:
            table = csv.DictWriter(opened, FIELDS)
            if not self.rows:
                table.writeheader()
            table.writerow(row)
        self.rows.append(row)
        return row


@dataclass(eq=False)
class Splits:
    """A task by seeds, of which the last is kept.

    Args:
        label: name of the task.
        data_root: the folder of data sets.
    """

    label: str
    data_root: str | None
    held: tuple[int, ag.Task] | None = None

    def of(self, seed: int) -> ag.Task:
        """Return the task of a seed; citation graphs are the same for all, others have ten splits."""
        own = 0 if self.label in CITATIONS else seed % 10
        if self.held is None or self.held[0] != own:
            chosen = {} if self.label in CITATIONS else {"split": own}
            self.held = own, find(self.label, data_root=self.data_root, **chosen)
        return self.held[1]


def complete(ledger: Ledger, splits: Splits, name: str, seeds: int) -> list[Row]:
    """Return the rows of a method on so many seeds, of which those that are missing are run."""
    method = methods(splits.label)[name]
    if name in TUNED:
        method = tuned(ledger, splits, name, method)
    return several(ledger, splits, name, method, range(FIRST_SEED, FIRST_SEED + seeds))


def several(ledger: Ledger, splits: Splits, name: str, method: Method, seeds: Iterable[int]) -> list[Row]:
    """Return the rows of a method on some seeds."""

    def make(seed: int) -> Callable[[], Row]:
        return lambda: run(splits.of(seed), splits.label, name, method, seed)

    return [ledger.have(splits.label, name, seed, make(seed)) for seed in seeds]


def tuned(ledger: Ledger, splits: Splits, name: str, method: Method) -> Method:
    """Return a method with the learning rate whose mean validation loss on other seeds is the lowest."""
    losses: dict[float, float] = {}
    tries = {rate: replace(method, recipe=method.recipe.but(lr=rate)) for rate in TUNED[name]}
    for rate, tried in tries.items():
        rows = several(ledger, splits, f"tune:{name}:{rate:g}", tried, TUNING_SEEDS)
        losses[rate] = statistics.fmean(float(row["val_loss"]) for row in rows)
    return tries[min(losses, key=losses.__getitem__)]


def mean(values: Iterable[str], digits: int, scale: float = 1.0) -> str:
    """Return the mean over those that are there, with their number where some are missing."""
    held = list(values)
    there = [scale * float(one) for one in held if one]
    if not there:
        return "never"
    return f"{statistics.fmean(there):.{digits}f}" + (f" ({len(there)})" if len(there) < len(held) else "")


def line(name: str, rows: Sequence[Row]) -> str:
    """Return the line of a method."""
    tests = [100.0 * float(row["test_accuracy"]) for row in rows]
    spread = statistics.stdev(tests) if len(tests) > 1 else math.nan
    reach = "".join(f"{mean((row[f'reach_{place}'] for row in rows), 0):>10}" for place in range(4))
    cpu = "".join(f"{mean((row[f'cpu_{place}'] for row in rows), 2):>11}" for place in range(4))
    each = statistics.fmean(1e3 * float(row["cpu"]) / int(row["epochs"]) for row in rows)
    return (
        f"{name:<30}{len(rows):>3}{rows[0]['epochs']:>5}  {statistics.fmean(tests):6.2f} ±{spread:5.2f}"
        f"  {mean((row['val_loss'] for row in rows), 3)} @{mean((row['best_epoch'] for row in rows), 0):>4}"
        f"{reach}{cpu}{each:8.1f}"
    )


def table(ledger: Ledger) -> str:
    """Return the tables of all tasks."""
    lines = [f"torch {torch.__version__}, Python {platform.python_version()}, one thread; machine was loaded"]
    for task in dict.fromkeys(row["task"] for row in ledger.rows):
        marks = MARKS.get(task, OTHER_MARKS)
        heads = "".join(f"{f'ep<{mark}':>10}" for mark in marks) + "".join(f"{f'cpu s<{mark}':>11}" for mark in marks)
        lines += ["", f"{task}", f"{'method':<30}  n   ep   test acc, %    val loss, at {heads}   ms/ep"]
        known = dict.fromkeys(row["method"] for row in ledger.rows if row["task"] == task)
        order = [name for name in methods(task) if name in known]
        lines += [line(name, ledger.find(task, name)) for name in order]
        for name in TUNED:
            tries = {rate: ledger.find(task, f"tune:{name}:{rate:g}") for rate in TUNED[name]}
            told = ", ".join(f"{rate:g}: {mean((row['val_loss'] for row in t), 3)}" for rate, t in tries.items() if t)
            if told:
                lines.append(f"learning rates of {name}, validation loss on seeds 0-4: {told}")
        lines += verdicts(task, ledger)
    return "\n".join(lines)


BARS: Sequence[tuple[str, str, int | None, str, float]] = (
    ("cora", "natural", 2, "<=", 30.0),
    ("cora", "natural-fast", 2, "<=", 18.0),
    ("cora", "natural", None, ">=", 81.3),
    ("cora", "natural-fast", None, ">=", 81.3),
    ("cora", "natural-fast-reduce", 2, "<=", 18.0),
    ("cora", "natural-fast-reduce", None, ">=", 81.3),
    ("cora", "self-natural", None, ">=", 83.0),
    ("cora", "self-natural-reduce", None, ">=", 83.0),
    ("citeseer", "natural", 2, "<=", 34.0),
    ("citeseer", "natural-fast", 2, "<=", 19.0),
    ("citeseer", "natural", None, ">=", 70.2),
    ("citeseer", "natural-fast", None, ">=", 70.2),
    ("citeseer", "self-natural-64-plain", None, ">=", 74.3),
    ("citeseer", "self-natural-64-plain-reduce", None, ">=", 74.3),
)
"""Task, method, which of the marks shall be reached (None: test accuracy), and the bar."""


def verdicts(task: str, ledger: Ledger) -> list[str]:
    """Return what holds of the bars of the specification."""
    found = []
    for own, name, mark, sign, bar in BARS:
        rows = ledger.find(task, name)
        if own != task or not rows:
            continue
        if mark is None:
            values = [100.0 * float(row["test_accuracy"]) for row in rows]
        else:
            values = [float(row[f"reach_{mark}"] or math.inf) for row in rows]
        value = statistics.fmean(values)
        holds = value <= bar if sign == "<=" else value >= bar
        what = f"epochs to {MARKS[task][mark]}" if mark is not None else "test accuracy"
        found.append(f"bar: {name}, {what} {sign} {bar:g}: {value:.2f}, {'holds' if holds else 'DOES NOT HOLD'}")
    return found


def stepper(task: ag.Task, method: Method) -> Callable[[], None]:
    """Return what makes one step of training, as the trainer makes it."""
    network = ag.Network.init(gcn(task, method.hidden, input_dropout=method.input_dropout), seed=0)
    module, data = network.to_torch().train(), feed(network.graph, task, "train", "cpu", network.dtype)
    assert isinstance(data, WholeGraph)
    settle_on_graph(module, network.graph, data.given)
    optimizer = method.recipe.build(module)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with watched(optimizer):
            outputs = module(*data.given)
        loss = task.loss(outputs[data.rows], data.y)
        tell(optimizer, outputs, loss, task.loss.name, data.rows)
        loss.backward()
        optimizer.step()

    return step


def steps(task: ag.Task, windows: int, size: int = 20) -> str:
    """Return what a step costs with each optimizer, and as a multiple of Adam's."""
    known = methods(task.name)
    lines = []
    for dropout in (True, False):
        natural = known["natural"].recipe
        recipes = {"adam": known["adam"].recipe, "sgd": known["sgd"].recipe, "ssp-adam": known["ssp-adam"].recipe}
        recipes |= {f"natural T={t}": natural.but(options={"interval": t}) for t in (1, 5, 10)}
        recipes |= {"exact": known["exact"].recipe}
        runs = {name: stepper(task, Method(recipe, 16, dropout)) for name, recipe in recipes.items()}
        best = dict.fromkeys(runs, math.inf)
        for step in runs.values():
            step()
        for _ in range(windows):
            for name, step in runs.items():
                count = size if name != "exact" else 2
                begun = time.process_time()
                for _ in range(count):
                    step()
                best[name] = min(best[name], (time.process_time() - begun) / count)
        told = [f"{name} {1e3 * one:.2f} ({one / best['adam']:.2f})" for name, one in best.items()]
        lines.append(f"{task.name}, features {'dropped' if dropout else 'whole'}: {', '.join(told)}")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["cora", "citeseer"])
    parser.add_argument("--methods", nargs="+", default=list(MAIN))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", action="store_true", help="measure the time of a step instead")
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--table", action="store_true", help="only print the tables")
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gcn_natural_gradient.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.steps:
        print("CPU ms a step, best of windows (multiple of Adam's)")
        for label in options.tasks:
            print(steps(find(label, data_root=options.data_root), options.windows), flush=True)
        return
    ledger = Ledger(options.out)
    for label in () if options.table else options.tasks:
        for name in options.methods:
            rows = complete(ledger, Splits(label, options.data_root), name, options.seeds)
            print(label, line(name, rows), flush=True)
    print(table(ledger))


if __name__ == "__main__":
    main()
