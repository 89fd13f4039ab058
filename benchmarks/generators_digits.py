"""Network generators on digits: what the paper claims of them, measured on networks of at most 40,000 parameters.

    nice python benchmarks/generators_digits.py --points 150 --networks 2 --out benchmarks/results/generators_digits.csv
    nice python benchmarks/generators_digits.py --bo 4

Points of the hierarchical generator (Ru et al., arXiv 2004.01395) are drawn at random, and at each of them networks,
which are trained for six epochs on 500 digits (SGD with Nesterov momentum, 0.05, cosine, weight decay 1e-4, batches of
50) and validated on 800 others. The 497 test images are not looked at. With ``--bo`` Gaussian-process search runs on
the same task, so many times, and is compared with random points, drawn from those of the table again and again.

Rows are appended to the CSV files as they are done; those that are there are not run again. The table beside them says
of every claim whether it holds.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import archgraph as ag
from archgraph import rng
from archgraph.evaluation import Evaluator, Train
from archgraph.features import DESCRIPTORS, descriptors
from archgraph.generators import HierarchicalGenerator
from archgraph.metrics import params

EPOCHS = 6
SPACE = HierarchicalGenerator((1, 8, 8), 10, params=40_000, head=64, N_t=(3, 6), N_m=(1, 4), N_b=(3, 6))
OPTIONS = {"momentum": 0.9, "nesterov": True}
RECIPE = ag.Recipe(optimizer="sgd", lr=0.05, epochs=EPOCHS, batch_size=50, weight_decay=1e-4, options=OPTIONS)
NAMES = [
    *("point", "network", "values", "accuracy", "params", "nodes", "leaves", "repaired", "width", "cpu_seconds"),
    *(f"accuracy{epoch}" for epoch in range(1, EPOCHS + 1)),
    *(name.replace(" ", "_") for name in DESCRIPTORS),
]
SEARCHED = ["run", "number", "values", "accuracy", "cpu_seconds", "note"]

Row = dict[str, str]


def task() -> ag.Task:
    """Return the digits, 500 / 800 / 497, by class; pixels ``(x - 8) / 8``."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (torch.as_tensor(bunch.images, dtype=torch.float32).unsqueeze(1) - 8) / 8
    splits = (500 / 1797, 800 / 1797, 497 / 1797)
    return ag.Task.from_tensors("digits-500", x, torch.as_tensor(bunch.target), loss="cross-entropy", splits=splits)


def trained(evaluator: Evaluator, point: int, network: int) -> dict[str, Any]:
    """Draw a network of a point and train it; return its row."""
    values = SPACE.draw(rng.derive(0, "point", point))
    seed = rng.derive(0, "network", point, network)
    started = time.process_time()
    graph = SPACE.build(values, seed)
    hierarchy = SPACE.hierarchy(values, seed)
    report = evaluator.evaluate(Train(graph, RECIPE, seed=seed))
    curve = [epoch.metrics["val.accuracy"] for epoch in report.curve if epoch.epoch > 0]
    curve += [0.1] * (EPOCHS - len(curve))  # diverged: as good as a guess
    return {
        "point": point,
        "network": network,
        "values": json.dumps(values, sort_keys=True),
        "accuracy": report.metrics.get("val.accuracy", 0.1),
        "params": params(graph),
        "nodes": len(graph),
        "leaves": hierarchy.leaves,
        "repaired": hierarchy.repaired,
        "width": graph.units("stem_conv2"),
        "cpu_seconds": time.process_time() - started,
        **{f"accuracy{epoch}": value for epoch, value in enumerate(curve, start=1)},
        **{name.replace(" ", "_"): value for name, value in zip(DESCRIPTORS, descriptors(graph), strict=True)},
    }


def searched(run: int, evaluations: int) -> list[dict[str, Any]]:
    """Search once; return a row a trial."""
    from optimizers import GeneratorBO

    started = time.process_time()
    driver = GeneratorBO(SPACE, candidates=evaluations)
    study = ag.search(driver, task=task(), recipe=RECIPE, seed=run, name=f"bo{run}")
    spent = (time.process_time() - started) / max(1, len(study.trials))
    return [
        {
            "run": run,
            "number": number,
            "values": json.dumps(dict(trial.values), sort_keys=True),
            "accuracy": 1.0 - trial.metrics.get("val.error", 0.9),
            "cpu_seconds": spent,
            "note": str(study.stopped).replace("\n", " "),
        }
        for number, trial in enumerate(study.trials)
    ]


# ---------------------------------------------------------------------- files
def read(file: Path) -> list[Row]:
    """Return the rows of a CSV file; none when there is no file."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def append(file: Path, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Append rows to a CSV file, below its header."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = not file.exists()
    with file.open("a", newline="") as opened:
        table = csv.DictWriter(opened, names)
        if fresh:
            table.writeheader()
        for row in rows:
            table.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


# ---------------------------------------------------------------------- claims
def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the rank correlation, with mean ranks for equal values."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def claims(rows: Sequence[Row]) -> list[tuple[str, str, bool | None]]:
    """Return every claim with what was measured and whether it holds; None where nothing was promised."""
    values = [json.loads(row["values"]) for row in rows]
    accuracy = [float(row["accuracy"]) for row in rows]
    low, middle, high = np.quantile(accuracy, [0.1, 0.5, 0.9])
    found = [
        (
            "performance differs widely: q90 - q10 > 0.2",
            f"q10/q50/q90 {low:.3f}/{middle:.3f}/{high:.3f}",
            high - low > 0.2,
        )
    ]
    points = sorted({row["point"] for row in rows}, key=int)
    groups = [[float(row["accuracy"]) for row in rows if row["point"] == point] for point in points]
    groups = [group for group in groups if len(group) > 1]
    if groups:
        found += within(groups)
    nodes = [int(one["N_m"]) for one in values]
    means = {n: statistics.mean(a for a, m in zip(accuracy, nodes, strict=True) if m == n) for n in sorted(set(nodes))}
    best = max(means, key=means.__getitem__) == min(means)
    shown = ", ".join(f"{n}: {mean:.3f}" for n, mean in means.items())
    found.append(("N_m = 1 is best under a tight limit of parameters", shown, best))
    found.append(
        ("   ... and more blocks are worse, in order", shown, list(means.values()) == sorted(means.values())[::-1])
    )
    ranks = {}
    for name in SPACE.domains:  # over the points where the parameter matters
        pairs = [(float(one[name]), a) for one, a in zip(values, accuracy, strict=True) if name in one]
        ranks[name] = spearman(*zip(*pairs, strict=True))
    strongest = max(ranks, key=lambda name: abs(ranks[name]))
    text = ", ".join(f"{name} {rank:+.2f}" for name, rank in ranks.items())
    found.append(("N_m matters most", f"rank correlation with accuracy: {text}", strongest == "N_m"))
    budget = [spearman([float(row[f"accuracy{epoch}"]) for row in rows], accuracy) for epoch in range(1, EPOCHS)]
    text = ", ".join(f"{epoch}: {rank:+.2f}" for epoch, rank in enumerate(budget, start=1))
    found.append((f"half the epochs rank well: > 0.7 at {EPOCHS // 2}", text, budget[EPOCHS // 2 - 1] > 0.7))
    names = [name.replace(" ", "_") for name in DESCRIPTORS]
    text = ", ".join(f"{name} {spearman([float(row[name]) for row in rows], accuracy):+.2f}" for name in names)
    found.append(("descriptors of the graph: rank correlation with accuracy", text, None))
    sizes = [int(row["params"]) / SPACE.params for row in rows]
    text = f"min {min(sizes):.2f}, median {statistics.median(sizes):.2f}, max {max(sizes):.2f}"
    found.append(("parameters as a share of the limit, at most 1", text, max(sizes) <= 1.0))
    return found


def within(groups: Sequence[Sequence[float]]) -> list[tuple[str, str, bool | None]]:
    """Return the claims on networks of one point against those of others."""
    means = [statistics.mean(group) for group in groups]
    inside = statistics.mean(statistics.variance(group) for group in groups) ** 0.5
    count = statistics.mean(len(group) for group in groups)
    between = max(0.0, statistics.variance(means) - inside**2 / count) ** 0.5
    rank = spearman([group[0] for group in groups], [group[1] for group in groups])
    order = np.array_split(np.argsort(means), 3)
    spreads = [statistics.mean(statistics.variance(groups[place]) for place in part) ** 0.5 for part in order]
    text = f"sd between {between:.3f}, within {inside:.3f}; rank correlation of two networks {rank:.2f}"
    thirds = "sd within by third of the mean, worst to best: " + "/".join(f"{one:.3f}" for one in spreads)
    return [
        ("the point explains performance: sd between > 1.3 x within", text, between > 1.3 * inside),
        ("good generators vary little: best third < half of the others", thirds, spreads[2] < 0.5 * min(spreads[:2])),
    ]


def race(rows: Sequence[Row], runs: Sequence[Row], first: int, last: int) -> list[tuple[str, str, bool | None]]:
    """Return the claim that the search after ``first`` trainings is as good as random points after ``last``."""
    numbers = np.random.default_rng(0)
    pool = np.array([float(row["accuracy"]) for row in rows if row["network"] == "0"])
    drawn = [max(numbers.choice(pool, size=min(last, len(pool)), replace=False)) for _ in range(2000)]
    names = sorted({row["run"] for row in runs}, key=int)
    best: Callable[[str, int], float] = lambda run, count: max(  # noqa: E731
        float(row["accuracy"]) for row in runs if row["run"] == run and int(row["number"]) < count
    )
    early, late = ([best(run, count) for run in names] for count in (first, last))
    text = (
        f"search, median of {len(names)}: {statistics.median(early):.3f} after {first}, {statistics.median(late):.3f} "
        f"after {last}; random, median of 2000 draws from the table: {statistics.median(drawn):.3f} after {last}"
    )
    return [
        (f"search after {first} >= random after {last}", text, statistics.median(early) >= statistics.median(drawn))
    ]


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=150)
    parser.add_argument("--networks", type=int, default=2, help="networks a point")
    parser.add_argument("--bo", type=int, default=0, help="runs of GeneratorBO")
    parser.add_argument("--evaluations", type=int, default=26, help="trainings of such a run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/generators_digits.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(int(row["point"]), int(row["network"])) for row in read(options.out)}
    evaluator = Evaluator(task(), device="cpu")
    for network in range(options.networks):
        for point in range(options.points):
            if (point, network) not in done:
                append(options.out, NAMES, [trained(evaluator, point, network)])
    searches = options.out.with_name(f"{options.out.stem}_bo.csv")
    known = {int(row["run"]) for row in read(searches)}
    for run in range(options.bo):
        if run not in known:
            append(searches, SEARCHED, searched(run, options.evaluations))
    rows, runs = read(options.out), read(searches)
    seconds = [float(row["cpu_seconds"]) for row in rows]
    lines = [
        f"python {' '.join(sys.argv)}",
        f"python {platform.python_version()}, torch {torch.__version__}, one thread; {SPACE!r}",
        f"{len(rows)} networks, {sum(seconds):.0f} CPU s, {statistics.median(seconds):.2f} each in the median",
        "",
    ]
    found = claims(rows) + (race(rows, runs, 14, options.evaluations) if runs else [])
    for claim, text, holds in found:
        lines += [f"{'' if holds is None else 'holds' if holds else 'FAILS':6s} {claim}", f"         {text}"]
    print("\n".join(lines))
    options.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
