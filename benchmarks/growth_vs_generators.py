"""Growth against generators of networks on digits: the same task, recipe, budget and seeds, and one bill for all.

    nice python benchmarks/growth_vs_generators.py --seeds 3 --storage sqlite:///runs/growth_vs_generators.db

Growth (splitting, firefly) starts from a small convolutional network and pays for every score and every line search.
The generator is the hierarchical one, for networks of at most 8,000 parameters; evolution and Gaussian-process search
draw from it. ``bo+firefly`` and ``bo+splitting`` spend half of the budget on that search and the rest on growing the
best network that it found; with the usual 8e9 a single score of firefly's on such a network is the rest, so that
nothing grown is trained. A driver ``graph-bo`` is added where it is installed.

Every training is 8 epochs (AdamW, cosine, batches of 100) of 1100 digits; 200 others choose the pick of a run, which is
measured once on the 497 test images. The budget counts multiply-accumulates of everything: training, scoring,
measuring. Nothing is chosen by test data. What is stored is not run again, so the benchmark carries on when it is
stopped. ``--out`` gets every trial with what was spent until then; the table goes beside it, and is printed.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

import archgraph as ag
from archgraph.comparison import Comparison, compare
from archgraph.generators import HierarchicalGenerator
from archgraph.registry import DRIVERS
from archgraph.search import Budget, Driver
from archgraph.tasks import find
from archgraph.tasks.seed import seed_graph
from optimizers import Evolution, FireflyDescent, GeneratorBO, GrowBest, SplittingDescent

RECIPE = ag.Recipe(optimizer="adamw", lr=0.01, epochs=8, batch_size=100)
SAMPLES = 128
"""Training samples by which growth scores; of a network of 8,000 parameters firefly's cost as much as 20 epochs."""


def drivers() -> dict[str, Driver]:
    """Return what is compared, by name; the others are compared with the first."""
    graph = seed_graph(find("digits"))
    space = HierarchicalGenerator((1, 8, 8), 10, params=8000, head=32, N_t=(3, 4), N_m=(1, 2), N_b=(3, 4))
    firefly = FireflyDescent(graph, samples=SAMPLES, descent_steps=20)
    splitting = SplittingDescent(graph, samples=SAMPLES, confidence=0.0)
    search = GeneratorBO(space, initial=4)
    found: dict[str, Driver] = {
        "evolution": Evolution(space, population=4, sample=2),
        "generator-bo": search,
        "splitting": splitting,
        "firefly": firefly,
        "bo+splitting": GrowBest(search, splitting),
        "bo+firefly": GrowBest(search, firefly),
    }
    if "graph-bo" in DRIVERS:
        found["graph-bo"] = DRIVERS.get("graph-bo")(space, initial=4)
    return found


def shares(found: Comparison) -> list[str]:
    """Return what the runs of each driver spent on training and on the rest, and how they ended."""
    lines = ["", f"{'driver':14s} trainings  training  scoring  measuring   CPU s   (means; MACs in 1e9)"]
    for driver in found.drivers:
        cells = [cell for cell in found.cells if cell.driver == driver]
        bills = [cell.spent for cell in cells]
        mean: Mapping[str, float] = {
            name: statistics.mean(getattr(bill, name) for bill in bills)
            for name in ("train_macs", "score_macs", "eval_macs", "cpu_seconds")
        }
        count = statistics.mean(len(cell.study) for cell in cells)
        lines.append(
            f"{driver:14s} {count:9.1f} {mean['train_macs'] / 1e9:9.2f} {mean['score_macs'] / 1e9:8.2f} "
            f"{mean['eval_macs'] / 1e9:10.2f} {mean['cpu_seconds']:7.1f}"
        )
    lines += ["", "stopped"]
    for cell in found.cells:
        lines.append(f"  {cell.driver}, seed {cell.seed}: {cell.study.stopped}")
    return lines


def picks(found: Comparison) -> list[str]:
    """Return the final pick of every run: trial, stage of growth, parameters, validation and test accuracy."""
    lines = ["", f"{'driver':14s} seed  trial  stage  params  val accuracy  test accuracy"]
    for cell in found.cells:
        pick = cell.final
        if pick is None:
            lines.append(f"{cell.driver:14s} {cell.seed:4d}  nothing was trained")
            continue
        lines.append(
            f"{cell.driver:14s} {cell.seed:4d} {pick.number:6d} {pick.stage:6d} {int(pick.metrics['params']):7d} "
            f"{pick.metric('accuracy'):13.4f} {cell.test['test.accuracy']:14.4f}"
        )
    return lines


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--macs", type=float, default=8e9, help="the budget of a run")
    parser.add_argument("--only", nargs="+", help="of these drivers; the first is what others are compared with")
    parser.add_argument("--storage", help="where runs are kept; without one nothing is")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth_vs_generators.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = drivers()
    if options.storage and options.storage.startswith("sqlite:///"):
        Path(options.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    found = compare(
        {name: known[name] for name in options.only or known},
        task="digits",
        recipe=RECIPE,
        budget=Budget(train_macs=options.macs),
        seeds=range(options.seeds),
        storage=options.storage,
        name="growth-vs-generators",
        device="cpu",
        command=shlex.join(["python", *sys.argv]),
        callbacks=[lambda study, trial: print(study.name, trial.number, trial, flush=True)],
    )
    lines = [
        found.command,
        f"python {platform.python_version()}, torch {torch.__version__}, one thread of a machine that was busy",
        f"digits, {options.macs:g} multiply-accumulates a run, {RECIPE!r}",
        "",
        str(found.table),
        *picks(found),
        *shares(found),
    ]
    print("\n".join(lines))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(options.out)
    options.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
