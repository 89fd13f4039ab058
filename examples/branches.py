"""Graphs with branches: a residual sum, a concat and a depthwise convolution, widened with the function kept.

python examples/branches.py
"""

from __future__ import annotations

import torch

import archgraph as ag
from archgraph import moves, ops


def build() -> ag.Graph:
    """Return a small image classifier with a residual block and two concatenated paths."""
    build = ag.GraphBuilder()
    image = build(ops.Input((3, 12, 12)))
    stem = build(ops.ReLU(), build(ops.BatchNorm(), build(ops.Conv2d(6, kernel_size=3, padding=1), image)))
    block = build(ops.Conv2d(6, kernel_size=1), build(ops.Conv2d(6, kernel_size=3, padding=1, groups=6), stem))
    total = build(ops.Add(), stem, block)
    small = build(ops.Conv2d(4, kernel_size=1), total)
    joined = build(ops.Concat(), total, small)
    pooled = build(ops.Flatten(), build(ops.MaxPool2d(4), joined))
    return build.graph(build(ops.Linear(10), pooled))


def main() -> float:
    """Duplicate every unit that can be, print what is coupled, and return the greatest change of the outputs."""
    graph = build()
    network = ag.Network.init(graph, seed=0, dtype=torch.float64)
    x = torch.randn(4, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    worst = 0.0
    with torch.no_grad():
        before = network.to_torch().eval()(x)
        for move in moves.Duplicate.sites(graph):
            after = move.apply(network).to_torch().eval()(x)
            worst = max(worst, float((after - before).abs().max()))
    print(moves.Duplicate("conv2d1", units=(0, 1)).apply(graph))
    print(f"greatest change of an output over all {len(list(moves.Duplicate.sites(graph)))} sites: {worst:.1e}")
    print("and what cannot be done is refused with a reason:")
    print("  " + str(moves.Duplicate("linear1", units=(0,)).refusal(graph)))
    return worst


if __name__ == "__main__":
    main()
