"""The networks of NAS-Bench-Macro: eight layers, each one of three blocks; 6,561 in all.

Su et al., *Prioritized Architecture Sampling with Monto-Carlo Tree Search*, CVPR 2021, arXiv 2103.11922. The graph of a
point is a sketch, one node a layer; :func:`network` makes the network that was trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from archgraph.errors import SpaceError
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.ops import Add, BatchNorm, Conv2d, GlobalAvgPool, Identity, Input, Linear, ReLU
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.ends import Ends
from archgraph.spaces.legend import Legend
from archgraph.spaces.parameters import Parameters

BLOCKS = ("identity", "mb3_k3", "mb6_k5")
"""By the digit of the published table: none; an inverted bottleneck three times as wide with a kernel of three pixels;
six times and five pixels."""
STAGES = (2, 3, 3)
"""Layers of the three stages; the first of each halves the sides and doubles the channels."""
LAYERS = tuple(f"layer{number}" for number in range(1, sum(STAGES) + 1))

_SKETCH: dict[str, Op] = {
    "identity": Identity(),
    "mb3_k3": Conv2d(32, kernel_size=3, padding=1),
    "mb6_k5": Conv2d(32, kernel_size=5, padding=2),
}
_LEGEND = Legend("network of NAS-Bench-Macro", "blocks", LAYERS, _SKETCH)


def nas_bench_macro() -> Defined:
    """The networks of NAS-Bench-Macro: eight layers, each one of three blocks; the graph of a point is a sketch.

    >>> nas_bench_macro().size
    6561
    """
    return space(_sketch, name="nas-bench-macro")


def nas_bench_macro_network(graph: Graph, *, channels: int = 32) -> Defined:
    """The networks of NAS-Bench-Macro, to be trained: three stages of inverted bottlenecks.

    Args:
        graph: gives the input shape and the number of outputs.
        channels: of the first layer.

    Raises:
        SpaceError: when the seed graph does not make a vector from one image.
    """
    ends = Ends.of(graph)

    def build(p: Parameters) -> Graph:
        return network(_sketch(p), input_shape=ends.input_shape, outputs=ends.outputs, channels=channels)

    return space(build, name="nas-bench-macro-network")


def _sketch(p: Parameters) -> Graph:
    return sketch([BLOCKS.index(p.choice(layer, BLOCKS)) for layer in LAYERS])


def sketch(digits: Sequence[int]) -> Graph:
    """Return the sketch of the network with these blocks, by their digits, from the first layer to the last.

    Raises:
        SpaceError: when they are not eight digits of 0 to 2.
    """
    if len(digits) != len(LAYERS) or not set(digits) <= {0, 1, 2}:
        raise SpaceError("these are no layers of NAS-Bench-Macro", expected="eight of 0, 1, 2", got=tuple(digits))
    build = GraphBuilder()
    x = build(Input((32, 32, 32)), name="stem")
    for layer, digit in zip(LAYERS, digits, strict=True):
        x = build(_SKETCH[BLOCKS[digit]], x, name=layer)
    return build.graph(x)


def operations(graph: Graph) -> tuple[int, ...]:
    """Return the digits of the eight layers of a sketch, as in the keys of the published table.

    Raises:
        GraphError: when the graph is no sketch of this space; the node is shown.
    """
    return tuple(BLOCKS.index(block) for block in _LEGEND.read(graph))


def network(
    graph: Graph, *, input_shape: tuple[int, int, int] = (3, 32, 32), outputs: int = 10, channels: int = 32
) -> Graph:
    """Return the network that a sketch stands for.

    Args:
        graph: the sketch.
        input_shape: channels, height and width of an image.
        outputs: number of classes.
        channels: of the first layer.

    Raises:
        GraphError: when the graph is no sketch of this space.
    """
    digits, build = iter(operations(graph)), GraphBuilder()
    x = build(ReLU(), _normed(build, build(Input(input_shape)), Conv2d(channels, 3, padding=1, bias=False)))
    for layers in STAGES:
        for place in range(layers):
            before = channels
            channels *= 1 if place else 2
            x = _block(build, x, next(digits), before, channels)
    x = build(ReLU(), _normed(build, x, Conv2d(1280, 1, bias=False)))
    return build.graph(build(Linear(outputs), build(GlobalAvgPool(), x)))


def _block(build: GraphBuilder, x: str, digit: int, before: int, after: int) -> str:
    """Add a layer; one that widens halves the sides, any other has a shortcut."""
    stride = 1 if before == after else 2
    if digit == 0:
        return x if stride == 1 else _normed(build, x, Conv2d(after, 1, stride=stride, bias=False))
    wide, kernel = before * 3 * digit, 1 + 2 * digit
    y = build(ReLU(), _normed(build, x, Conv2d(wide, 1, bias=False)))
    depthwise = Conv2d(wide, kernel, stride=stride, padding=digit, groups=wide, bias=False)
    y = _normed(build, build(ReLU(), _normed(build, y, depthwise)), Conv2d(after, 1, bias=False))
    return build(Add(), y, x) if stride == 1 else y


def _normed(build: GraphBuilder, x: str, op: Op) -> str:
    return build(BatchNorm(), build(op, x))
