"""Splitting descent against random splitting on digits: a multilayer perceptron, or the small conv net of `make demo`.

    python benchmarks/splitting_digits.py
    python benchmarks/splitting_digits.py --net conv

Both methods start from the same trained network in every seed and split the same number of units in every stage.
Printed are means over seeds: training loss, validation accuracy, and the median of measured over predicted change of
the loss.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

import archgraph as ag
from archgraph import ops
from optimizers import RandomSplitting, SplittingDescent

NETS = {
    "mlp": ag.chain(
        *(ops.Input((1, 8, 8)), ops.Flatten(), ops.Linear(3), ops.SiLU(), ops.Linear(3), ops.SiLU(), ops.Linear(10))
    ),
    "conv": ag.chain(
        ops.Input((1, 8, 8)),
        *(ops.Conv2d(4, kernel_size=3, padding=1), ops.BatchNorm(), ops.SiLU()),
        *(ops.Conv2d(4, kernel_size=3, stride=2, padding=1), ops.BatchNorm(), ops.SiLU()),
        *(ops.GlobalAvgPool(), ops.Linear(10)),
    ),
}
METHODS = {"splitting": SplittingDescent, "random": RandomSplitting}


def run(net: str, seeds: int, stages: int, step: float, epochs: int, tune: int, state: str) -> list[dict[str, float]]:
    """Return one row a stage and method."""
    rows = []
    for name, kind in METHODS.items():
        driver = kind(NETS[net], growth=0.5, stages=stages, step=step, tune=ag.Recipe(epochs=tune), state=state)
        start = time.perf_counter()
        studies = [
            ag.search(driver, task="digits", recipe=ag.Recipe(epochs=epochs), seed=seed) for seed in range(seeds)
        ]
        seconds = (time.perf_counter() - start) / seeds
        for stage in range(min(len(study.trials) for study in studies)):
            trials = [study.trials[stage] for study in studies]
            rows.append(
                {
                    "method": name,
                    "stage": stage,
                    "units": trials[0].metrics["units"],
                    "loss": statistics.mean(trial.metrics["train.loss"] for trial in trials),
                    "accuracy": statistics.mean(trial.metrics["val.accuracy"] for trial in trials),
                    "ratio": statistics.median(t.measured / t.predicted if t.predicted else 1.0 for t in trials),
                    "seconds": seconds,
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NETS, default="mlp")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--stages", type=int, default=5)
    parser.add_argument("--step", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--tune", type=int, default=40)
    parser.add_argument("--state", choices=("carry", "fresh"), default="carry")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = run(**vars(options))
    print(f"{options}")
    print("stage  units | splitting: loss  accuracy  measured/predicted | random: loss  accuracy  measured/predicted")
    half = len(rows) // 2
    for ours, control in zip(rows[:half], rows[half:], strict=True):
        cells = [f"{row['loss']:.4f}  {row['accuracy']:8.3f}  {row['ratio']:18.2f}" for row in (ours, control)]
        print(f"{ours['stage']:5d}  {ours['units']:5.0f} |          {cells[0]} |       {cells[1]}")
    print(f"seconds a run: {rows[0]['seconds']:.1f} and {rows[half]['seconds']:.1f}")


if __name__ == "__main__":
    main()
