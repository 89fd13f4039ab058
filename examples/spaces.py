"""Four search spaces in a few lines each, on the 8x8 images of digits: residual, mobile, cells and a transformer.

python examples/spaces.py
"""

from __future__ import annotations

import archgraph as ag
from archgraph import GraphBuilder, ops
from archgraph.spaces import Defined, Parameters, pieces
from optimizers import RandomSearch

INPUT, CLASSES = ops.Input((1, 8, 8)), 10


@ag.space
def resnet(p: Parameters) -> ag.Graph:
    """Stages of residual blocks, each stage with its own depth, width and kernel; plain Python all through."""
    build = GraphBuilder()
    x = build(INPUT)
    for stage in range(1, p.int("stages", 1, 3) + 1):
        with p.scope(f"stage{stage}"):
            width, kernel = p.ordered("width", (8, 12, 16, 24)), p.ordered("kernel", (1, 3, 5))
            x = build(ops.Conv2d(width, kernel_size=3, stride=1 if stage == 1 else 2, padding=1), x)
            for _ in range(p.int("depth", 1, 3)):
                y = build(ops.ReLU(), build(ops.BatchNorm(), x))
                y = build(ops.Conv2d(width, kernel_size=kernel, padding=kernel // 2), y)
                x = build(ops.Add(), x, y)
    return build.graph(build(ops.Linear(CLASSES), build(ops.GlobalAvgPool(), build(ops.ReLU(), x))))


def inverted(p: Parameters, build: GraphBuilder, x: str) -> str:
    """A piece: an inverted bottleneck of 12 channels, wider inside."""
    wide, kernel = 12 * p.int("expansion", 1, 4), p.ordered("kernel", (3, 5))
    y = build(ops.ReLU6(), build(ops.BatchNorm(), build(ops.Conv2d(wide, kernel_size=1, bias=False), x)))
    y = build(ops.Conv2d(wide, kernel_size=kernel, padding=kernel // 2, groups=wide, bias=False), y)
    y = build(ops.ReLU6(), build(ops.BatchNorm(), y))
    return build(ops.BatchNorm(), build(ops.Conv2d(12, kernel_size=1, bias=False), y))


HEAD = (ops.GlobalAvgPool(), ops.Linear(CLASSES))
mobile = ag.space(
    pieces.network(
        INPUT,
        ops.Conv2d(12, kernel_size=3, padding=1),
        pieces.repeat("first", pieces.edge("shortcut", inverted), 1, 3),
        pieces.optional("pool", ops.MaxPool2d(2)),
        pieces.repeat("second", pieces.edge("shortcut", inverted), 0, 3),
        *HEAD,
    ),
    name="mobile",
)


def separable(kernel: int) -> pieces.Piece:
    """A depthwise convolution and a pointwise one behind a ReLU, 8 channels wide."""
    depthwise = ops.Conv2d(8, kernel_size=kernel, padding=kernel // 2, groups=8, bias=False)
    return pieces.chain(ops.ReLU(), depthwise, ops.Conv2d(8, kernel_size=1, bias=False), ops.BatchNorm())


EDGES: dict[str, pieces.Part] = {
    "skip": pieces.chain(),
    "separable3": separable(3),
    "separable5": separable(5),
    "pool": ops.AvgPool2d(3, stride=1, padding=1),
}
cells = ag.space(  # as in DARTS: every node of a cell reads two earlier ones; all cells are alike
    pieces.network(
        INPUT,
        ops.Conv2d(8, kernel_size=3, padding=1),
        pieces.repeat("cell", pieces.cell("node", 3, EDGES, reads=2), 2, shared=True),
        *HEAD,
    ),
    name="cells",
)


@ag.space
def transformer(p: Parameters) -> ag.Graph:
    """A small vision transformer; the number of heads must divide the width."""
    width, heads = p.ordered("width", (12, 16, 24)), p.ordered("heads", (1, 2, 3, 4))
    p.require(width % heads == 0, "heads divide the width")
    build = GraphBuilder()
    patches = build(ops.Conv2d(width, kernel_size=2, stride=2), build(INPUT))
    x = build(ops.PositionalEmbedding(), build(ops.Transpose(1, 2), build(ops.Flatten(2), patches)))
    for layer in range(1, p.int("depth", 1, 4) + 1):
        y = build(ops.LayerNorm(), x)
        x = build(ops.Add(), x, build(ops.MultiheadAttention(width, heads), y))
        y = build(ops.Linear(p.int(f"hidden{layer}", 8, 64, log=True)), build(ops.LayerNorm(), x))
        x = build(ops.Add(), x, build(ops.Linear(width), build(ops.GELU(), y)))
    return build.graph(build(ops.Linear(CLASSES), build(ops.Mean(1), build(ops.LayerNorm(), x))))


SPACES: tuple[Defined, ...] = (resnet, mobile, cells, transformer)


def main(candidates: int = 3, epochs: int = 3) -> dict[str, float]:
    """Print every space, train a few of its graphs and return the smallest validation error found in each."""
    errors = {}
    for space in SPACES:
        print(space)
        recipe = ag.Recipe(optimizer="adam", lr=1e-2, epochs=epochs)
        study = ag.search(RandomSearch(space, candidates=candidates), task="digits", recipe=recipe)
        errors[space.name] = study.best.metrics["val.error"]
        print(f"best of {candidates}: validation error {errors[space.name]:.3f}\n")
    return errors


if __name__ == "__main__":
    main()
