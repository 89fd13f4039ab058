"""Grow a small convolutional network on handwritten digits by splitting descent, and take the best one away.

python examples/grow_digits.py --out runs/example
"""

from __future__ import annotations

import argparse
from pathlib import Path

import archgraph as ag
from archgraph import ops
from optimizers import SplittingDescent


def main(out: Path, *, epochs: int = 30, stages: int = 4, seed: int = 0) -> ag.Study:
    """Grow, print one line a stage, and export the best network to ``out``."""
    seed_graph = ag.chain(
        ops.Input((1, 8, 8)),
        *(ops.Conv2d(4, kernel_size=3, padding=1), ops.BatchNorm(), ops.SiLU()),
        *(ops.Conv2d(4, kernel_size=3, stride=2, padding=1), ops.BatchNorm(), ops.SiLU()),
        *(ops.GlobalAvgPool(), ops.Linear(10)),
    )
    study = ag.search(
        SplittingDescent(seed_graph, growth=0.5, stages=stages),
        task="digits",
        recipe=ag.Recipe(optimizer="adam", lr=1e-2, epochs=epochs),
        seed=seed,
    )
    for trial in study.trials:
        gain = "" if trial.predicted is None else f"  predicted {trial.predicted:+.2e}, measured {trial.measured:+.2e}"
        print(
            f"stage {trial.stage}: {trial.metrics['params']:5.0f} params, accuracy {trial.metric('accuracy'):.3f}{gain}"
        )
    print(study.stopped)
    exported = ag.export(study.best.network, out, formats=("python",))
    print(f"the best network is in {exported.folder}")
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/example"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.out, epochs=options.epochs, stages=options.stages, seed=options.seed)
