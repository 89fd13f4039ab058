"""Bring your own tensors, score every unit of your own network, and split the two most promising by hand.

python examples/own_data.py
"""

from __future__ import annotations

import torch

import archgraph as ag
from archgraph import moves, ops
from archgraph.evaluation import Evaluator


def main(epochs: int = 40) -> tuple[float, float]:
    """Return the change of the training loss that the scores predict for a split, and the one measured."""
    angle = torch.linspace(0.0, 6.28, 600)
    x = torch.stack([angle.cos(), angle.sin(), (3 * angle).cos()], dim=1)
    y = (3 * angle).sin().unsqueeze(1) * x[:, :1]
    task = ag.Task.from_tensors("wave", x, y, loss="mse", seed=0)

    graph = ag.chain(ops.Input((3,)), ops.Linear(5), ops.Tanh(), ops.Linear(4), ops.Tanh(), ops.Linear(1))
    backend = Evaluator(task)
    report = backend.evaluate(ag.Train(graph, ag.Recipe(epochs=epochs, batch_size=64)))
    assert report.network is not None
    network = report.network.to(torch.float64)

    scores = ag.score(network, "splitting", task=task)
    for node, index in scores.items():
        print(f"{node}: {', '.join(f'{value:+.1e}' for value in index.tolist())}")

    found = backend.evaluate(ag.Score(network)).scores["linear2"]
    units, step = found.index.argsort()[:2].tolist(), 0.05
    move = moves.Split.along("linear2", units, found.directions[units], step=step)
    split = move.apply(network)
    predicted = 0.5 * step**2 * float(found.index[units].sum())

    before, after = (backend.evaluate(ag.Measure(one, "train")).metrics["train.loss"] for one in (network, split))
    print(f"{move}: predicted {predicted:+.3e}, measured {after - before:+.3e}")
    print(split.graph)
    return predicted, after - before


if __name__ == "__main__":
    main()
