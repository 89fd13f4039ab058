"""The cells of NAS-Bench-201: four nodes, each edge between them one of five operations; 15,625 in all.

Dong and Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR 2020,
arXiv 2001.00326. The graph of a point is the cell alone, one node an edge; :func:`network` repeats it in the network
that was trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from archgraph.errors import SpaceError
from archgraph.graph import Graph, GraphBuilder, Op
from archgraph.ops import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Identity,
    Input,
    Linear,
    ReLU,
    Zero,
)
from archgraph.spaces.defined import Defined, space
from archgraph.spaces.ends import Ends
from archgraph.spaces.legend import Legend
from archgraph.spaces.parameters import Parameters

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""What an edge may do, in the order of the published table."""
EDGES = ("edge1_0", "edge2_0", "edge2_1", "edge3_0", "edge3_1", "edge3_2")
"""``edge2_1`` leads from node 1 to node 2; in the order of the published architecture strings."""
CHANNELS = 16
"""Of the cell that stands for all."""

_SKETCH: dict[str, Op] = {
    "none": Zero(),
    "skip_connect": Identity(),
    "nor_conv_1x1": Conv2d(CHANNELS, kernel_size=1, bias=False),
    "nor_conv_3x3": Conv2d(CHANNELS, kernel_size=3, padding=1, bias=False),
    "avg_pool_3x3": AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}
_LEGEND = Legend("cell of NAS-Bench-201", "operations", EDGES, _SKETCH)


def nas_bench_201() -> Defined:
    """The cells of NAS-Bench-201: six edges, each one of five operations; the graph of a point is the cell alone.

    >>> nas_bench_201().size
    15625
    """
    return space(_cell, name="nas-bench-201")


def nas_bench_201_network(graph: Graph, *, channels: int = CHANNELS, cells: int = 5) -> Defined:
    """The networks made of the cells of NAS-Bench-201, to be trained: three stages of a cell.

    Args:
        graph: gives the input shape and the number of outputs.
        channels: of the first stage.
        cells: a stage.

    Raises:
        SpaceError: when the seed graph does not make a vector from one image.
    """
    ends = Ends.of(graph)

    def build(p: Parameters) -> Graph:
        return network(_cell(p), input_shape=ends.input_shape, outputs=ends.outputs, channels=channels, cells=cells)

    return space(build, name="nas-bench-201-network")


def _cell(p: Parameters) -> Graph:
    return cell([p.choice(edge, OPERATIONS) for edge in EDGES])


def cell(operations: Sequence[str]) -> Graph:
    """Return the cell with these operations on its edges, in the order of :data:`EDGES`.

    Raises:
        SpaceError: when they are not six, or one is no operation of this space.
    """
    if len(operations) != len(EDGES) or not set(operations) <= set(OPERATIONS):
        raise SpaceError("these are no operations of a cell", expected=f"six of {OPERATIONS}", got=tuple(operations))
    build = GraphBuilder()
    nodes = [build(Input((CHANNELS, 32, 32)), name="node0")]
    chosen = iter(zip(EDGES, operations, strict=True))
    for number in range(1, 4):
        read = []
        for source in nodes:
            name, operation = next(chosen)
            read.append(build(_SKETCH[operation], source, name=name))
        nodes.append(build(Add(), *read, name=f"node{number}") if number > 1 else read[0])
    return build.graph(nodes[-1])


def operations(graph: Graph) -> tuple[str, ...]:
    """Return the six operations of a cell, in the order of :data:`EDGES`.

    Raises:
        GraphError: when the graph is no cell of this space; the node is shown.
    """
    return _LEGEND.read(graph)


def architecture(graph: Graph) -> str:
    """Return a cell as the published string: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    names = iter(operations(graph))
    return "+".join("|" + "".join(f"{next(names)}~{source}|" for source in range(node)) for node in range(1, 4))


def network(
    graph: Graph,
    *,
    input_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    channels: int = CHANNELS,
    cells: int = 5,
) -> Graph:
    """Return the network that is trained to know what a cell is worth: three stages of it, each twice as wide.

    Operations that lead nowhere are kept, as they were in the table's networks.

    Args:
        graph: the cell.
        input_shape: channels, height and width of an image.
        outputs: number of classes.
        channels: of the first stage.
        cells: a stage.

    Raises:
        GraphError: when the graph is no cell of this space.
    """
    names, build = operations(graph), GraphBuilder()
    x = build(BatchNorm(), _convolved(build, build(Input(input_shape)), channels, 3))
    for stage in range(3):
        width = channels * 2**stage
        if stage:
            x = _halved(build, x, width)
        for _ in range(cells):
            x = _repeated(build, x, names, width)
    x = build(GlobalAvgPool(), build(ReLU(), build(BatchNorm(), x)))
    return build.graph(build(Linear(outputs), x))


def _repeated(build: GraphBuilder, x: str, names: Sequence[str], width: int) -> str:
    nodes, chosen = [x], iter(names)
    for number in range(1, 4):
        read = [_operated(build, source, next(chosen), width) for source in nodes]
        nodes.append(build(Add(), *read) if number > 1 else read[0])
    return nodes[-1]


def _operated(build: GraphBuilder, x: str, name: str, width: int) -> str:
    if name == "skip_connect":
        return x
    if name.startswith("nor_conv"):
        return _normal(build, x, width, int(name[-1]))
    return build(_SKETCH[name], x)


def _normal(build: GraphBuilder, x: str, width: int, kernel_size: int, stride: int = 1) -> str:
    return build(BatchNorm(), _convolved(build, build(ReLU(), x), width, kernel_size, stride))


def _convolved(build: GraphBuilder, x: str, width: int, kernel_size: int, stride: int = 1) -> str:
    return build(Conv2d(width, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2, bias=False), x)


def _halved(build: GraphBuilder, x: str, width: int) -> str:
    """The residual block between two stages."""
    main = _normal(build, _normal(build, x, width, 3, stride=2), width, 3)
    return build(Add(), main, _convolved(build, build(AvgPool2d(2, ceil_mode=True), x), width, 1))
