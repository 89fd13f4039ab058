"""How long Bayesian optimisation thinks about a suggestion: CPU seconds by the number of observations.

    python benchmarks/bo_suggest.py

On the eight parameters of ``bo_synthetic.py``. The design of a search has all but a few of the observations; then it
goes on as any search, and every suggestion from two before to two after the number in question is timed, each of one
point (q=1). Seconds are those of the process (``process_time``) with one thread, so other programs disturb them little,
but they do: caches and clock are shared. ``one`` objective is the error, ``two`` are error and memory.

Every timed suggestion is a row of the CSV, which is appended to: the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from bo_synthetic import Synthetic, observe

import archgraph as ag
import optimizers
from archgraph.evaluation import Recipe, Report, Train
from archgraph.search import Goal, Session, Setting

HERE = Path(__file__).parent / "results"
OBJECTIVES: dict[str, tuple[str, ...]] = {"one": ("val.error",), "two": ("val.error", "memory")}
OBSERVATIONS = (20, 50, 100, 200)
AROUND = 2
"""Suggestions timed before and after the number in question."""
BAR = 1.0
"""CPU seconds of a suggestion at 100 observations that two objectives may take."""

NAMES = ("objectives", "observations", "seed", "at", "cpu")
SPACE = Synthetic()


def ask(session: Session) -> tuple[Train, float]:
    """Return the next training that a search asks for, and the CPU seconds of asking."""
    begun = time.process_time()
    request = session.ask()
    spent = time.process_time() - begun
    assert isinstance(request, Train)
    return request, spent


def times(objectives: str, observations: int, seed: int) -> list[dict[str, str]]:
    """Search until a number of observations is passed; return a row a suggestion around it."""
    first = observations - AROUND
    driver = optimizers.GeneratorBO(SPACE, initial=first - 1, explore=0.0)
    session = driver.begin(Setting(Recipe(epochs=1), seed, Goal.parse(*OBJECTIVES[objectives])))
    rows = []
    for at in range(observations + AROUND + 1):
        request, spent = ask(session)
        session.tell(request, Report(request.key, observe(request.origin.values, request.seed)))
        if at >= first:  # the suggestion before warms up what is imported and compiled at the first
            numbers = (objectives, observations, seed, at, f"{spent:.4f}")
            rows.append(dict(zip(NAMES, map(str, numbers), strict=True)))
    return rows


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return medians and greatest of all suggestions, a line a number of objectives."""
    lines = ["objectives   " + "".join(f"{f'n={number}':>18s}" for number in OBSERVATIONS)]
    for objectives in OBJECTIVES:
        cells = []
        for number in OBSERVATIONS:
            found = [
                float(row["cpu"])
                for row in rows
                if (row["objectives"], row["observations"]) == (objectives, str(number))
            ]
            cells.append(f"{statistics.median(found):.2f} (max {max(found):.2f})" if found else "-")
        lines.append(f"{objectives:13s}" + "".join(f"{cell:>18s}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Time what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=HERE / "bo_suggest.csv", help="a CSV file; the table goes beside it"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if not options.out.exists():
        options.out.write_text(",".join(NAMES) + "\n")
    with options.out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    known = {(row["objectives"], row["observations"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for objectives in OBJECTIVES:
            for observations in OBSERVATIONS:
                if (objectives, str(observations), str(seed)) not in known:
                    found = times(objectives, observations, seed)
                    rows += found
                    with options.out.open("a", newline="") as file:
                        csv.DictWriter(file, NAMES).writerows(found)
    parts = [
        f"python benchmarks/bo_suggest.py --seeds {options.seeds}",
        f"archgraph {ag.__version__}, " + ", ".join(f"{name} {version(name)}" for name in ("torch", "botorch")),
        "",
        f"CPU seconds of a suggestion, one thread: median (greatest) of {2 * AROUND + 1} suggestions a seed. Others",
        f"used the machine, too. The bar is {BAR:g} s at n=100 with two objectives.",
        "",
        table(rows),
    ]
    text = "\n".join(parts)
    print(text)
    options.out.with_suffix(".txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
