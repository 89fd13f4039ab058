"""Learning one task after another: growth that forgets nothing, and what it is compared with.

    python benchmarks/continual.py
    python benchmarks/continual.py --sequence split-mnist:train=20000,val=5000 --data-root DIR --epochs 10 --seeds 3
    python benchmarks/continual.py --sequence split-cifar100 --data-root DIR --net conv --target "accuracy>=0.7"
        --rounds 3 --added 8 --epochs 8 --batch-size 32 --samples 256 --seeds 1

Growth, with what it sets free chosen by squared gradients or by firefly (an overlay of all units that may be unlocked,
parted or added), stands against networks that share nothing, one trunk trained on, and one network for all tasks at
once. Means over seeds, with standard deviations: accuracy on the test splits of all tasks at the end, trained numbers
for all tasks together, forgetting (accuracy right after learning minus at the end), whether old outputs are the same
bits at the end, tasks that missed their target, and seconds of processor time. The trunk that is trained on, and the
network for all tasks, have at least as many trained numbers as growth by gradients came to with the same seed.

A row is appended to the CSV as soon as a method has finished with a seed; rows that are there are not run again. The
table is written beside it at the end. Nothing is chosen by test data.
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

import archgraph as ag
from archgraph import Graph, ops
from archgraph.continual import Course, Homes, fine_tune, head_resized, joint
from archgraph.evaluation import measure
from archgraph.metrics import params
from archgraph.moves import Widen
from archgraph.net import Network
from archgraph.tasks import TaskSequence, find_sequence
from optimizers import Continual

RESULTS = Path(__file__).parent / "results"
BASE = "gradient"
WAYS: dict[str, dict[str, Any]] = {
    BASE: {"grower": "gradient", "kinds": ("unlock", "new")},
    "gradient, new units": {"grower": "gradient", "kinds": ("new",)},
    "firefly": {"grower": "firefly", "kinds": ("unlock", "new", "split")},
}
"""How growth chooses."""

RIVALS = ("networks apart", "one trunk trained on", "all tasks at once")
Row = dict[str, str]


def trunk(net: str, sequence: TaskSequence) -> Graph:
    """Return the small network with which the first task begins."""
    outputs, shape = sequence[0].outputs, sequence.input_shape
    if net == "mlp":
        layers = [ops.Flatten(), ops.Linear(2), ops.SiLU(), ops.Linear(2), ops.SiLU()]
    else:
        layers = [
            *(ops.Conv2d(8, kernel_size=3, padding=1), ops.BatchNorm(), ops.SiLU(), ops.MaxPool2d(2)),
            *(ops.Conv2d(8, kernel_size=3, padding=1), ops.BatchNorm(), ops.SiLU(), ops.MaxPool2d(2)),
            *(ops.Conv2d(16, kernel_size=3, padding=1), ops.BatchNorm(), ops.SiLU(), ops.GlobalAvgPool()),
        ]
    return ag.chain(ops.Input(shape), *layers, ops.Linear(outputs))


def as_large(graph: Graph, outputs: int, wanted: int) -> Graph:
    """Return a graph that with all outputs has at least as many trained numbers, one unit a layer wider at a time."""
    while params(head_resized(graph, outputs)) < wanted:
        for home in Homes(graph).growable:
            graph = Widen(home).apply(graph)
    return graph


def answers(networks: tuple[Network, ...], sequence: TaskSequence) -> list[torch.Tensor]:
    """Return the outputs of networks on the test splits of their tasks."""
    with torch.no_grad():
        return [
            network.to_torch().eval()(task.splits["test"].x) for network, task in zip(networks, sequence, strict=False)
        ]


def run(name: str, seed: int, options: argparse.Namespace, known: Sequence[Row]) -> dict[str, Any]:
    """Return the row of a method and a seed."""
    sequence = find_sequence(options.sequence, seed=seed, data_root=options.data_root)
    start = trunk(options.net, sequence)
    recipe = ag.Recipe(optimizer="adam", lr=options.lr, epochs=options.epochs, batch_size=options.batch_size)
    common: dict[str, Any] = {"recipe": recipe, "seed": seed, "device": options.device}
    settings: dict[str, Any] = {"target": options.target, "rounds": options.rounds, "added": options.added}
    settings |= {"samples": options.samples}
    methods: dict[str, Callable[[], Course]] = {
        way: lambda own=own: ag.learn(Continual(start, **settings, **own), sequence, **common)
        for way, own in WAYS.items()
    }
    methods["networks apart"] = lambda: ag.learn(
        Continual(start, **settings, **WAYS[BASE]), sequence, share=False, **common
    )
    if name in RIVALS[1:]:
        sizes = [int(one["params"]) for one in known if (one["method"], one["seed"]) == (BASE, str(seed))]
        wide = as_large(start, sum(task.outputs for task in sequence), sizes[0])
        methods["one trunk trained on"] = lambda: fine_tune(wide, sequence, **common)
        methods["all tasks at once"] = lambda: joint(wide, sequence, **common)
    began = time.process_time()
    course = methods[name]()
    seconds = time.process_time() - began
    pairs = zip(answers(course.learned, sequence), answers(course.networks, sequence), strict=True)
    same = course.unchanged and all(torch.equal(first, last) for first, last in pairs)
    place = torch.device(options.device)
    held = [
        measure(net, task, "val", device=place)["accuracy"] for net, task in zip(course.networks, sequence, strict=True)
    ]
    return {
        "method": name,
        "seed": seed,
        "accuracy": round(course.average(), 4),
        "val_accuracy": round(statistics.mean(held), 4),
        "params": course.params,
        "forgetting": round(course.forgetting(), 4),
        "same_bits": same,
        "unmet": len(course.unmet),
        "trainings": sum(len(study.trials) for study in course.studies),
        "macs": course.macs,
        "seconds": round(seconds, 1),
    }


def read(file: Path) -> list[Row]:
    """Return the rows that there are."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def append(file: Path, row: dict[str, Any]) -> None:
    """Write a row below those that there are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    empty = not file.exists()
    with file.open("a", newline="") as opened:
        table = csv.DictWriter(opened, fieldnames=list(row), lineterminator="\n")
        if empty:
            table.writeheader()
        table.writerow(row)


def summary(rows: Sequence[Row]) -> str:
    """Return the table, a line a method."""
    lines = [f"{'':22s} runs {'accuracy':>15s} {'params':>13s} {'forgetting':>15s}  same bits  unmet  seconds"]
    for name in (*WAYS, *RIVALS):
        own = [one for one in rows if one["method"] == name]
        if not own:
            continue
        cells = []
        for key, digits in (("accuracy", 4), ("params", 0), ("forgetting", 4)):
            values = [float(one[key]) for one in own]
            cells.append(f"{statistics.mean(values):.{digits}f}±{statistics.pstdev(values):.{digits}f}")
        same = "yes" if all(one["same_bits"] == "True" for one in own) else "no"
        unmet, seconds = (statistics.mean(float(one[key]) for one in own) for key in ("unmet", "seconds"))
        lines.append(
            f"{name:22s} {len(own):4d} {cells[0]:>15s} {cells[1]:>13s} {cells[2]:>15s}"
            f"  {same:>9s}  {unmet:5.1f}  {seconds:7.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequence", default="split-digits")
    parser.add_argument("--net", choices=("mlp", "conv"), default="mlp")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--target", default="accuracy>=0.99")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--added", type=int, default=1)
    parser.add_argument("--samples", type=int, default=None, help="training samples for scores; all by default")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--methods", nargs="*", choices=(*WAYS, *RIVALS), default=(*WAYS, *RIVALS))
    parser.add_argument("--out", type=Path, default=None, help="a CSV file, carried on; the table goes beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    short = options.sequence.partition(":")[0].removeprefix("split-")
    out = options.out or RESULTS / f"continual_{short}.csv"
    words = ["DIR" if word == str(options.data_root) else word for word in sys.argv[1:]]
    given = " ".join(f'"{word}"' if any(sign in word for sign in " >,") else word for word in words)
    heading = f"python benchmarks/continual.py {given}".rstrip()
    heading += (
        f"\narchgraph {ag.__version__}, torch {torch.__version__}, one thread; the machine was loaded with other work"
    )
    heading += f"\n{find_sequence(options.sequence, data_root=options.data_root).describe()}\n\n"
    for seed in range(options.seeds):
        for name in options.methods:
            known = read(out)
            if not any((one["method"], one["seed"]) == (name, str(seed)) for one in known):
                append(out, run(name, seed, options, known))
    out.with_suffix(".txt").write_text(heading + summary(read(out)) + "\n")
    print(heading + summary(read(out)))


if __name__ == "__main__":
    main()
