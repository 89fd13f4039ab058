"""Find a good small network among many shapes, then grow the best one: two drivers, one budget, one study.

python examples/grow_best.py
"""

from __future__ import annotations

import argparse

import archgraph as ag
from archgraph import ops
from archgraph.spaces import Parameters
from optimizers import GeneratorBO, GrowBest, SplittingDescent


@ag.space
def shapes(p: Parameters) -> ag.Graph:
    """One to three convolutions, of a few channels each, with or without a shortcut around the later ones."""
    build = ag.GraphBuilder()
    width, act = p.ordered("width", (2, 3, 4, 6)), p.choice("act", (ops.SiLU(), ops.Tanh()))
    x = build(act, build(ops.Conv2d(width, kernel_size=3, stride=2, padding=1), build(ops.Input((1, 8, 8)))))
    for layer in range(p.int("layers", 0, 2)):
        with p.scope(f"layer{layer}"):
            y = build(act, build(ops.Conv2d(width, kernel_size=p.choice("kernel", (1, 3)), padding="same"), x))
            x = build(ops.Add(), x, y) if p.bool("shortcut") else y
    return build.graph(build(ops.Linear(10), build(ops.GlobalAvgPool(), x)))


def main(*, evaluations: int = 14, epochs: int = 20, seed: int = 0) -> ag.Study:
    """Search with half of the budget, grow with the rest, and print one line a training."""
    growth = SplittingDescent(shapes.sample(0), growth=0.5, confidence=0.0)  # its graph gives way to what is found
    study = ag.search(
        GrowBest(GeneratorBO(shapes, initial=4), growth, share=0.5),
        task="digits",
        recipe=ag.Recipe(lr=0.02, epochs=epochs),
        budget=ag.Budget(evaluations=evaluations),
        seed=seed,
    )
    for trial in study.trials:
        what = f"stage {trial.stage} of trial {trial.parent}" if trial.stage else f"{trial.values}"
        print(
            f"{trial.number:3d}  accuracy {trial.metric('accuracy'):.3f}  {trial.metric('params'):5.0f} params  {what}"
        )
    print(study.stopped)
    print(f"best: trial {study.best.number}, made of trial {study.lineage(study.best)[0].trial}")
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(evaluations=options.evaluations, epochs=options.epochs, seed=options.seed)
