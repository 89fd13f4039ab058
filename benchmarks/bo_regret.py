"""Regret of searches over the parameters of a network generator, on a formula in place of training.

    python benchmarks/bo_regret.py --seeds 20
    python benchmarks/bo_regret.py --seeds 100 --only random sobol --problem regret --out /tmp/regret.csv

Two problems of ``bo_synthetic.py``, eight parameters of which five are whole numbers, with noise that is larger where
networks are worse. ``regret``: one objective, the error; what counts is the accuracy without noise of the best point so
far, as its distance to the optimum in thousandths; so a point that was only lucky counts for nothing. ``hypervolume``:
error and memory; what counts is the hypervolume without noise of the points so far, as a fraction of that of 60,000
random points (reference: error .15, 60 MB), which a search may exceed. Means over seeds with their standard errors.
Defaults of ``GeneratorBO`` were chosen by seeds 0 to 4; so seeds begin at 100.

Every finished run is a row of the CSV, which is appended to: the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from bo_synthetic import BEST, Synthetic, accuracy, memory, search

import archgraph as ag
import optimizers
from archgraph.search import Driver, hypervolume

HERE = Path(__file__).parent / "results"
REFERENCE = (0.15, 60.0)
"""Error and megabytes from which hypervolumes count."""

SPACE = Synthetic()
PROBLEMS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "regret": (("val.error",), (10, 20, 30, 40, 50)),
    "hypervolume": (("val.error", "memory"), (10, 18, 26, 34, 42)),
}
"""Objectives, and after how many evaluations to look."""


def methods() -> dict[str, Callable[[], Driver]]:
    """Return how to make each of the searches."""
    found: dict[str, Callable[[], Driver]] = {
        "random": lambda: optimizers.RandomSearch(SPACE),
        "sobol": lambda: optimizers.Sobol(SPACE),
        "kernel-density": lambda: optimizers.KernelDensity(SPACE),
        "evolution": lambda: optimizers.Evolution(SPACE),
        "nsga2": lambda: optimizers.NSGA2(SPACE),
        "optuna-tpe": lambda: optimizers.OptunaSampler(SPACE, sampler="tpe"),
        "optuna-gp": lambda: optimizers.OptunaSampler(SPACE, sampler="gp"),
        "generator-bo": lambda: optimizers.GeneratorBO(SPACE),
        "generator-bo-4": lambda: optimizers.GeneratorBO(SPACE, lookahead=4),
    }
    return found


def volume(points: Sequence[Mapping[str, Any]]) -> float:
    """Return the hypervolume of points without noise."""
    return hypervolume([(1.0 - accuracy(one), memory(one)) for one in points], REFERENCE)


def values(problem: str, points: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return what counts after each of the numbers of evaluations of a problem."""
    at = PROBLEMS[problem][1]
    if problem == "regret":
        return [1e3 * (BEST - max(map(accuracy, points[:count]))) for count in at]
    return [volume(points[:count]) for count in at]


def run(problem: str, method: str, seed: int) -> dict[str, Any]:
    """Search once; return a row."""
    objectives, at = PROBLEMS[problem]
    begun = time.process_time()
    points = search(methods()[method](), at[-1], seed, *objectives)
    spent = time.process_time() - begun
    row = {"problem": problem, "method": method, "seed": seed, "cpu": f"{spent:.3f}"}
    return row | {f"n{number}": f"{value:.6g}" for number, value in enumerate(values(problem, points))}


def whole() -> float:
    """Return the hypervolume that counts as all: of 60,000 random points."""
    return volume([SPACE.draw(seed) for seed in range(60_000)])


def table(rows: Sequence[Mapping[str, str]], problem: str, unit: float) -> str:
    """Return the table of a problem: a line a method."""
    at = PROBLEMS[problem][1]
    lines = [f"{problem:18s} seeds " + "".join(f"{f'n={count}':>15s}" for count in at) + "   CPU s a run"]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and row["problem"] == problem]
        if not own:
            continue
        cells = []
        for number in range(len(at)):
            found = [float(row[f"n{number}"]) / unit for row in own]
            error = statistics.stdev(found) / len(found) ** 0.5 if len(found) > 1 else 0.0
            cells.append(f"{statistics.mean(found):9.3f}±{error:.3f}")
        cpu = statistics.mean(float(row["cpu"]) for row in own)
        lines.append(f"{method:18s} {len(own):5d} " + "".join(f"{cell:>15s}" for cell in cells) + f"{cpu:10.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--only", nargs="*", choices=sorted(methods()), help="methods")
    parser.add_argument("--problem", nargs="*", choices=sorted(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--out", type=Path, default=HERE / "bo_regret.csv", help="a CSV file; the table goes beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    names = ["problem", "method", "seed", "cpu", *(f"n{number}" for number in range(5))]
    if not options.out.exists():
        options.out.write_text(",".join(names) + "\n")
    with options.out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    known = {(row["problem"], row["method"], row["seed"]) for row in rows}
    for method in options.only or methods():
        for problem in options.problem:
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                if (problem, method, str(seed)) not in known:
                    row = run(problem, method, seed)
                    rows.append({name: str(value) for name, value in row.items()})
                    with options.out.open("a", newline="") as file:
                        csv.DictWriter(file, names).writerow(row)
    parts = [
        f"python benchmarks/bo_regret.py --seeds {options.seeds} --first-seed {options.first_seed}",
        f"archgraph {ag.__version__}, "
        + ", ".join(f"{name} {version(name)}" for name in ("torch", "botorch", "optuna"))
        + "; CPU seconds by process_time, one thread, the machine loaded by other work",
        "",
        "distance to the best accuracy, in thousandths, of the best point so far without noise: less is better",
        table(rows, "regret", 1.0),
        "",
        "hypervolume of the points so far without noise, as a fraction of that of 60,000 random points",
        table(rows, "hypervolume", whole()),
    ]
    text = "\n".join(parts)
    print(text)
    options.out.with_suffix(".txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
