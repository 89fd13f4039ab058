"""What rewriting costs: coupled units and single moves on residual graphs of 100 to 10,000 nodes.

    .venv/bin/python benchmarks/bench_rewrite.py [--repeats 15] [--sizes 100 1000 10000]

Three tables, each of medians in milliseconds with the growth from one size to the next (ten times the nodes; 10 is
linear, 1 is independent of the size of the graph):

- coupled units of the whole graph (``archgraph.graph.label``), with the size rules known and not known yet;
- one move on a graph, inside a block, so that it touches a few nodes whatever the size; "the stream" is the one row in
  which a move touches a share of all nodes, those of a residual stream;
- the same moves on a network, tensors included.

Last, the coupled units of a ResNet-50 for all of its convolutions, against the dependency graph and groups of
Torch-Pruning on the same architecture (``pip install torch-pruning``; left out with the reason where it is missing).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph import Graph, GraphBuilder, Move, Network, ops
from archgraph.graph import label
from archgraph.moves import AddEdge, Duplicate, InsertLayer, Prune, RemoveEdge, Split, SwapOp, Widen

WIDTH, INNER = 8, 4
STAGE = 3
"""Blocks of a stage: so many share a residual stream."""

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Inner width and number of blocks of the stages of a ResNet-50."""


def residual(nodes: int) -> Graph:
    """Return a residual network of about so many nodes: blocks of seven, stages of three blocks."""
    build = GraphBuilder()
    x = build(ops.Input((3, 4, 4)), name="image")
    x = build(ops.ReLU(), build(ops.BatchNorm(), build(ops.Conv2d(WIDTH, kernel_size=3, padding=1), x, name="stem")))
    blocks = round((nodes - 6) * STAGE / (7 * STAGE - 1))
    for block in range(blocks):
        y = build(ops.Conv2d(INNER, kernel_size=3, padding=1, bias=False), x, name=f"inner{block}")
        y = build(ops.ReLU(), build(ops.BatchNorm(), y), name=f"act{block}")
        y = build(ops.BatchNorm(), build(ops.Conv2d(WIDTH, kernel_size=1, bias=False), y, name=f"outer{block}"))
        if block % STAGE:
            y = build(ops.Add(), y, x, name=f"sum{block}")
        x = build(ops.ReLU(), y, name=f"out{block}")
    return build.graph(build(ops.Linear(10), build(ops.GlobalAvgPool(), x), name="head"))


def moves(graph: Graph) -> dict[str, Move]:
    """Return one move of each kind in the middle of a graph."""
    middle = (sum(name.startswith("inner") for name in graph.nodes) // 2) // STAGE * STAGE + 1
    return {
        "Duplicate": Duplicate(f"inner{middle}", (1,)),
        "Duplicate, the stream": Duplicate(f"outer{middle}", (1,)),
        "Split": Split(f"inner{middle}", (1,)),
        "Prune": Prune(f"inner{middle}", (1,)),
        "Widen": Widen(f"inner{middle}"),
        "InsertLayer": InsertLayer(f"act{middle}"),
        "AddEdge": AddEdge(f"act{middle}", f"out{middle + 1}"),
        "RemoveEdge": RemoveEdge(f"sum{middle}", 0),
        "SwapOp": SwapOp(f"act{middle}", ops.SiLU()),
    }


def median(run: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, in milliseconds, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def table(title: str, sizes: Sequence[int], rows: dict[str, list[float]]) -> None:
    """Print medians, and how they grow from size to size."""
    print(f"\n{title:<34}" + "".join(f"{size:>11,}" for size in sizes) + "   growth")
    for name, times in rows.items():
        growth = "  ".join(f"{after / before:.1f}" for before, after in pairwise(times))
        print(f"  {name:<32}" + "".join(f"{value:>8.3f} ms" for value in times) + f"   {growth}")


def coupled(graph: Graph) -> None:
    """Label a graph of which nothing is known yet but its shapes."""
    graph._rules.clear()
    label(graph)


# ---------------------------------------------------------------------- the same ResNet-50 twice
class Bottleneck(nn.Module):
    """Three convolutions and a skip, with a projection where the shape changes."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        wide = 4 * inner
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.skip: nn.Module = nn.Identity()
        if channels != wide:
            self.skip = nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.skip(x))


class ResNet50(nn.Module):
    """He et al., arXiv 1512.03385."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels, blocks = 64, []
        for stage, (inner, count) in enumerate(STAGES):
            for block in range(count):
                blocks.append(Bottleneck(channels, inner, 2 if stage and not block else 1))
                channels = 4 * inner
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.norm(self.stem(image))), 3, 2, 1)
        return self.head(self.blocks(x).mean(dim=(2, 3)))


def resnet50() -> Graph:
    """Return the architecture of :class:`ResNet50`."""
    build = GraphBuilder()

    def layer(x: str, units: int, kernel: int, stride: int = 1) -> str:
        conv = ops.Conv2d(units, kernel_size=kernel, stride=stride, padding=kernel // 2, bias=False)
        return build(ops.BatchNorm(), build(conv, x))

    x = build(ops.ReLU(), layer(build(ops.Input((3, 224, 224))), 64, 7, 2))
    x = build(ops.MaxPool2d(3, stride=2, padding=1), x)
    for stage, (inner, count) in enumerate(STAGES):
        for block in range(count):
            stride = 2 if stage and not block else 1
            y = build(ops.ReLU(), layer(x, inner, 1))
            y = build(ops.ReLU(), layer(y, inner, 3, stride))
            skip = x if block else layer(x, 4 * inner, 1, stride)
            x = build(ops.ReLU(), build(ops.Add(), layer(y, 4 * inner, 1), skip))
    return build.graph(build(ops.Linear(1000), build(ops.GlobalAvgPool(), x)))


def against_torch_pruning(repeats: int) -> None:
    """Print what finding all groups of coupled units of a ResNet-50 takes here and there."""
    graph, model = resnet50(), ResNet50()
    weights = sum(tensor.numel() for tensor in Network.init(graph).weights.values())
    if weights != sum(tensor.numel() for tensor in model.state_dict().values()):
        raise AssertionError("the two ResNet-50 differ")
    convolutions = [node.name for node in graph if isinstance(node.op, ops.Conv2d)]
    here = median(lambda: coupled(graph), repeats)
    whole = median(lambda: _all_groups(graph, convolutions), repeats)
    print(f"\nResNet-50, {len(graph)} nodes, {weights:,} numbers")
    print(f"  archgraph: label all units                    {here:>10.3f} ms")
    print(f"  archgraph: units coupled to every convolution {whole:>10.3f} ms")
    try:
        import torch_pruning
    except ImportError as error:
        print(f"  Torch-Pruning is left out: {error} (pip install torch-pruning)")
        return
    image = torch.zeros(1, 3, 64, 64)  # a small one, as it runs the model to trace it
    times: dict[str, list[float]] = {"trace and build": [], "groups": []}
    for _ in range(max(3, repeats // 5)):
        start = time.perf_counter()
        found = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=image)
        built = time.perf_counter()
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                found.get_pruning_group(
                    module, torch_pruning.prune_conv_out_channels, idxs=list(range(module.out_channels))
                )
        times["trace and build"].append(1e3 * (built - start))
        times["groups"].append(1e3 * (time.perf_counter() - built))
    build, groups = (statistics.median(values) for values in times.values())
    print(f"  Torch-Pruning {torch_pruning.__version__}: trace and build            {build:>10.3f} ms")
    print(f"  Torch-Pruning {torch_pruning.__version__}: groups of all convolutions {groups:>10.3f} ms")
    print(f"  Torch-Pruning / archgraph: {(build + groups) / whole:.1f}; without its tracing {groups / whole:.1f}")


def _all_groups(graph: Graph, names: Sequence[str]) -> None:
    """Label a graph afresh, and list for every convolution which nodes are coupled to its units."""
    graph._rules.clear()
    labels = label(graph)
    for name in names:
        labels.coupled(name, 0)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Cost of coupled units and of moves against the size of the graph.")
    parser.add_argument("--repeats", type=int, default=15, help="calls a median is taken over (default: 15)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10000], help="nodes of the graphs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    graphs = [residual(size) for size in options.sizes]
    sizes = [len(graph) for graph in graphs]
    units = {
        "label": [median(lambda graph=graph: label(graph), options.repeats) for graph in graphs],
        "label, rules not known yet": [median(lambda graph=graph: coupled(graph), options.repeats) for graph in graphs],
    }
    table("coupled units, nodes:", sizes, units)
    networks = [Network.init(graph) for graph in graphs]
    for title, subjects in (("a move on a graph, nodes:", graphs), ("a move on a network, nodes:", networks)):
        rows: dict[str, list[float]] = {}
        for graph, subject in zip(graphs, subjects, strict=True):
            for name, move in moves(graph).items():
                rows.setdefault(name, []).append(median(lambda to=subject, one=move: one.apply(to), options.repeats))
        table(title, sizes, rows)
    against_torch_pruning(options.repeats)


if __name__ == "__main__":
    main()
